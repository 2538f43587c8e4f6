"""Training of one network: batches, loss, schedule, checkpoints, curve.

A run is a folder: `checkpoint.pt` (everything needed to go on), `curve.json` and `curve.png`. Started again with the
same folder it goes on where it was; `minutes` counts all of its parts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn

from vswipe import nets
from vswipe.ops.precision import has_fast_bf16

from . import curve, losses
from .dataset import BatchStream, WindowShape, WindowStream, open_batches
from .footage import Footage
from .schedule import Average, Clock, learning_rate
from .validation import ValidationSet

Call = Callable[[nn.Module, dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Settings:
    """All that makes a run.

    Args:
        name: of the network in `vswipe.nets`.
        options: for `nets.create`.
        shape: of the windows.
        weights: of the losses.
        batch: windows per step.
        peak_rate: of AdamW.
        slower: beginning of parameters' names -> share of the rate that they learn at. Adam moves every weight by about
            the rate, however small it is.
        betas: of AdamW; the second is short-lived because runs are short.
        decay: of the averaged weights, per step.
        clip_norm: gradients longer than this are shortened.
        pool, reuse: windows kept, and how often each is shown.
        minutes: budget.
        processor_time: `minutes` are of processor time, all threads together: on a machine that others use, too, a
            run is as long as on one of its own. For the CPU, without workers.
        steps: budget in steps as well; 0 = none.
        seed: of everything drawn.
        half: "no", "bf16" or "fp16": autocast.
        channels_last: memory order of 4-D weights.
        compile: torch.compile.
        threads: of torch.
        workers: processes that make windows; 0 makes them here.
        device: torch's name.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    shape: WindowShape = field(default_factory=WindowShape)
    weights: losses.Weights = field(default_factory=losses.Weights)
    batch: int = 4
    peak_rate: float = 1e-3
    slower: dict[str, float] = field(default_factory=dict)
    betas: tuple[float, float] = (0.9, 0.99)
    decay: float = 0.998
    clip_norm: float = 1.0
    pool: int = 256
    reuse: int = 4
    minutes: float = 30.0
    processor_time: bool = False
    steps: int = 0
    seed: int = 1
    half: str = "bf16"
    channels_last: bool = True
    compile: bool = False
    threads: int = 1
    workers: int = 0
    device: str = "cpu"

    def smoke(self) -> Settings:
        """The same at a size that runs in seconds."""
        shape = replace(self.shape, size=64, num_frames=min(3, self.shape.num_frames))
        return replace(self, shape=shape, batch=2, pool=4, steps=3, minutes=1.0, workers=0, compile=False)


def spec(net: nn.Module) -> nets.Spec:
    """What a network needs."""
    return net.spec  # type: ignore[return-value]


def call_inpaint(net: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Output of a network that is told where the hole is."""
    return net(batch["source"], batch["mask"], batch["base"] if spec(net).base else None)


def call_mask_free(net: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Output of a network that sees the marks and is told nothing."""
    return net(batch["drawn"], None)


def call_perceiving(net: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Output of a network that sees the marks, and where it sees them."""
    return net.erase(batch["drawn"])


def parameter_groups(net: nn.Module, slower: dict[str, float]) -> list[dict[str, Any]]:
    """The parameters for an optimiser, together where they learn at the same share of the rate; no group is empty.

    Raises:
        ValueError: no parameter's name begins so.
    """
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        start = max((s for s in slower if name.startswith(s)), key=len, default="")
        groups.setdefault(start, []).append(parameter)
    for start in slower:
        if start not in groups:
            raise ValueError(f"Trainer: slower must name parameters of the network, got {start}")
    return [{"params": parameters, "share": slower.get(start, 1.0)} for start, parameters in groups.items()]


def revision() -> str:
    """Git revision of the checkout, "+" appended where files differ from it; "unknown" without git."""
    root = Path(__file__).resolve().parents[2]
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain", "-uno", "vswipe/training", "vswipe/nets", "scripts"],
                               cwd=root, capture_output=True, text=True, check=True)  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("VSWIPE_REVISION", "unknown")
    return commit.stdout.strip() + ("+" if dirty.stdout.strip() else "")


class Trainer:
    """One run.

    Args:
        settings: of the run; where the folder holds a checkpoint, its network options must be the same.
        folder: of the run.
        footage: of the training part.
        validation: windows to measure on, never trained on; None measures nothing.
        call: how the network is called.
        start: file of weights that a new run begins with, instead of from nothing.

    Raises:
        ValueError: the folder holds another network's run, or the weights are another network's.
    """

    def __init__(self, settings: Settings, folder: Path, footage: Footage, validation: ValidationSet | None = None,
                 call: Call | None = None, start: Path | None = None) -> None:  # fmt: skip
        self.settings, self.folder, self.footage, self.validation = settings, folder, footage, validation
        self.device = torch.device(settings.device)
        torch.set_num_threads(settings.threads)
        cv2.setNumThreads(1)
        torch.manual_seed(settings.seed)
        self.net = net = nets.create(settings.name, start, **settings.options).to(self.device).train()
        if settings.channels_last:
            for parameter in net.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.call = call or (call_mask_free if spec(net).mask_free else call_inpaint)
        self.optimizer = torch.optim.AdamW(parameter_groups(net, settings.slower), settings.peak_rate, settings.betas,
                                           weight_decay=0.0)  # fmt: skip
        self.average = Average(self.net, settings.decay)
        self.critic: losses.TemporalPatchGAN | None = None
        if settings.weights.adversarial:
            self.critic = losses.TemporalPatchGAN().to(self.device)
            self.critic_optimizer = torch.optim.AdamW(self.critic.parameters(), settings.peak_rate, (0.0, 0.99))
        self.step, self.parts, self.shown = 0, 0, 0
        self.curve: list[dict[str, Any]] = []
        self.revisions: list[str] = []
        self.began = "" if start is None else f"{start.name}, sha256 {hashlib.sha256(start.read_bytes()).hexdigest()}"
        self.clock = Clock()
        if self.checkpoint.is_file():
            self._resume()
        self.parts += 1
        # Of the code that runs, not of the checkout by the time it is saved.
        if revision() not in self.revisions:
            self.revisions.append(revision())

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def progress(self) -> float:
        """Share of the budget that is spent; with two budgets the one that is further."""
        spent = self.clock.cpu_seconds if self.settings.processor_time else self.clock.seconds
        of_time = spent / max(60.0 * self.settings.minutes, 1e-9)
        return max(of_time, self.step / self.settings.steps if self.settings.steps else 0.0)

    def run(self, save_every: float = 180.0, measure_every: float = 300.0, print_every: float = 30.0) -> None:
        """Train until the budget is spent; intervals are seconds of training."""
        settings = self.settings
        # Every part of a run draws anew: the same windows again would be learned by heart.
        seed = settings.seed * 1000 + self.parts
        windows = WindowStream(self.footage, settings.shape, seed)
        stream = BatchStream(windows, settings.pool, settings.reuse, settings.batch, seed)
        forward: Any = torch.compile(self.net) if settings.compile else self.net
        self.clock.skip()
        batches = open_batches(stream, settings.workers)
        upcoming = next(batches)  # fills the pool
        seen: dict[int, int] = {}
        self.clock.longest = 120.0  # the pool is work, but no step
        self.clock.tick()
        self.clock.longest = 5.0
        saved = measured = printed = self.clock.seconds
        sums: dict[str, float] = {}
        count = 0
        while self.progress < 1.0:
            seen[int(upcoming.pop("worker"))] = int(upcoming.pop("seen"))
            batch = {name: tensor.to(self.device) for name, tensor in upcoming.items()}
            terms = self._step(forward, batch)
            upcoming = next(batches)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            self.shown += settings.batch
            seconds = self.clock.tick()
            if seconds - printed >= print_every or self.progress >= 1.0:
                means = {name: value / count for name, value in sums.items()}
                self._note({"losses": means, "windows": sum(seen.values())})
                sums, count, printed = {}, 0, seconds
            if self.validation is not None and seconds - measured >= measure_every and self.progress < 1.0:
                self._note({"validation": self.measure(self.validation.brief())})
                measured = seconds
            if seconds - saved >= save_every and self.progress < 1.0:
                self.save()
                saved = seconds
            self.clock.skip()
        self.save()
        if self.validation is not None:
            # The same windows as along the way, so that the curve is one; the whole table is `--measure`'s.
            self._note({"validation": self.measure(self.validation.brief())})
            self.save()

    def _step(self, forward: nn.Module, batch: dict[str, Tensor]) -> dict[str, float]:
        settings = self.settings
        rate = learning_rate(self.progress, settings.peak_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        seen = None
        with autocast(self.device, settings.half):
            if settings.weights.perception:
                output, seen = call_perceiving(self.net, batch)
            else:
                output = self.call(forward, batch)
        total, terms = losses.weighted_sum(settings.weights, output, batch, seen)
        if self.critic is not None:
            total = total + settings.weights.adversarial * self._adversarial(output.float(), batch["truth"], terms)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), settings.clip_norm)
        if bool(torch.isfinite(norm)):  # a step into infinity would end the run
            self.optimizer.step()
            self.average.update(self.net)
        self.step += 1
        return {"total": float(total.detach()), "norm": float(norm), **terms}

    def _adversarial(self, output: Tensor, truth: Tensor, terms: dict[str, float]) -> Tensor:
        assert self.critic is not None
        against = losses.discriminator_hinge(self.critic(truth), self.critic(output.detach()))
        self.critic_optimizer.zero_grad(set_to_none=True)
        against.backward()
        self.critic_optimizer.step()
        terms["critic"] = float(against.detach())
        return losses.generator_hinge(self.critic(output))

    def averaged(self) -> nn.Module:
        """A copy of the network with the averaged weights, ready to run."""
        net = nets.create(self.settings.name, **self.settings.options).to(self.device)
        net.load_state_dict(self.average.state)
        return net.eval()

    def measure(self, validation: ValidationSet) -> dict[str, Any]:
        """Validation table of the averaged weights."""
        net = self.averaged()
        return validation.measure(lambda batch: self.call(net, batch), self.device)

    def _note(self, what: dict[str, Any]) -> None:
        entry = {"step": self.step, "seconds": round(self.clock.seconds, 1),
                 "cpu_seconds": round(self.clock.cpu_seconds, 1),
                 "rate": learning_rate(self.progress, self.settings.peak_rate), **what}  # fmt: skip
        self.curve.append(entry)
        print(curve.line(entry), file=sys.stderr, flush=True)

    def save(self) -> None:
        """Write the checkpoint and the curve; a reader never sees half a file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {
            "net": self.net.state_dict(), "average": self.average.state, "average_steps": self.average.steps,
            "optimizer": self.optimizer.state_dict(), "step": self.step, "parts": self.parts, "shown": self.shown,
            "seconds": self.clock.seconds, "cpu_seconds": self.clock.cpu_seconds, "curve": self.curve,
            "settings": asdict(self.settings), "revisions": self.revisions, "device": describe(self.device),
            "began": self.began,
        }  # fmt: skip
        if self.critic is not None:
            state["critic"] = self.critic.state_dict()
            state["critic_optimizer"] = self.critic_optimizer.state_dict()
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.checkpoint)
        curve.write(self.folder, self.curve, {"settings": state["settings"], "revisions": self.revisions})

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        made = state["settings"]
        for what in ("name", "options"):
            wanted = getattr(self.settings, what)
            if made[what] != wanted:
                raise ValueError(f"Trainer: {what} must be the checkpoint's {made[what]}, got {wanted}")
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.state, self.average.steps = state["average"], state["average_steps"]
        self.step, self.parts, self.curve = state["step"], state["parts"], state["curve"]
        self.shown, self.revisions, self.began = state["shown"], state["revisions"], state.get("began", "")
        self.clock = Clock(state["seconds"], state["cpu_seconds"])
        if self.critic is not None and "critic" in state:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimizer.load_state_dict(state["critic_optimizer"])


def autocast(device: torch.device, half: str) -> contextlib.AbstractContextManager[Any]:
    """Mixed precision: "no", "bf16" or "fp16"; float32 on processors that only emulate bf16.

    Raises:
        ValueError: another word.
    """
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    if half == "no":
        return contextlib.nullcontext()
    if half not in kinds:
        raise ValueError(f"autocast: half must be no, bf16 or fp16, got {half}")
    if device.type == "cpu" and not has_fast_bf16(device):
        return contextlib.nullcontext()
    return torch.autocast(device.type, kinds[half])


def describe(device: torch.device) -> str:
    """A device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
