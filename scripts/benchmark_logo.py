"""Speed and memory of AutoLogo and Deblend on a translucent mark, through vspipe, beside the same graph without them.

    python scripts/benchmark_logo.py
    python scripts/benchmark_logo.py --size 1280x720 --frames 480 --rounds 1

A drawn texture that pans through 24 scenes, YUV420P8, with a mark of opacity 0.5. "analysis" is the time to AutoLogo's
first frame, less that of the source: reading 96 frames spread over the clip, finding and estimating the mark. "render"
is Deblend over the whole clip with the logo file that the analysis wrote. Runs alternate with the source's. The file
must hold the mark with its opacity. Reading is nearly free here: decoding 96 frames comes on top.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed
sys.path.insert(0, str(Path(__file__).resolve().parent))

from vspipe_run import run

from vswipe.restore.logofile import LogoFormat, load_logo
from vswipe.training.results import provenance

SCENE_SCRIPT = Path(__file__).with_name("benchmark_logo_scene.vpy")
NUM_SCENES = 24  # enough different backgrounds for the mark to be found
ALPHA = 0.5
WANTED_ANALYSIS, WANTED_FPS = 60.0, 30.0
# name: (what the scene is used for, its last frame)
RUNS: dict[str, tuple[str, int | None]] = {
    "first frame": ("source", 0), "analysis": ("analysis", 0), "start": ("render", 0), "source": ("source", None),
    "render": ("render", None),
}  # fmt: skip


def main() -> int:
    """Parse, run, print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default="", help="VapourSynth threads (default: its own choice)")
    parser.add_argument("--out", type=Path, help="write what was measured to this JSON file")
    args = parser.parse_args()
    from vswipe._vsenv import ensure_vspipe

    vspipe = ensure_vspipe()
    width, height = (int(side) for side in args.size.split("x"))
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in RUNS}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as folder:
        pixels = draw(Path(folder), width, height)
        options = {"folder": folder, "width": width, "height": height, "frames": args.frames,
                   "scene": -(-args.frames // NUM_SCENES), "threads": args.threads,
                   "logo": str(Path(folder) / "mark.npz")}  # fmt: skip
        for _ in range(args.rounds):
            for name, (use, last) in RUNS.items():
                measured[name].append(asdict(run(vspipe, SCENE_SCRIPT, {**options, "use": use}, last)))
                if name == "analysis" and not Path(options["logo"]).exists():
                    raise SystemExit("benchmark_logo: the mark was not found; more frames would help")
        check(Path(options["logo"]), width, height)
    pairs = zip(measured["analysis"], measured["first frame"], strict=True)
    analysis = statistics.median(found["wall"] - bare["wall"] for found, bare in pairs)
    fps = statistics.median(row["fps"] for row in measured["render"])
    # Starting the filter costs as much as dozens of frames: it is left out, with what the source costs.
    columns = [[row["processor"] for row in measured[name]] for name in ("render", "start", "source", "first frame")]
    core = statistics.median(1000 * ((a - b) - (c - d)) / args.frames for a, b, c, d in zip(*columns, strict=True))
    megabytes = {name: max(row["bytes"] for row in rows) / 2**20 for name, rows in measured.items()}
    print(f"{args.size}, {args.frames} frames, a mark of {pixels} pixels, {os.cpu_count()} cores")
    print(f"analysis {analysis:.1f} s (wanted: under {WANTED_ANALYSIS:.0f}), {megabytes['analysis']:.0f} MiB "
          f"in the whole process, {megabytes['first frame']:.0f} without")  # fmt: skip
    print(f"rendering {fps:.1f} frames/s (wanted: {WANTED_FPS:.0f}), the source alone "
          f"{statistics.median(row['fps'] for row in measured['source']):.0f}; {core:.1f} ms of one core per frame; "
          f"{megabytes['render']:.0f} MiB, {megabytes['source']:.0f} without")  # fmt: skip
    if args.out:
        document = {**provenance(), "cores": os.cpu_count(), "load_before": load, "size": args.size, "mark": pixels,
                    "frames": args.frames, "analysis_seconds": analysis, "fps": fps, "core_ms": core,
                    "runs": measured}  # fmt: skip
        args.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def draw(folder: Path, width: int, height: int) -> int:
    """Write the texture and the mark; the pixels of the mark."""
    rng = np.random.default_rng(1)
    big_h, big_w = height * 3 // 2 // 2 * 2, width * 3 // 2 // 2 * 2
    texture = np.zeros((3, big_h, big_w), np.float32)
    for octave in range(1, 7):
        cell = 2 ** (9 - octave)
        noise = rng.standard_normal((big_h // cell + 2, big_w // cell + 2, 3)).astype(np.float32)
        texture += cv2.resize(noise, (big_w, big_h), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1) * cell
    texture *= np.array([35, 10, 10], np.float32)[:, None, None] / texture.std(axis=(1, 2), keepdims=True)
    texture += np.array([125, 128, 128], np.float32)[:, None, None]
    np.save(folder / "texture.npy", np.clip(texture, 16, 235).astype(np.uint8))
    alpha = np.zeros((height, width), np.uint8)
    unit = height // 90
    centre, radius = (width - 14 * unit, 12 * unit), 8 * unit
    cv2.circle(alpha, centre, radius, 255, -1, cv2.LINE_AA)
    cv2.putText(alpha, "TV", (centre[0] - 5 * unit, centre[1] + 3 * unit), cv2.FONT_HERSHEY_SIMPLEX, unit / 3.5, 0,
                max(unit // 2, 1), cv2.LINE_AA)  # fmt: skip
    np.save(folder / "alpha.npy", np.rint(alpha * ALPHA).astype(np.uint8))
    return int((alpha > 0).sum())


def check(logo: Path, width: int, height: int) -> None:
    """Stop unless the file holds the mark that was drawn: what finds nothing is fast."""
    alpha = np.zeros((height, width), np.float32)
    for mark in load_logo(logo, LogoFormat(width, height, "YUV", 1, 1)):
        alpha[mark.top : mark.top + mark.height, mark.left : mark.left + mark.width] = mark.alpha
    drawn = np.load(logo.with_name("alpha.npy")) / np.float32(255)
    wrong = float(np.abs(alpha - drawn)[drawn > 0].mean())
    if wrong > 0.05:
        raise SystemExit(f"benchmark_logo: the mark was not found as drawn: its opacity is off by {wrong:.2f}")


if __name__ == "__main__":
    raise SystemExit(main())
