"""Training of a network that fills holes, on windows drawn while it trains: settings, batches, loss."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn

from vswipe import nets
from vswipe.ops.precision import has_fast_bf16

from . import losses
from .dataset import BatchStream, WindowShape, WindowStream, open_batches
from .footage import Footage
from .run import Run
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


class Trainer(Run[Settings, dict[str, Tensor]]):
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
        self.footage, self.validation = footage, validation
        device = torch.device(settings.device)
        torch.set_num_threads(settings.threads)
        cv2.setNumThreads(1)
        torch.manual_seed(settings.seed)
        net = nets.create(settings.name, start, **settings.options).to(device).train()
        if settings.channels_last:
            for parameter in net.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.forward: Any = torch.compile(net) if settings.compile else net
        self.call = call or (call_mask_free if spec(net).mask_free else call_inpaint)
        optimizer = torch.optim.AdamW(parameter_groups(net, settings.slower), settings.peak_rate, settings.betas,
                                      weight_decay=0.0)  # fmt: skip
        self.critic: losses.TemporalPatchGAN | None = None
        if settings.weights.adversarial:
            self.critic = losses.TemporalPatchGAN().to(device)
            self.critic_optimizer = torch.optim.AdamW(self.critic.parameters(), settings.peak_rate, (0.0, 0.99))
        self.shown = 0
        self.seen: dict[int, int] = {}  # windows by worker
        self.began = "" if start is None else f"{start.name}, sha256 {hashlib.sha256(start.read_bytes()).hexdigest()}"
        super().__init__(settings, folder, net, optimizer)

    @property
    def progress(self) -> float:
        """Share of the budget that is spent; with two budgets the one that is further."""
        spent = self.clock.cpu_seconds if self.settings.processor_time else self.clock.seconds
        of_time = spent / max(60.0 * self.settings.minutes, 1e-9)
        return max(of_time, self.step / self.settings.steps if self.settings.steps else 0.0)

    @property
    def num_windows(self) -> int:
        """Different windows seen in this part of the run."""
        return sum(self.seen.values())

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """See `Run`; the first one fills the pool."""
        settings = self.settings
        seed = settings.seed * 1000 + self.parts
        windows = WindowStream(self.footage, settings.shape, seed)
        stream = BatchStream(windows, settings.pool, settings.reuse, settings.batch, seed)
        for batch in open_batches(stream, settings.workers):
            self.seen[int(batch.pop("worker"))] = int(batch.pop("seen"))
            yield {name: tensor.to(self.device) for name, tensor in batch.items()}

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of the losses; the critic learns beside it."""
        settings = self.settings
        seen = None
        with autocast(self.device, settings.half):
            if settings.weights.perception:
                output, seen = call_perceiving(self.net, batch)
            else:
                output = self.call(self.forward, batch)
        total, terms = losses.weighted_sum(settings.weights, output, batch, seen)
        if self.critic is not None:
            total = total + settings.weights.adversarial * self._adversarial(output.float(), batch["truth"], terms)
        self.shown += settings.batch
        return total, terms

    def _adversarial(self, output: Tensor, truth: Tensor, terms: dict[str, float]) -> Tensor:
        assert self.critic is not None
        against = losses.discriminator_hinge(self.critic(truth), self.critic(output.detach()))
        self.critic_optimizer.zero_grad(set_to_none=True)
        against.backward()
        self.critic_optimizer.step()
        terms["critic"] = float(against.detach())
        return losses.generator_hinge(self.critic(output))

    def measure(self, validation: ValidationSet) -> dict[str, Any]:
        """Validation table of the averaged weights."""
        net = self.averaged()
        return validation.measure(lambda batch: self.call(net, batch), self.device)

    def validate(self) -> dict[str, Any]:
        """The same windows along the way and at the end, so that the curve is one; all of them are for `--measure`."""
        return {} if self.validation is None else self.measure(self.validation.brief())

    def more_state(self) -> dict[str, Any]:
        """See `Run`."""
        more = {"shown": self.shown, "device": describe(self.device), "began": self.began}
        if self.critic is not None:
            more |= {"critic": self.critic.state_dict(), "critic_optimizer": self.critic_optimizer.state_dict()}
        return more

    def take_state(self, state: dict[str, Any]) -> None:
        """See `Run`."""
        self.shown, self.began = state["shown"], state["began"]
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
