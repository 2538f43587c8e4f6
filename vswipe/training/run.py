"""What every training has: a folder that can be gone on with, a budget of time, averaged weights, a curve.

A run is a folder: `checkpoint.pt` (everything needed to go on), `curve.json` and `curve.png`. Started again with the
same folder it goes on where it was; `minutes` counts all of its parts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from vswipe import nets
from vswipe.nets import weights

from . import curve
from .schedule import Average, Clock, learning_rate


class RunSettings(Protocol):
    """What a run must know.

    Args:
        name: of the network in `vswipe.nets`.
        options: for `nets.create`.
        peak_rate: of the optimiser.
        clip_norm: gradients longer than this are shortened.
        decay: of the averaged weights, per step.
        minutes: budget.
        device: torch's name.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str: ...
    @property
    def options(self) -> dict[str, Any]: ...
    @property
    def peak_rate(self) -> float: ...
    @property
    def clip_norm(self) -> float: ...
    @property
    def decay(self) -> float: ...
    @property
    def minutes(self) -> float: ...
    @property
    def device(self) -> str: ...


class Run[S: RunSettings, Batch](ABC):
    """One run of one network.

    Args:
        settings: of the run; where the folder holds a checkpoint, its network must be the same.
        folder: of the run.
        net: on its device.
        optimizer: of its parameters; a group's "share" says at which part of the rate it learns.

    Raises:
        ValueError: the folder holds another network's run.
    """

    def __init__(self, settings: S, folder: Path, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.settings, self.folder, self.net, self.optimizer = settings, folder, net, optimizer
        self.device = torch.device(settings.device)
        self.average = Average(net, settings.decay)
        self.step, self.parts, self.clock = 0, 0, Clock()
        self.curve: list[dict[str, Any]] = []
        self.revisions: list[str] = []
        if self.checkpoint.is_file():
            self._resume()
        self.parts += 1
        # Of the code that runs, not of the checkout by the time it is saved.
        if revision() not in self.revisions:
            self.revisions.append(revision())

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Batches without end; every part of a run must draw anew: the same again would be learned by heart."""

    @abstractmethod
    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and what the curve says of it."""

    @abstractmethod
    def validate(self) -> dict[str, Any]:
        """The table of the averaged weights that the curve shows; nothing where nothing is held out."""

    @property
    @abstractmethod
    def num_windows(self) -> int:
        """Windows to train on, or seen, by now."""

    def more_state(self) -> dict[str, Any]:
        """What a checkpoint holds beside network, optimiser, average and clock."""
        return {}

    def take_state(self, state: dict[str, Any]) -> None:  # noqa: B027 - most have no more
        """Go on with what `more_state` gave."""

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        return self.clock.seconds / max(60.0 * self.settings.minutes, 1e-9)

    def run(self, save_every: float = 180.0, measure_every: float = 300.0, print_every: float = 30.0) -> None:
        """Train until the budget is spent; intervals are seconds of training."""
        self.clock.skip()
        batches = self.batches()
        upcoming = next(batches)
        self.clock.longest, longest = 120.0, self.clock.longest  # the first batch is work, but no step
        self.clock.tick()
        self.clock.longest = longest
        saved = measured = printed = self.clock.seconds
        sums: dict[str, float] = {}
        count = 0
        while self.progress < 1.0:
            terms = self._step(upcoming)
            upcoming = next(batches)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            seconds = self.clock.tick()
            if seconds - printed >= print_every or self.progress >= 1.0:
                means = {name: value / count for name, value in sums.items()}
                self._note({"losses": means, "windows": self.num_windows})
                sums, count, printed = {}, 0, seconds
            if seconds - measured >= measure_every and self.progress < 1.0:
                self._validate()
                measured = seconds
            if seconds - saved >= save_every and self.progress < 1.0:
                self.save()
                saved = seconds
            self.clock.skip()
        self.save()
        self._validate()
        self.save()

    def _step(self, batch: Batch) -> dict[str, float]:
        rate = learning_rate(self.progress, self.settings.peak_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        total, terms = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip_norm)
        if bool(torch.isfinite(norm)):  # a step into infinity would end the run
            self.optimizer.step()
            self.average.update(self.net)
        self.step += 1
        return {"total": float(total.detach()), "norm": float(norm), **terms}

    def averaged(self) -> nn.Module:
        """A copy of the network with the averaged weights, ready to run."""
        net = nets.create(self.settings.name, **self.settings.options).to(self.device)
        net.load_state_dict(self.average.state)
        return net.eval()

    def _validate(self) -> None:
        table = self.validate()
        if table:
            self._note({"validation": table})

    def _note(self, what: dict[str, Any]) -> None:
        entry = {"step": self.step, "seconds": round(self.clock.seconds, 1),
                 "cpu_seconds": round(self.clock.cpu_seconds, 1),
                 "rate": learning_rate(self.progress, self.settings.peak_rate), **what}  # fmt: skip
        self.curve.append(entry)
        print(curve.line(entry), file=sys.stderr, flush=True)

    def save(self) -> None:
        """Write the checkpoint and the curve; a reader never sees half a file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "net": self.net.state_dict(), "average": self.average.state, "average_steps": self.average.steps,
            "optimizer": self.optimizer.state_dict(), "step": self.step, "parts": self.parts,
            "seconds": self.clock.seconds, "cpu_seconds": self.clock.cpu_seconds, "curve": self.curve,
            "name": self.settings.name, "options": self.settings.options, "settings": asdict(self.settings),
            "revisions": self.revisions, "windows": self.num_windows, **self.more_state(),
        }  # fmt: skip
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.checkpoint)
        curve.write(self.folder, self.curve, {"settings": state["settings"], "revisions": self.revisions})

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        for what in ("name", "options"):
            wanted = getattr(self.settings, what)
            if state[what] != wanted:
                raise ValueError(f"training: {what} must be the checkpoint's {state[what]}, got {wanted}")
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.state, self.average.steps = state["average"], state["average_steps"]
        self.step, self.parts, self.curve = state["step"], state["parts"], state["curve"]
        self.revisions, self.clock = state["revisions"], Clock(state["seconds"], state["cpu_seconds"])
        self.take_state(state)


def write_weights(folder: Path, to: Path, between: Sequence[Path] = ()) -> None:
    """The averaged weights of a run in half precision, and its curve beside them.

    Args:
        folder: of the run.
        to: file of weights.
        between: weights that the run began with, or others of its ancestry: what is written is the mean of all. Between
            two networks of which one began as the other there is no hill, and what either learned by heart is halved
            (Wortsman et al., ICML 2022, "Model soups", https://arxiv.org/abs/2203.05482, there of fine-tuned siblings).

    Raises:
        ValueError: the folder holds no run, or the weights do not fit.
    """
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.is_file():
        raise ValueError(f"training: run must be a folder with a checkpoint, got {folder}")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net = nets.create(state["name"], **state["options"])
    net.load_state_dict(state["average"])
    states = [net.state_dict()]
    for path in between:
        other = nets.create(state["name"], **state["options"])
        weights.begin_with(other, path)
        states.append(other.state_dict())
    net.load_state_dict({name: torch.stack([s[name] for s in states]).mean(0) if value.is_floating_point() else value
                         for name, value in states[0].items()})  # fmt: skip
    to.parent.mkdir(parents=True, exist_ok=True)
    weights.save(net, to, settings=state["settings"])
    copy_curve(folder, to)
    print(f"{to}: step {state['step']}, {state['seconds'] / 60:.1f} min ({state['cpu_seconds'] / 60:.1f} of processor "
          f"time), {state['windows']} windows")  # fmt: skip


def copy_curve(folder: Path, to: Path) -> None:
    """`curve.json` and `curve.png` of a run, beside the file of weights, under its name."""
    for kind in ("json", "png"):
        source = folder / f"curve.{kind}"
        if source.is_file():
            to.with_name(f"{to.stem}_curve.{kind}").write_bytes(source.read_bytes())


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
