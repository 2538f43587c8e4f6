"""Train vswipe's own network, which corrects what copying decided: `models/wipe_v1.safetensors`.

    python scripts/train_wipe.py data --data DATA --minutes 45      # runs the copy stage over training clips
    python scripts/train_wipe.py data --data DATA --minutes 10 --stills --first 50000    # single frames: no copies
    python scripts/train_wipe.py train --data DATA --run runs/wipe --minutes 60
    python scripts/train_wipe.py train --data DATA --run runs/wipe2 --start models/wipe_v1.safetensors
    python scripts/train_wipe.py measure --data DATA --weights models/wipe_v1.safetensors runs/other.safetensors
    python scripts/train_wipe.py export --run runs/wipe --to models/wipe_v1.safetensors
    python scripts/train_wipe.py train --smoke

Training may begin when there are some files and takes in those that come later. It goes on where it was; `--minutes`
counts all of its parts. A tenth of the training families only measures; validation clips are never read.
"""

from __future__ import annotations

import argparse
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
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe import nets
from vswipe.engine.wipefill import WipeFill
from vswipe.nets.weights import begin_with
from vswipe.training import wipe_data, wipe_measure
from vswipe.training.loop import autocast
from vswipe.training.run import Run, write_weights
from vswipe.training.wipe_set import (
    CROP,
    Batch,
    CropStream,
    SampleSet,
    apply,
    batch_of,
    choice_loss,
    crop_of,
    kind_of,
    loss_of,
    squared_error,
    window_files,
)

MEASURED, MEASURED_CROP = 6, (96, 160)  # crops of every held-out window, and their size


@dataclass(frozen=True)
class Settings:
    """Of one run; sized for an hour of one processor core."""

    name: ClassVar[str] = "wipe"
    width: float = 1.0
    bottom: int = 64
    depth: int = 3
    generate: bool = True
    rim: bool = True
    batch: int = 12
    peak_rate: float = 2e-3
    decay: float = 0.998  # of the averaged weights
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    choice: float = 0.05  # share of `choice_loss`
    half: str = "bf16"
    seed: int = 1
    minutes: float = 60.0
    crop: tuple[int, int] = CROP
    workers: int = 0
    device: str = "cpu"

    @property
    def options(self) -> dict[str, Any]:
        """Of the network."""
        return {"width": self.width, "bottom": self.bottom, "depth": self.depth, "generate": self.generate,
                "rim": self.rim}  # fmt: skip


class Trainer(Run[Settings, Batch]):
    """One run.

    Args:
        settings: see there.
        folder: of the run.
        data: folder of samples.
        start: file of weights that a new run begins with, instead of from nothing; of a smaller network, too.

    Raises:
        ValueError: there are no samples, the folder holds a run of another network, or the weights do not fit.
    """

    def __init__(self, settings: Settings, folder: Path, data: Path, start: Path | None = None) -> None:
        torch.manual_seed(settings.seed)
        net = nets.create(settings.name, **settings.options)
        if start is not None:
            begin_with(net, start)
        net = net.to(torch.device(settings.device)).to(memory_format=torch.channels_last).train()
        rate, decay = settings.peak_rate, settings.weight_decay
        self.data, self.held_out = data, SampleSet(data, True)
        if not self.num_windows:
            raise ValueError(f"train_wipe: data must hold files of `train_wipe.py data`, got none in {data}")
        super().__init__(settings, folder, net, torch.optim.AdamW(net.parameters(), rate, weight_decay=decay))

    @property
    def num_windows(self) -> int:
        """Files to train on, by now."""
        return len(window_files(self.data, False))

    def batches(self) -> Iterator[Batch]:
        """See `Run`."""
        settings = self.settings
        stream = CropStream(self.data, settings.batch, settings.crop, settings.seed * 1000 + self.parts)
        # Whichever worker is first: one whose files are still to come must not hold up the others.
        several: dict[str, Any] = {"prefetch_factor": 4, "in_order": False} if settings.workers else {}
        for batch in DataLoader(stream, batch_size=None, num_workers=settings.workers, **several):
            yield batch.to(self.device)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Errors over those of the copy stage, and a little of how the weights should be."""
        with autocast(self.device, self.settings.half):
            logits, residual = self.net(batch.found)
        with torch.no_grad():
            base = apply(batch, torch.zeros_like(logits), torch.zeros_like(residual))
        total, terms = loss_of(batch, apply(batch, logits, residual), base)
        choice = choice_loss(batch, logits)
        return total + self.settings.choice * choice, {"choice": float(choice.detach()), **terms}

    @torch.inference_mode()
    def validate(self) -> dict[str, Any]:
        """PSNR over the held-out windows by kind of mark, of the copy stage and with the network's parts."""
        net = self.averaged()
        self.held_out.refresh()
        gathered: dict[str, list[dict[str, float]]] = {}
        for name, samples in self.held_out.windows.items():
            chosen = samples[:: max(1, len(samples) // MEASURED)][:MEASURED]
            if not chosen:
                continue
            batch = batch_of([crop_of(sample, None, MEASURED_CROP) for sample in chosen]).to(self.device)
            with autocast(self.device, self.settings.half):
                logits, residual = net(batch.found)
            row = {}
            for what, (a, b) in {"base": (0, 0), "weights": (1, 0), "residual": (0, 1), "net": (1, 1)}.items():
                error, number = squared_error(batch, apply(batch, a * logits, b * residual))
                row[what] = 10 * float(torch.log10(255**2 / (error.sum() / number.sum()).clamp(min=0.65)))
            gathered.setdefault(kind_of(name), []).append(row)
        return {
            kind: {what: {"psnr": float(np.mean([row[what] for row in rows]))} for what in rows[0]}
            | {"windows": len(rows), "worst": min(row["net"] - row["base"] for row in rows)}
            for kind, rows in sorted(gathered.items())
        }


def smoke() -> None:
    """A few tiny steps on what the copy stage finds in noise."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        wipe_data.make_noise(data)
        trainer = Trainer(Settings(minutes=0.05, batch=2, crop=(48, 64)), Path(folder) / "run", data)
        trainer.run()
        print(f"wipe: {trainer.step} steps in {trainer.clock.seconds:.1f} s")


def measure(folder: Path, files: list[Path]) -> None:
    """Print what the engine would gain on the held-out samples with each of some weights.

    Raises:
        ValueError: there are no weights or no such samples.
    """
    if not files:
        raise ValueError("measure: --weights must name at least one file")
    data = SampleSet(folder, True)
    if not data.num_samples:
        raise ValueError(f"measure: data must hold held-out files of `train_wipe.py data`, got none in {folder}")
    fills = {str(file): WipeFill(nets.create(Settings.name, file), torch.device("cpu"), False) for file in files}
    print(wipe_measure.table({name: wipe_measure.measure(fill, data) for name, fill in fills.items()}))


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["data", "train", "measure", "export"])
    parser.add_argument("--data", type=Path, default=Path("runs/wipe_data"), help="folder of samples")
    parser.add_argument("--run", type=Path, default=Path("runs/wipe"), help="folder of checkpoint and curve")
    parser.add_argument("--to", type=Path, default=Path("models/wipe_v1.safetensors"))
    parser.add_argument(
        "--between", type=Path, nargs="+", default=[], help="export the mean of the run's weights and these"
    )
    parser.add_argument("--weights", type=Path, nargs="+", default=[], help="measure these, beside each other")
    parser.add_argument("--minutes", type=float, default=Settings.minutes, help="of data, or of all parts of a run")
    parser.add_argument("--first", type=int, default=0, help="number of the first window to make")
    parser.add_argument("--stills", action="store_true", help="make single frames, which have no copies")
    parser.add_argument("--width", type=float, default=Settings.width, help="multiplier of the channels")
    parser.add_argument("--bottom", type=int, default=Settings.bottom, help="channels at a quarter of the resolution")
    parser.add_argument("--depth", type=int, default=Settings.depth, help="layers there")
    parser.add_argument("--no-generate", action="store_true", help="without the generative part")
    parser.add_argument("--no-rim", action="store_true", help="blind to how the copies fit beside the hole")
    parser.add_argument("--batch", type=int, default=Settings.batch)
    parser.add_argument("--rate", type=float, default=Settings.peak_rate, help="largest learning rate")
    parser.add_argument("--start", type=Path, default=None, help="weights that a new run begins with")
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that cut crops; for a GPU")
    parser.add_argument("--device", default=Settings.device)
    parser.add_argument("--smoke", action="store_true", help="a few tiny steps on noise, in a temporary folder")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    if args.smoke:
        smoke()
        return 0
    try:
        if args.what == "data":
            make = wipe_data.make_stills if args.stills else wipe_data.make
            wipe_data.make_many(args.data, args.minutes, args.first, make)
        elif args.what == "export":
            write_weights(args.run, args.to, args.between)
        elif args.what == "measure":
            measure(args.data, args.weights)
        else:
            settings = Settings(width=args.width, bottom=args.bottom, depth=args.depth,
                                generate=not args.no_generate, rim=not args.no_rim, batch=args.batch,
                                peak_rate=args.rate, minutes=args.minutes, seed=args.seed, workers=args.workers,
                                device=args.device)  # fmt: skip
            Trainer(settings, args.run, args.data, args.start).run()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
