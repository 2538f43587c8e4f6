"""Train the learned completion of motion: `models/flow_v1.safetensors`.

    python scripts/train_flow.py data --data DATA --minutes 20      # runs the copy stage over training clips
    python scripts/train_flow.py train --data DATA --run runs/flow --minutes 25
    python scripts/train_flow.py export --run runs/flow --to models/flow_v1.safetensors
    python scripts/train_flow.py train --smoke

Training may begin when there are some files and takes in those that come later. It goes on where it was; `--minutes`
counts all of its parts. A tenth of the training families only measures; validation clips are never read.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe import nets
from vswipe.nets import weights
from vswipe.training import curve, flow_data, wipe_data
from vswipe.training.flow_set import Batch, PairSet, batch_of, crop_of, errors, loss_of
from vswipe.training.loop import autocast, revision
from vswipe.training.schedule import Average, Clock, learning_rate

SAVE, PRINT, MEASURE = 120.0, 30.0, 300.0  # seconds
MEASURED, MEASURED_CROP = 6, (64, 112)  # crops of every held-out window, and their size


@dataclass(frozen=True)
class Settings:
    """Of one run."""

    width: float = 1.0
    batch: int = 12
    peak_rate: float = 2e-3
    decay: float = 0.998  # of the averaged weights
    weight_decay: float = 1e-2
    seed: int = 1
    minutes: float = 25.0


class Trainer:
    """One run: a folder with `checkpoint.pt`, `curve.json` and `curve.png`.

    Args:
        settings: see there.
        folder: of the run.
        data: folder of samples.
        start: file of weights that a new run begins with, instead of from nothing.

    Raises:
        ValueError: there are no samples, or the weights do not fit.
    """

    def __init__(self, settings: Settings, folder: Path, data: Path, start: Path | None = None) -> None:
        self.settings, self.folder = settings, folder
        torch.manual_seed(settings.seed)
        self.net = nets.create("flow", start, width=settings.width).to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), settings.peak_rate,
                                           weight_decay=settings.weight_decay)  # fmt: skip
        self.average = Average(self.net, settings.decay)
        self.pairs, self.held_out = PairSet(data, False), PairSet(data, True)
        if not self.pairs.windows:
            raise ValueError(f"train_flow: data must hold files of `train_flow.py data`, got none in {data}")
        self.step, self.parts, self.clock = 0, 0, Clock()
        self.curve: list[dict[str, Any]] = []
        self.revisions: list[str] = []
        if self.checkpoint.is_file():
            self._resume()
        self.parts += 1
        if revision() not in self.revisions:
            self.revisions.append(revision())

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        return self.clock.seconds / max(60.0 * self.settings.minutes, 1e-9)

    def run(self) -> None:
        """Train until the budget is spent."""
        rng = np.random.default_rng([self.settings.seed, self.parts])  # every part draws anew
        saved = measured = printed = self.clock.seconds
        sums: dict[str, float] = {}
        count = 0
        self.clock.skip()
        while self.progress < 1.0:
            for name, value in self._step(self.pairs.batch(rng, self.settings.batch)).items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            seconds = self.clock.tick()
            if seconds - printed >= PRINT or self.progress >= 1.0:
                self._note({"losses": {name: value / count for name, value in sums.items()},
                            "windows": len(self.pairs.windows)})  # fmt: skip
                sums, count, printed = {}, 0, seconds
            if seconds - measured >= MEASURE and self.progress < 1.0:
                self._note({"validation": self.measure()})
                measured = seconds
            if seconds - saved >= SAVE:
                self.save()
                saved = seconds
            self.clock.skip()
        self.held_out.refresh()
        self._note({"validation": self.measure()})
        self.save()

    def _step(self, batch: Batch) -> dict[str, float]:
        rate = learning_rate(self.progress, self.settings.peak_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with autocast(torch.device("cpu"), "bf16"):
            added = self.net(batch.planes, batch.measured, batch.affine)
        total, terms = loss_of(batch, added)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
            self.average.update(self.net)
        self.step += 1
        return {"total": float(total.detach()), "norm": float(norm), **terms}

    @torch.inference_mode()
    def measure(self) -> dict[str, Any]:
        """Over the held-out windows by kind of mark: error of the motion in cells, and of what is seen along it in
        levels, for the three motions that were there and the network's."""
        net = nets.create("flow", width=self.settings.width)
        net.load_state_dict(self.average.state)
        gathered: dict[str, list[dict[str, dict[str, float]]]] = {}
        for name, samples in self.held_out.windows.items():
            chosen = samples[:: max(1, len(samples) // MEASURED)][:MEASURED]
            batch = batch_of([crop_of(sample, None, MEASURED_CROP) for sample in chosen])
            added = net.eval()(batch.planes, batch.measured, batch.affine)
            row = {}
            for what, more in {"base": torch.zeros_like(added), "measured": batch.measured,
                               "affine": batch.affine, "net": added}.items():  # fmt: skip
                length, seen = errors(batch, batch.diffused + more * batch.guard)
                row[what] = {"cells": float(length.mean()), "levels": float(seen.mean())}
            gathered.setdefault(name.split("_")[1], []).append(row)
        return {kind: _means(rows) for kind, rows in sorted(gathered.items())}

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
            "settings": asdict(self.settings), "revisions": self.revisions, "windows": len(self.pairs.windows),
        }  # fmt: skip
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.checkpoint)
        curve.write(self.folder, self.curve, {"settings": state["settings"], "revisions": self.revisions})

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.state, self.average.steps = state["average"], state["average_steps"]
        self.step, self.parts, self.curve = state["step"], state["parts"], state["curve"]
        self.revisions, self.clock = state["revisions"], Clock(state["seconds"], state["cpu_seconds"])


def _means(rows: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Over windows; with the mean difference in dB below 255, which the curve shows."""
    out: dict[str, Any] = {"windows": len(rows)}
    for what in rows[0]:
        mean = {key: float(np.mean([row[what][key] for row in rows])) for key in rows[0][what]}
        out[what] = {**mean, "psnr": 20 * math.log10(255 / max(mean["levels"], 0.1))}
    return out


def export(run: Path, to: Path) -> None:
    """The averaged weights in half precision, and the curve beside them."""
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    net = nets.create("flow", width=state["settings"]["width"])
    net.load_state_dict(state["average"])
    to.parent.mkdir(parents=True, exist_ok=True)
    weights.save(net, to, settings=state["settings"])
    for kind in ("json", "png"):
        to.with_name(f"{to.stem}_curve.{kind}").write_bytes((run / f"curve.{kind}").read_bytes())
    print(f"{to}: step {state['step']}, {state['seconds'] / 60:.1f} min ({state['cpu_seconds'] / 60:.1f} of processor "
          f"time), {state['windows']} windows")  # fmt: skip


def smoke() -> None:
    """A few tiny steps on noise."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        flow_data.make_noise(data)
        trainer = Trainer(Settings(minutes=0.05, batch=2), Path(folder) / "run", data)
        trainer.run()
        print(f"flow: {trainer.step} steps in {trainer.clock.seconds:.1f} s")


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["data", "train", "export"])
    parser.add_argument("--data", type=Path, default=Path("runs/flow_data"), help="folder of samples")
    parser.add_argument("--run", type=Path, default=Path("runs/flow"), help="folder of checkpoint and curve")
    parser.add_argument("--to", type=Path, default=Path("models/flow_v1.safetensors"))
    parser.add_argument("--minutes", type=float, default=Settings.minutes, help="of data, or of all parts of a run")
    parser.add_argument("--first", type=int, default=0, help="number of the first window to make")
    parser.add_argument("--width", type=float, default=Settings.width, help="multiplier of the channels")
    parser.add_argument("--batch", type=int, default=Settings.batch)
    parser.add_argument("--rate", type=float, default=Settings.peak_rate, help="largest learning rate")
    parser.add_argument("--start", type=Path, default=None, help="weights that a new run begins with")
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--smoke", action="store_true", help="a few tiny steps on noise, in a temporary folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.smoke:
        smoke()
        return 0
    try:
        if args.what == "data":
            wipe_data.make_many(args.data, args.minutes, args.first, flow_data.make)
        elif args.what == "export":
            export(args.run, args.to)
        else:
            settings = Settings(width=args.width, batch=args.batch, peak_rate=args.rate, minutes=args.minutes,
                                seed=args.seed)  # fmt: skip
            Trainer(settings, args.run, args.data, args.start).run()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
