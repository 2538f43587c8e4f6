"""What each model gives and costs, as one picture: frames per second against dB above Telea.

    python scripts/benchmark.py --cases 360p --uses inpaint --models copy,wipe,rnot --out speed.json
    python scripts/evaluate.py --methods telea,copy,wipe,rnot --out quality.json
    python scripts/quality_speed.py speed.json quality.json --to docs/images/models.png

Speed is what benchmark.py measured through vspipe; quality the mean over the cases that evaluate.py ran with every
method.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from statistics import mean

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe.training import results

WIDTH, HEIGHT, EDGE = 720, 420, 64
LINE, TEXT = 15, 230  # height and width of a line of text
SHIFTS = (
    -8,
    *(sign * (LINE * k + 3) for k in range(1, 12) for sign in (1, -1)),
)  # of a name from its point, tried in turn
INK, GRID, DOT = (40, 40, 40), (220, 220, 220), (180, 90, 30)


def read_speed(path: Path) -> dict[str, float]:
    """Frames per second by model, of the smallest size timed."""
    cases = [case for case in json.loads(path.read_text())["cases"] if case["case"]["use"] == "inpaint"]
    width = min(case["case"]["width"] for case in cases)
    return {case["case"]["model"]: case["fps"] for case in cases if case["case"]["width"] == width}


def read_quality(paths: list[Path]) -> dict[str, float]:
    """Mean gain over Telea by method, over the cases that all methods have."""
    rows = [row for path in paths for row in json.loads(path.read_text())["rows"]]
    psnr = {(row["clip"], row["kind"], row["method"]): row["psnr"] for row in rows}
    methods = sorted({method for _, _, method in psnr})
    cases = {(clip, kind) for clip, kind, _ in psnr}
    shared = [case for case in cases if all((*case, method) in psnr for method in methods)]
    if not shared:
        raise ValueError("quality_speed: files must share cases, got none with every method")
    print(f"{len(shared)} cases")
    return {
        method: mean(psnr[(*case, method)] - psnr[(*case, results.BASELINE)] for case in shared) for method in methods
    }


def draw(points: dict[str, tuple[float, float]]) -> np.ndarray:
    """(H, W, 3) uint8: frames per second to the right, on a logarithmic scale, dB upwards."""
    sheet = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    logs = [math.log2(fps) for fps, _ in points.values()]
    gains = [gain for _, gain in points.values()]
    left, right = math.floor(min(logs)), math.ceil(max(logs) + 0.01)
    low, high = math.floor(2 * min(gains)) / 2, math.ceil(2 * max(gains) + 0.2) / 2

    def place(fps: float, gain: float) -> tuple[int, int]:
        x = EDGE + (math.log2(fps) - left) / (right - left) * (WIDTH - 2 * EDGE)
        return round(x), round(HEIGHT - EDGE - (gain - low) / (high - low) * (HEIGHT - 2 * EDGE))

    def write(text: str, x: int, y: int) -> None:
        cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)

    for power in range(left, right + 1):
        x, _ = place(2.0**power, low)
        cv2.line(sheet, (x, EDGE), (x, HEIGHT - EDGE), GRID)
        write(f"{2.0**power:g}", x - 8, HEIGHT - EDGE + 20)
    for half in range(round(2 * low), round(2 * high) + 1):
        _, y = place(1.0, half / 2)
        cv2.line(sheet, (EDGE, y), (WIDTH - EDGE, y), GRID)
        write(f"{half / 2:+.1f}", 12, y + 5)
    taken: list[int] = []
    dots = [place(*point) for point in points.values()]
    for name, (fps, gain) in sorted(points.items(), key=lambda point: point[1][0]):
        x, y = place(fps, gain)
        cv2.circle(sheet, (x, y), 5, DOT, -1, cv2.LINE_AA)
        # Points lie close together where models are alike: every line of text gets a height of its own, clear of the
        # points to its right.
        line = next(
            y + shift
            for shift in SHIFTS
            if all(abs(y + shift - other) >= LINE for other in taken)
            and not any(x < across < x + TEXT and abs(y + shift - 4 - down) < LINE - 4 for across, down in dots)
        )
        taken.append(line)
        write(f"{name} ({gain:+.2f} dB, {fps:.1f}/s)", min(x + 9, WIDTH - TEXT), line)
    write("dB above Telea, mean", 12, 36)
    write("frames per second", WIDTH - EDGE - 140, HEIGHT - 18)
    return sheet


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speed", type=Path, help="of benchmark.py")
    parser.add_argument("quality", type=Path, nargs="+", help="of evaluate.py")
    parser.add_argument("--to", type=Path, required=True, help="PNG")
    args = parser.parse_args()
    try:
        speed, quality = read_speed(args.speed), read_quality(args.quality)
    except (OSError, ValueError, KeyError) as error:
        print(error, file=sys.stderr)
        return 1
    points = {model: (fps, quality[model]) for model, fps in speed.items() if model in quality}
    if not points:
        print(f"quality_speed: no model of {args.speed} has a quality", file=sys.stderr)
        return 1
    for model, (fps, gain) in points.items():
        print(f"{model}: {fps:.2f} frames/s, {gain:+.2f} dB")
    cv2.imwrite(str(args.to), draw(points))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
