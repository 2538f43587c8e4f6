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
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe import nets
from vswipe.nets.weights import begin_with
from vswipe.training import flow_data, wipe_data
from vswipe.training.flow_set import Batch, PairSet, batch_of, crop_of, errors, loss_of
from vswipe.training.loop import autocast
from vswipe.training.run import Run, write_weights

MEASURED, MEASURED_CROP = 6, (64, 112)  # crops of every held-out window, and their size


@dataclass(frozen=True)
class Settings:
    """Of one run."""

    name: ClassVar[str] = "flow"
    device: ClassVar[str] = "cpu"  # two cores make windows no faster than one of them learns from them
    clip_norm: ClassVar[float] = 1.0
    width: float = 1.0
    batch: int = 12
    peak_rate: float = 2e-3
    decay: float = 0.998  # of the averaged weights
    weight_decay: float = 1e-2
    seed: int = 1
    minutes: float = 25.0

    @property
    def options(self) -> dict[str, Any]:
        """Of the network."""
        return {"width": self.width, "steps": True}


class Trainer(Run[Settings, Batch]):
    """One run.

    Args:
        settings: see there.
        folder: of the run.
        data: folder of samples.
        start: file of weights that a new run begins with, instead of from nothing.

    Raises:
        ValueError: there are no samples, the folder holds a run of another network, or the weights do not fit.
    """

    def __init__(self, settings: Settings, folder: Path, data: Path, start: Path | None = None) -> None:
        torch.manual_seed(settings.seed)
        net = nets.create(settings.name, **settings.options).to(memory_format=torch.channels_last).train()
        if start is not None:
            begin_with(net, start)
        rate, decay = settings.peak_rate, settings.weight_decay
        self.pairs, self.held_out = PairSet(data, False), PairSet(data, True)
        if not self.pairs.windows:
            raise ValueError(f"train_flow: data must hold files of `train_flow.py data`, got none in {data}")
        super().__init__(settings, folder, net, torch.optim.AdamW(net.parameters(), rate, weight_decay=decay))

    @property
    def num_windows(self) -> int:
        """Windows to train on, by now."""
        return len(self.pairs.windows)

    def batches(self) -> Iterator[Batch]:
        """See `Run`."""
        rng = np.random.default_rng([self.settings.seed, self.parts])
        while True:
            yield self.pairs.batch(rng, self.settings.batch)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Errors over those of the diffused motion."""
        with autocast(self.device, "bf16"):
            added = self.net(batch.planes, batch.measured, batch.affine)
        return loss_of(batch, added)

    @torch.inference_mode()
    def validate(self) -> dict[str, Any]:
        """Over the held-out windows by kind of mark: error of the motion in cells, and of what is seen along it in
        levels, for the three motions that were there and the network's."""
        net = self.averaged()
        self.held_out.refresh()
        gathered: dict[str, list[dict[str, dict[str, float]]]] = {}
        for name, samples in self.held_out.windows.items():
            chosen = samples[:: max(1, len(samples) // MEASURED)][:MEASURED]
            batch = batch_of([crop_of(sample, None, MEASURED_CROP) for sample in chosen])
            added = net(batch.planes, batch.measured, batch.affine)
            row = {}
            for what, more in {"base": torch.zeros_like(added), "measured": batch.measured,
                               "affine": batch.affine, "net": added}.items():  # fmt: skip
                length, seen = errors(batch, batch.diffused + more * batch.guard)
                row[what] = {"cells": float(length.mean()), "levels": float(seen.mean())}
            gathered.setdefault(name.split("_")[1], []).append(row)
        return {kind: _means(rows) for kind, rows in sorted(gathered.items())}


def _means(rows: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Over windows; with the mean difference in dB below 255, which the curve shows."""
    out: dict[str, Any] = {"windows": len(rows)}
    for what in rows[0]:
        mean = {key: float(np.mean([row[what][key] for row in rows])) for key in rows[0][what]}
        out[what] = {**mean, "psnr": 20 * math.log10(255 / max(mean["levels"], 0.1))}
    return out


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
            write_weights(args.run, args.to)
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
