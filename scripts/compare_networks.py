"""Networks as the fill stage, alone (no other frame gives pixels) and under the copies, beside fills without a network.

    python scripts/compare_networks.py --networks rnot --out scripts/results/networks.json --sheets demo/networks
    python scripts/compare_networks.py --networks rnot opn=OPN.pth opn=OPN.pth:1 sttn=sttn.pth --clips 6

A network is NAME, NAME=FILE (weights, published or ours) or NAME=FILE:SHOTS: "opn=OPN.pth:1" is the single shot,
"opn=OPN.pth:0" as many as the hole is deep. Validation clips and drawn marks as in scripts/evaluate.py; the
table gives PSNR and SSIM inside the hole, E_warp (flicker), colour cast and processor seconds per frame. In the sheets:
what a method gets, each output, the truth. The file is written after every case; with --add what it holds of the same
drawing, method and weights is not measured again, so that a run can go on and a network can be added.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe.nets import REGISTRY
from vswipe.nets.weights import find
from vswipe.training import results, sheets
from vswipe.training.clips import validation_clips
from vswipe.training.evaluation import Judge, make_case, run_method

KINDS = ("subnogap", "logo")  # what copying leaves over: lines without gaps, and logos


@dataclass(frozen=True)
class Variant:
    """One row of the comparison: a name, the engine's model (or "telea"), and changes to its settings."""

    name: str
    model: str
    settings: dict[str, Any] = field(default_factory=dict)


def variants(networks: Sequence[str]) -> list[Variant]:
    """Fills without a network, and each network alone and under the copies."""
    out = [Variant("telea", "telea"), Variant("diffusion", "copy", {"radius": 0}), Variant("copy", "copy")]
    for network in networks:
        name, _, weights = network.partition("=")
        given: dict[str, Any] = {}
        path, colon, shots = weights.rpartition(":")
        if colon and shots.isdigit():
            weights, given["shots"] = path, int(shots)
        if weights:
            given["weights"] = weights
        label = name + (f" {given['shots']} shots" if "shots" in given else "")
        out += [Variant(label, name, {**given, "radius": 0}), Variant(f"copy + {label}", name, given)]
    return out


def fingerprint(variant: Variant) -> str:
    """Beginning of the SHA-256 of a network's weights; empty for methods without."""
    if variant.model not in REGISTRY:
        return ""
    path = variant.settings.get("weights") or find(variant.model)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12] if path else ""


def known_rows(path: str | None) -> dict[tuple[Any, ...], results.Row]:
    """Rows of a result file by what they depend on; none without a file."""
    if path is None or not Path(path).is_file():
        return {}
    rows = json.loads(Path(path).read_text(encoding="utf-8"))["rows"]
    return {identity(row): row for row in rows}


def identity(row: results.Row) -> tuple[Any, ...]:
    """What tells one measurement from another."""
    return tuple(row.get(key) for key in ("clip", "kind", "method", "frames", "drawing", "weights"))


def main() -> int:
    """Parse, run, print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["rnot"], metavar="NAME[=FILE[:SHOTS]]")
    parser.add_argument("--clips", nargs="+", default=["8"], help="number of validation clips, evenly chosen, or names")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--out", help="write rows and means to this JSON file")
    parser.add_argument("--add", action="store_true", help="keep what the JSON file holds already")
    parser.add_argument("--sheets", metavar="DIR", help="write a contact sheet per case")
    args = parser.parse_args()
    log = Console(stderr=True)
    every = validation_clips()
    if not every:
        log.print("compare_networks: no clips found; set VSWIPE_DATA to the folder that holds clips/")
        return 1
    if len(args.clips) == 1 and args.clips[0].isdigit():
        count = min(int(args.clips[0]), len(every))
        clips = [every[k * len(every) // count] for k in range(count)]
    else:
        clips = [clip for clip in every if clip.name in args.clips]
        if len(clips) < len(args.clips):
            names = ", ".join(clip.name for clip in every)
            log.print(f"compare_networks: clips must be a number or of {names}, got {' '.join(args.clips)}")
            return 1
    chosen = variants(args.networks)
    known = known_rows(args.out) if args.add else {}
    rows = list(known.values())
    settings = {key: value for key, value in vars(args).items() if key not in ("out", "add", "sheets")}
    with Progress(console=log) as bar:
        step = bar.add_task("cases", total=len(clips) * len(args.kinds) * len(chosen))
        for kind in args.kinds:
            for clip in clips:
                case = make_case(clip, kind, args.frames)
                judge, planes = Judge(case), {}
                drawing = f"{zlib.crc32(np.packbits(case.drawn).tobytes()):08x}"
                for variant in chosen:
                    row = {"clip": case.clip, "kind": kind, "method": variant.name, "frames": case.num_frames,
                           "drawing": drawing, "weights": fingerprint(variant)}  # fmt: skip
                    if identity(row) not in known:
                        began = time.process_time()
                        outcome = run_method(variant.model, case, variant.settings)
                        assert outcome is not None
                        outcome.seconds = time.process_time() - began
                        planes[variant.name] = outcome.planes
                        rows.append({**row, **asdict(judge.score(outcome))})
                    bar.update(step, advance=1, description=f"{kind} {clip.name} {variant.name}")
                if args.out:
                    results.save(Path(args.out), settings, rows)
                picture = sheets.sheet(case, planes) if args.sheets and planes else None
                if picture is not None:
                    sheets.save(Path(args.sheets) / f"{kind}_{case.clip}.png", picture)
    print(results.summary_table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
