"""Fit the constants of `vswipe.detect.certainty` to a trained TextSeg.

    export VSWIPE_FONTS=FOLDER
    python scripts/fit_certainty.py collect --weights models/textseg_v1.safetensors --out tracks.json
    python scripts/fit_certainty.py fit --tracks tracks.json

`collect` looks at training clips with drawn lines, in the training fonts, and at training clips as they are, and notes
the facts of everything that was followed and whether it is a line. `fit` is a logistic regression with ridge; it prints
the weights, and how well clips are told that were left out of the fit.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed
sys.path.insert(0, str(Path(__file__).resolve().parent))

from evaluate_text import TOLERANCE, TRUTH, draw, perception

from vswipe.detect.certainty import WEIGHTS
from vswipe.detect.detector import SubtitleDetector
from vswipe.detect.subtitle import BLOCK, DetectorSettings, Event
from vswipe.engine.ring import FrameRing
from vswipe.training.clips import count_frames, find_clips
from vswipe.training.codec import Planes
from vswipe.training.textdata import Line
from vswipe.training.textdata_pool import draw_labels

NAMES = tuple(WEIGHTS)
RIDGE = 0.3
FOLDS = 8


def followed(planes: Planes, weights: str | None) -> list[Event]:
    """Everything that may be a line in a clip, each once."""
    num_frames, height, width = planes[0].shape
    detector = SubtitleDetector(width, height, "YUV", 1.0, num_frames, DetectorSettings(), perception(weights),
                                FrameRing(512 << 20), choose=lambda events, settings, size: list(events))  # fmt: skip
    frames = {n: detector.reduce(n, [plane[n] for plane in planes], {}) for n in range(num_frames)}
    found: dict[tuple[int, ...], Event] = {}
    for start in range(0, num_frames, BLOCK):
        for event in detector.block(start, frames).events:
            found.setdefault((event.first, event.last, event.left // 8, event.top // 8), event)
    return list(found.values())


def truth_of(event: Event, lines: list[Line], size: tuple[int, int], working: float) -> float:
    """Share of an event's strokes that lie on drawn text in the middle of its span."""
    strokes, box = draw_labels(lines, (event.first + event.last) // 2, size)
    allowed = cv2.dilate(((strokes > TRUTH) | (box > TRUTH)).astype(np.uint8), TOLERANCE)
    ys, xs = np.nonzero(event.strokes >= 0.5)
    rows = np.clip(((ys + event.top + 0.5) * working).astype(int), 0, size[0] - 1)
    columns = np.clip(((xs + event.left + 0.5) * working).astype(int), 0, size[1] - 1)
    return float(allowed[rows, columns].mean()) if len(ys) else 0.0


def collect(weights: str | None, drawn: int, clean: int) -> list[dict[str, Any]]:
    """Facts and truth of what was followed; events that are half a line are left out."""
    names = [clip.name for clip in find_clips("train")]
    out = []
    long = [clip.name for clip in find_clips("train") if count_frames(clip) >= 40]
    jobs = [(long[i * len(long) // drawn], True) for i in range(drawn)]
    jobs += [(names[i * len(names) // clean], False) for i in range(clean)]
    for index, (name, with_lines) in enumerate(jobs):
        lines: list[Line] = []
        if with_lines:
            planes, lines, _ = draw(index, name, held_out=False)
        else:
            planes, _ = next(clip for clip in find_clips() if clip.name == name).read(110)
        size = planes[0].shape[1:]
        for event in followed(planes, weights):
            share = truth_of(event, lines, size, size[0] / min(size[0], 360))
            if share < 0.2 or share > 0.6:
                out.append({"clip": name, "line": share > 0.6, "kind": event.kind, **event.facts})
        print(name, with_lines, len(out), flush=True)
    return out


def fit(rows: list[dict[str, Any]], names: tuple[str, ...]) -> np.ndarray:
    """Weights of a logistic regression by Newton's method, both classes weighing the same."""
    x = np.array([[row[name] for name in names] for row in rows])
    y = np.array([float(row["line"]) for row in rows])
    share = np.where(y > 0, 0.5 / max(y.mean(), 1e-6), 0.5 / max(1 - y.mean(), 1e-6))
    weights = np.zeros(len(names))
    ridge = np.full(len(names), RIDGE)
    ridge[0] = 0.0
    for _ in range(40):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = share * p * (1 - p)
        hessian = (x * slope[:, None]).T @ x + np.diag(ridge + 1e-6)
        weights += np.linalg.solve(hessian, x.T @ (share * (y - p)) - ridge * weights)
    return weights


def left_out(rows: list[dict[str, Any]], names: tuple[str, ...]) -> np.ndarray:
    """Log odds of every row from fits without its clip's fold."""
    clips = sorted({row["clip"] for row in rows})
    fold = {clip: i % FOLDS for i, clip in enumerate(clips)}
    out = np.zeros(len(rows))
    for k in range(FOLDS):
        weights = fit([row for row in rows if fold[row["clip"]] != k], names)
        for i, row in enumerate(rows):
            if fold[row["clip"]] == k:
                out[i] = sum(w * row[name] for w, name in zip(weights, names, strict=True))
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["collect", "fit"])
    parser.add_argument("--weights", help="weight file, or a checkpoint of train_textseg.py (.pt)")
    parser.add_argument("--drawn", type=int, default=40)
    parser.add_argument("--clean", type=int, default=60)
    parser.add_argument("--tracks", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.what == "collect":
        given.out.write_text(json.dumps(collect(given.weights, given.drawn, given.clean)))
        return
    rows = [row for row in json.loads(given.tracks.read_text()) if row["kind"] == "dialogue"]
    line = np.array([row["line"] for row in rows])
    print(f"{line.sum()} lines, {(~line).sum()} others")
    odds = left_out(rows, NAMES)
    for miss in (0.005, 0.01, 0.02):  # of the lines
        limit = np.quantile(odds[line], miss)
        print(f"{100 * miss:.1f} % missed: {(odds[~line] > limit).sum()} others taken, at log odds {limit:.2f}")
    print({name: round(float(w), 3) for name, w in zip(NAMES, fit(rows, NAMES), strict=True)})


if __name__ == "__main__":
    main()
