"""What each part of vswipe's own network gives: validation cases with its parts switched off.

    python scripts/ablate_wipe.py --clips 8 --frames 24 --out scripts/results/wipe_parts.json

One network, trained as a whole: a part that is switched off is one whose last layer says nothing. The last row is all
of them without averaging along the motion (`restore.steady`), which stands where others have a state over time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import track

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe import nets
from vswipe.engine import region_job
from vswipe.nets import weights
from vswipe.nets.wipe import NUM_COPIES, Wipe
from vswipe.training import results
from vswipe.training.clips import validation_clips
from vswipe.training.evaluation import Task, evaluate

KINDS = ("sub", "subnogap", "logo", "dyn")
MEASURES = (("psnr", 2), ("ssim", 4), ("e_warp", 2))
_RESIDUAL = NUM_COPIES + 3
OUTPUTS = {"weights": slice(0, NUM_COPIES), "residual": slice(NUM_COPIES, _RESIDUAL), "fills": slice(_RESIDUAL, None)}
"""Channels of the last layer."""
LAYERS = {"mended": "mended", "generated": "generated"}
PARTS = (
    ("learned motion", ()),
    ("learned weights", ("weights",)),
    ("plain fills, residual", ("weights", "residual", "fills")),
    ("what is off beside the hole", ("weights", "residual", "fills", "mended")),
    ("generative part", ("weights", "residual", "fills", "mended", "generated")),
)
"""What each row adds to the one before."""


def silenced(net: Wipe, speaking: tuple[str, ...]) -> Wipe:
    """The network, of which only these parts still speak."""
    state = net.state_dict()
    for part, channels in OUTPUTS.items():
        if part not in speaking:
            for name in ("last.weight", "last.bias"):
                state[name][channels] = 0
    for part, layer in LAYERS.items():
        if part not in speaking:
            for name in state:
                if name.startswith(f"{layer}."):
                    state[name].zero_()
    net.load_state_dict(state)
    return net


@contextmanager
def unsteadied() -> Iterator[None]:
    """Frames as they were filled, each on its own."""
    before, region_job.STEADY = region_job.STEADY, 0
    try:
        yield
    finally:
        region_job.STEADY = before


def main() -> int:
    """Parse, run, print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="auto", help='"auto" or a file')
    parser.add_argument("--clips", type=int, default=8, help="validation clips, evenly chosen")
    parser.add_argument("--frames", type=int, default=24, help="frames per clip")
    parser.add_argument("--out", type=Path, help="write all rows to this JSON file")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    every = validation_clips(args.frames)
    if not every:
        print("ablate_wipe: no clips found; set VSWIPE_DATA to the folder that holds clips/", file=sys.stderr)
        return 1
    clips = [every[int(i)] for i in np.arange(min(args.clips, len(every))) * len(every) / min(args.clips, len(every))]
    log = Console(stderr=True)
    table: dict[str, list[dict[str, Any]]] = {}
    cases = [(kind, clip) for kind in KINDS for clip in clips]

    def measured(name: str, model: str, **settings: Any) -> None:
        table[name] = []
        for kind, clip in track(cases, name, console=log):
            task = Task(clip, kind, args.frames, (model,), settings=tuple(settings.items()))
            table[name] += [{**row, "method": name} for row in evaluate(task).rows]

    measured("copying", "copy")
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, speaking) in enumerate(PARTS):
            net: Any = nets.create("wipe", args.weights)
            path = weights.save(silenced(net, speaking), Path(folder) / f"{i}.safetensors")
            measured(f"+ {name}", "wipe", weights=str(path))
        with unsteadied():
            measured("all, each frame on its own", "wipe", weights=str(path))
    print(summary(table))
    if args.out:
        settings = {"clips": [clip.name for clip in clips], "frames": args.frames}
        results.save(args.out, settings, [row for rows in table.values() for row in rows])
    return 0


def summary(table: dict[str, list[dict[str, Any]]]) -> str:
    """Means by kind; PSNR as gain over the first row."""
    lines = []
    base = next(iter(table.values()))
    for name, rows in table.items():
        cells = [name]
        for key, digits in MEASURES:
            means = [results.mean(row[key] for row in rows if row["kind"] == kind) for kind in KINDS]
            if key == "psnr" and rows is not base:
                means = [value - results.mean(row[key] for row in base if row["kind"] == kind)
                         for value, kind in zip(means, KINDS, strict=True)]  # fmt: skip
            cells.append(" / ".join(results.number(value, digits, key == "psnr" and rows is not base)
                                    for value in means))  # fmt: skip
        lines.append(cells)
    return results.markdown([f"parts ({len(base) // len(KINDS)} clips)", "PSNR " + " / ".join(KINDS), "SSIM", "E_warp"],
                            lines)  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
