"""Fit the constants of `vswipe.detect.certainty` to a trained TextSeg.

    export VSWIPE_FONTS=FOLDER
    python scripts/fit_certainty.py collect --weights models/textseg_v1.safetensors --pool POOL --out tracks.json
    python scripts/fit_certainty.py fit --tracks tracks.json
    python scripts/fit_certainty.py search --tracks tracks.json

`collect` looks at training clips with drawn lines, in the training fonts, at those of `train_textseg.py`'s pool whose
lines are close to their ground, and at training clips as they are, and notes the facts of everything that was followed
and whether it is a line. `fit` is a logistic regression with ridge; it prints the weights, and how well clips are told
that were left out of the fit. `search` starts from the present weights and looks for those that lose the least of the
lines while few frames without text are taken: what matters in use, where a regression weighs every track alike.
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

from evaluate_text import CAPTIONED, TOLERANCE, TRUTH, draw, perception

from vswipe.detect.certainty import WEIGHTS
from vswipe.detect.detector import SubtitleDetector
from vswipe.detect.subtitle import BLOCK, DetectorSettings, Event
from vswipe.engine.ring import FrameRing
from vswipe.training.clips import count_frames, find_clips
from vswipe.training.codec import Planes
from vswipe.training.textdata import Line
from vswipe.training.textdata_pool import TONAL, draw_labels, load

NAMES = tuple(WEIGHTS)
RIDGE = 0.3
CLEAN_FRAMES = 15  # of 15,500 in the training clips as they are
POOL_EVERY = 12  # clips of a pool: those looked at
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


def collect(weights: str | None, drawn: int, clean: int, pool: Path | None) -> list[dict[str, Any]]:
    """Facts and truth of what was followed; events that are half a line are left out."""
    names = [clip.name for clip in find_clips("train") if clip.name not in CAPTIONED]
    out = []
    long = [clip.name for clip in find_clips("train") if count_frames(clip) >= 40]
    jobs = [(long[i * len(long) // drawn], True) for i in range(drawn)]
    clean = min(clean, len(names))
    jobs += [(names[i * len(names) // clean], False) for i in range(clean)]
    for index, (name, with_lines) in enumerate(jobs):
        lines: list[Line] = []
        if with_lines:
            planes, lines, _ = draw(index, name, held_out=False)
        else:
            planes, _ = next(clip for clip in find_clips() if clip.name == name).read()
        out += noted(name, planes, lines, "drawn" if with_lines else "clean", weights)
        print(name, with_lines, len(out), flush=True)
    if pool is not None:
        for path in sorted(path for path in pool.glob("p*.npz") if int(path.stem[1:]) >= TONAL)[::POOL_EVERY]:
            clip = load(path)
            if clip.lines:
                out += noted(path.stem, clip.planes, clip.lines, "tonal", weights)
    return out


def noted(name: str, planes: Planes, lines: list[Line], what: str, weights: str | None) -> list[dict[str, Any]]:
    """Facts and truth of what was followed in one clip."""
    size = planes[0].shape[1:]
    rows = []
    for event in followed(planes, weights):
        share = truth_of(event, lines, size, size[0] / min(size[0], 360))
        if share < 0.2 or share > 0.6:
            rows.append({"clip": name, "what": what, "line": share > 0.6, "kind": event.kind,
                         "frames": event.last - event.first + 1, "cut_off": event.cut_off,
                         "core": int((event.strokes >= 0.5).sum()), **event.facts})  # fmt: skip
    return rows


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


def search(rows: list[dict[str, Any]], seed: int, rounds: int = 4000) -> tuple[np.ndarray, float]:
    """Weights by random steps that get smaller, and their cost: per cent of the lines lost, of faint ones counted 0.4
    times, a little for what is taken beside lines, and much for clean frames beyond 0.1 %."""
    x = np.array([[row[name] for name in NAMES] for row in rows])
    frames = np.array([row["frames"] for row in rows])
    weight = frames * np.sqrt([row["core"] for row in rows])
    line = np.array([row["line"] for row in rows])
    what = np.array([row["what"] for row in rows])
    kinds = [line & (what == kind) for kind in ("drawn", "tonal")]

    def cost(weights: np.ndarray) -> float:
        odds = x @ weights
        lost = [100 * weight[k & (odds <= 0)].sum() / max(weight[k].sum(), 1) for k in kinds]
        clean = frames[(what == "clean") & (odds > -0.05)].sum()
        beside = (~line & (what != "clean") & (odds > 0)).sum()
        return float(lost[0] + 0.4 * lost[1] + 0.02 * beside + 0.2 * max(0, clean - CLEAN_FRAMES))

    rng = np.random.default_rng(seed)
    best = np.array([WEIGHTS[name] for name in NAMES])
    least, signs, steps = cost(best), np.sign(best), 0.1 + 0.15 * np.abs(best)
    for i in range(rounds):
        step = rng.normal(0, 1, len(best)) * steps * (rng.random(len(best)) < 0.5) * (1 - i / (1.1 * rounds))
        new = best + step
        if (np.sign(new) != signs)[[k for k, name in enumerate(NAMES) if name != "aspect"]].any():
            continue
        value = cost(new)
        if value <= least:
            best, least = new, value
    return best, least


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["collect", "fit", "search"])
    parser.add_argument("--weights", help="weight file, or a checkpoint of train_textseg.py (.pt)")
    parser.add_argument("--drawn", type=int, default=50)
    parser.add_argument("--clean", type=int, default=160)
    parser.add_argument("--pool", type=Path, help="clips of train_textseg.py")
    parser.add_argument("--tracks", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.what == "collect":
        given.out.write_text(json.dumps(collect(given.weights, given.drawn, given.clean, given.pool)))
        return
    rows = [row for row in json.loads(given.tracks.read_text()) if row["kind"] == "dialogue"]
    if given.what == "search":
        # As `subtitle.choose`: what is too short is nothing.
        rows = [r for r in rows if r["frames"] >= 6 or (r["cut_off"] and r["switch"] > 0 and r["frames"] >= 3)]
        found = [search(rows, seed) for seed in range(5)]
        for weights, cost in found:
            print(round(cost, 2), weights.round(2))
        mean = np.mean([weights for weights, _ in found], 0)
        print({name: round(float(w), 2) for name, w in zip(NAMES, mean, strict=True)})
        return
    line = np.array([row["line"] for row in rows])
    print(f"{line.sum()} lines, {(~line).sum()} others")
    odds = left_out(rows, NAMES)
    for miss in (0.005, 0.01, 0.02):  # of the lines
        limit = np.quantile(odds[line], miss)
        print(f"{100 * miss:.1f} % missed: {(odds[~line] > limit).sum()} others taken, at log odds {limit:.2f}")
    print({name: round(float(w), 3) for name, w in zip(NAMES, fit(rows, NAMES), strict=True)})


if __name__ == "__main__":
    main()
