"""Quality of AutoLogo on programmes made from clean clips, with drawn marks: the truth is known.

    python scripts/evaluate_logo.py                                  # validation clips, some 30 minutes on one core
    python scripts/evaluate_logo.py --part train --only translucent  # one part of it, on the training clips
    python scripts/evaluate_logo.py --out scripts/results/logo.json

Programmes are cut from several clips, cropped to 640x360. Translucent marks are found blindly, uncompressed and after
x264 at CRF 20, and compared with Inpaint, which gets the drawn mask; opaque ones likewise, in programmes and in single
shots in which much moves. Marks that fade are measured in the frames of the fade, and compared with a division that
knows how strong they are. Clips without a mark must come back unchanged: single clips, the same with black bars,
photographs as still scenes, and the programmes themselves. PSNR is inside the drawn mask (opacity above 2 %; chroma
where a sample's mean opacity is), pooled over the measured frames. One process, one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vswipe.engine.logo import BLOCK, LogoAnalysis, LogoEraser
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.settings import Settings
from vswipe.training.codec import Planes, compress
from vswipe.training.composite import ALPHA_FLOOR, Composite, Overlay, composite, halve
from vswipe.training.programmes import (
    TRANSLUCENT,
    draw_opaque,
    draw_translucent,
    fades,
    long_shots,
    overlay_of,
    programmes,
    unmarked,
)
from vswipe.training.results import markdown, provenance

CRF = 20
RUNS, RUN_BLOCKS = 3, 4  # runs of so many blocks of 8 frames are measured: Inpaint takes most of the time
EDIT = 8  # levels from which on a sample counts as edited
WANTED = {"none": 45.0, f"h264:{CRF}": 36.0}


class Frames(Mapping[int, Frame]):
    """Frames of a programme for the engine, through a function that may change them."""

    def __init__(self, planes: Planes, change: Callable[[int, tuple[np.ndarray, ...]], tuple[np.ndarray, ...]]) -> None:
        self._planes, self._change = planes, change
        self._kept: dict[int, Frame] = {}

    def __getitem__(self, n: int) -> Frame:
        if n not in self._kept:
            if len(self._kept) > 200:
                self._kept.clear()
            self._kept[n] = Frame(n, self._change(n, tuple(plane[n] for plane in self._planes)))
        return self._kept[n]

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._planes[0])))

    def __len__(self) -> int:
        return len(self._planes[0])


class KnownStrength(LogoEraser):
    """The eraser where it need not be measured how strong the marks are."""

    given: np.ndarray

    def strength(self, mark: int, n: int) -> float:
        """Of frame n, as given."""
        return float(self.given[n])


def measured_blocks(length: int) -> list[int]:
    """First frames of the blocks that are measured."""
    last = length // BLOCK - RUN_BLOCKS
    starts = [round((k + 0.5) * last / RUNS) for k in range(RUNS)]
    return [(start + i) * BLOCK for start in starts for i in range(RUN_BLOCKS)]


def picture_format(planes: Planes) -> PictureFormat:
    """Of a programme."""
    height, width = planes[0].shape[1:]
    return PictureFormat(width, height, "YUV", 8, False, 1, 1)


def inpaint(planes: Planes, masks: Callable[[int], np.ndarray | None], frames: Mapping[int, Frame]) -> dict[int, Any]:
    """Inpaint on the measured blocks: planes by frame number."""
    length = len(planes[0])
    pipeline = Pipeline(picture_format(planes), length, Settings())
    out: dict[int, Any] = {}
    for start in measured_blocks(length):
        window = range(max(start - pipeline.before, 0), min(start + BLOCK + pipeline.after, length))
        for n in range(start, start + BLOCK):
            out[n] = tuple(plane.copy() for plane in frames[n].planes)
        hidden = {n: masks(n) for n in window}
        pipeline.render(start, start + BLOCK, {n: frames[n] for n in window}, hidden, out.__getitem__)
    return out


def measured_frames(length: int) -> list[int]:
    """The frames of these blocks."""
    return [n for start in measured_blocks(length) for n in range(start, start + BLOCK)]


def analyse(planes: Planes) -> LogoEraser:
    """The marks of a programme, as AutoLogo finds them, and all frames looked at."""
    length, fmt = len(planes[0]), picture_format(planes)
    analysis = LogoAnalysis("AutoLogo", fmt, length)
    for wanted in (analysis.detect, analysis.estimate):
        for n in analysis.missing():
            analysis.add(n, [plane[n] for plane in planes])
        wanted()
    assert analysis.result is not None
    eraser = LogoEraser(fmt, length, analysis.result.marks)
    if eraser.marks:
        for block in range(-(-length // BLOCK)):
            eraser.look(block, [[plane[n] for plane in planes] for n in eraser.frames_of(block)])
    return eraser


def divide(planes: Planes, eraser: LogoEraser) -> Frames:
    """The frames of a programme with what can be divided divided out."""

    def divided(n: int, source: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        out = tuple(plane.copy() for plane in source)
        if eraser.marks and eraser.is_shown(n):
            numbers = eraser.frames_of(n // BLOCK)
            written = [out if k == n else None for k in numbers]
            eraser.divide(n // BLOCK, [[plane[k] for plane in planes] for k in numbers], written)
        return out

    return Frames(planes, divided)


def erase(planes: Planes, eraser: LogoEraser) -> dict[int, tuple[np.ndarray, ...]]:
    """AutoLogo's frames of the measured blocks."""
    frames = divide(planes, eraser)
    if eraser.has_hard:
        return inpaint(planes, eraser.hard_mask, frames)
    return {n: frames[n].planes for n in measured_frames(len(frames))}


def psnr(
    result: Mapping[int, Sequence[np.ndarray]], truth: Planes, mask: np.ndarray, planes: Sequence[int] = (0,)
) -> float:
    """Of some planes inside a mask of their size, dB, over all frames of the result."""
    errors = [((result[n][p][mask].astype(np.float64) - truth[p][n][mask]) ** 2).mean() for n in result for p in planes]
    return float(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-3)))


def edit_variance(result: Mapping[int, Sequence[np.ndarray]], source: Planes, mask: np.ndarray) -> float:
    """Mean over the mask of the variance over time of "edited": a static mark's edit should not come and go."""
    edited = np.stack([np.abs(result[n][0].astype(np.int16) - source[0][n])[mask] > EDIT for n in result])
    return float(edited.var(0).mean())


def case(
    name: str, kind: str, mark: str, truth: Planes, overlay: Overlay, codec: str, compared: bool
) -> dict[str, Any]:
    """One programme with one mark; `compared`: with Inpaint, too."""
    began = time.perf_counter()
    drawn = composite(truth, overlay)
    source = drawn.planes if codec == "none" else compress(drawn.planes, "h264", CRF)
    mask, small = footprints(drawn)
    before = time.perf_counter()
    eraser = analyse(source)
    seconds = time.perf_counter() - before
    found = eraser.mask(0, 0) if eraser.marks else None
    ours = np.zeros_like(mask) if found is None else found > 0
    result = erase(source, eraser)
    own = Frames(source, lambda n, planes: planes)
    alone = inpaint(source, lambda n: mask.astype(np.uint8), own) if compared else None
    row = {
        "programme": name, "kind": kind, "mark": mark, "codec": codec, "frames": len(truth[0]),
        "found": bool(ours.any()), "iou": float((ours & mask).sum() / max((ours | mask).sum(), 1)),
        "recall": float((ours & mask).sum() / mask.sum()),
        "nothing": psnr({n: own[n].planes for n in result}, truth, mask),
        "inpaint": None if alone is None else psnr(alone, truth, mask), "autologo": psnr(result, truth, mask),
        "nothing_chroma": psnr({n: own[n].planes for n in result}, truth, small, (1, 2)),
        "inpaint_chroma": None if alone is None else psnr(alone, truth, small, (1, 2)),
        "autologo_chroma": psnr(result, truth, small, (1, 2)),
        "edit_variance": edit_variance(result, source, mask), "edit_variance_truth": edit_variance(
            {n: tuple(plane[n] for plane in truth) for n in result}, source, mask),
        "analysis_seconds": seconds,
    }  # fmt: skip
    if eraser.marks and kind == "translucent":
        alpha = np.zeros(mask.shape, np.float32)
        for m in eraser.marks:
            box = np.s_[m.top : m.top + m.height, m.left : m.left + m.width]
            alpha[box] = np.maximum(alpha[box], m.alpha)
        row["alpha_error"] = float(np.abs(alpha - drawn.alpha[0])[mask].mean())
        row["errors"] = [asdict(plane.law) for plane in eraser.marks[0].planes]
        row["hard"] = float(sum(int(m.hard().sum()) for m in eraser.marks) / mask.sum())
    numbers = ", ".join(f"{k} {v:.2f}" for k, v in row.items() if isinstance(v, float))
    print(f"{name} | {mark} | {codec}: {numbers} ({time.perf_counter() - began:.0f} s)", flush=True)
    return row


def footprints(drawn: Composite) -> tuple[np.ndarray, np.ndarray]:
    """Where a mark was drawn in the first frame, (H, W) bool, and in the samples of chroma."""
    return drawn.mask[0] > 0, halve(drawn.alpha[0]) > ALPHA_FLOOR


def fading(name: str, mark: str, truth: Planes, codec: str) -> dict[str, Any]:
    """One programme with a mark that comes and goes: PSNR in the frames of its fades, and in those without it."""
    strengths = fades(len(truth[0]))
    drawn = composite(truth, overlay_of(draw_translucent(mark, name), f"{name}/{mark}", len(truth[0]), strengths))
    source = drawn.planes if codec == "none" else compress(drawn.planes, "h264", CRF)
    eraser = analyse(source)
    fade, absent = np.flatnonzero((strengths > 0) & (strengths < 1)), np.flatnonzero(strengths == 0)
    row: dict[str, Any] = {"programme": name, "kind": "fading", "mark": mark, "codec": codec, "frames": len(truth[0]),
                           "fade_frames": len(fade), "found": bool(eraser.marks)}  # fmt: skip
    if eraser.marks:
        known = KnownStrength(picture_format(truth), len(truth[0]), eraser.marks)
        known.given = strengths
        mask = drawn.mask[0] > 0
        own, ours, right = Frames(source, lambda n, planes: planes), divide(source, eraser), divide(source, known)
        for key, frames in (("nothing", own), ("autologo", ours), ("known_strength", right)):
            row[key] = psnr({int(n): frames[int(n)].planes for n in fade}, truth, mask)
        found = np.array([eraser.strength(0, int(n)) for n in fade])
        row["strength_error"] = float(np.abs(found - strengths[fade]).mean())
        row["absent_changed"] = float(np.mean([eraser.is_shown(int(n)) for n in absent]))
    print(" | ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def main() -> int:
    """Run as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="validation", choices=("validation", "train"))
    parser.add_argument(
        "--only", choices=("opaque", "translucent", "fading", "unmarked"), help="one part of the measurement"
    )
    parser.add_argument("--alone", action="store_true", help="without Inpaint, which takes most of the time")
    parser.add_argument("--limit", type=int, help="at most so many cases of each part")
    parser.add_argument("--out", type=Path, help="write rows and means to this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows: list[dict[str, Any]] = []
    made = programmes(args.part)
    if args.only in (None, "opaque"):
        placed = [("opaque", name, planes, i) for i in range(2) for name, planes in made.items()]
        placed += [("opaque shot", name, planes, 0) for name, planes in long_shots(args.part).items()]
        for k, (kind, name, planes, i) in enumerate(placed[: args.limit]):
            overlay = overlay_of(draw_opaque(name, i), f"{name}/opaque/{i}", len(planes[0]), which=k % 4)
            rows.append(case(name, kind, f"opaque {i}", planes, overlay, f"h264:{CRF}", not args.alone))
            write(args, rows, [])
    programme_names = ("many", "families", "few")
    pairs = [(programme_names[i % 3], mark) for i, mark in enumerate(TRANSLUCENT)]
    if args.only in (None, "fading"):
        for name, mark in pairs[: args.limit]:
            rows.append(fading(name, mark, made[name], f"h264:{CRF}"))
            write(args, rows, [])
    if args.only in (None, "translucent"):
        pairs += [(programme_names[(i + 1) % 3], mark) for i, mark in enumerate(TRANSLUCENT) if i % 2]
        for i, (name, mark) in enumerate(pairs[: args.limit]):
            overlay = overlay_of(draw_translucent(mark, name), f"{name}/{mark}", len(made[name][0]))
            for codec in WANTED:
                compared = not args.alone and codec != "none" and i % 2 == 0
                rows.append(case(name, "translucent", mark, made[name], overlay, codec, compared))
                write(args, rows, [])
    changed: list[dict[str, Any]] = []
    if args.only in (None, "unmarked"):
        whole = (("programme", name, planes) for name, planes in made.items())
        for kind, name, planes in itertools.chain(whole, itertools.islice(unmarked(args.part, CRF), args.limit)):
            marks = analyse(planes).marks
            changed.append({"kind": kind, "name": name, "changed": bool(marks)})
            write(args, rows, changed)
            if marks:
                boxes = [(m.left, m.top, m.width, m.height) for m in marks]
                print(f"changed without a mark: {kind} {name}, {boxes}", flush=True)
    print(json.dumps(summarize(rows, changed), indent=1))
    print(table(rows))
    return 0


def write(args: argparse.Namespace, rows: Sequence[dict[str, Any]], changed: Sequence[dict[str, Any]]) -> None:
    """What was measured so far, to the file that was asked for."""
    if args.out:
        settings = {"part": args.part, "crf": CRF, "measured_frames": RUNS * RUN_BLOCKS * BLOCK}
        document = {"settings": settings, **provenance(), "summary": summarize(rows, changed),
                    "rows": rows, "unmarked": changed}  # fmt: skip
        args.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def summarize(rows: Sequence[dict[str, Any]], changed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means, worst cases and counts."""
    out: dict[str, Any] = {}
    for codec in WANTED:
        group = [row for row in rows if row["kind"] == "translucent" and row["codec"] == codec]
        if group:
            out[f"translucent {codec}"] = {
                "cases": len(group), "found": sum(row["found"] for row in group),
                **means(group), "worst": round(min(row["autologo"] for row in group), 2), "wanted": WANTED[codec],
                "edit_variance": round(float(np.mean([row["edit_variance"] for row in group])), 4),
                "edit_variance_truth": round(float(np.mean([row["edit_variance_truth"] for row in group])), 4),
            }  # fmt: skip
    for kind in ("opaque", "opaque shot"):
        group = [row for row in rows if row["kind"] == kind]
        seen = [row for row in group if row["found"]]
        if seen:
            gains = [row["autologo"] - row["inpaint"] for row in seen if row["inpaint"]]
            out[kind] = {
                "cases": len(group), "found": len(seen), **means(seen),
                "lowest iou": round(min(row["iou"] for row in seen), 3), "smallest gain": min(gains, default=None),
                "edit_variance": round(float(np.mean([row["edit_variance"] for row in seen])), 4),
            }  # fmt: skip
        elif group:
            out[kind] = {"cases": len(group), "found": 0}
    group = [row for row in rows if row["kind"] == "fading"]
    seen = [row for row in group if row["found"]]
    if seen:
        keys = ("nothing", "autologo", "known_strength", "strength_error", "absent_changed")
        out["fading"] = {"cases": len(group), "found": len(seen),
                         **{key: round(float(np.mean([row[key] for row in seen])), 3) for key in keys}}  # fmt: skip
    for kind in dict.fromkeys(row["kind"] for row in changed):
        group = [row for row in changed if row["kind"] == kind]
        out[f"unmarked {kind}"] = {"cases": len(group), "changed": sum(row["changed"] for row in group)}
    return out


def means(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of a group's cases; Inpaint and the gain over it of those that were compared."""
    out: dict[str, Any] = {key: round(float(np.mean([row[key] for row in group])), 2)
                           for key in ("nothing", "autologo", "nothing_chroma", "autologo_chroma", "iou")}  # fmt: skip
    both = [row for row in group if row["inpaint"] is not None]
    if both:
        out["compared"] = len(both)
        out["inpaint"] = round(float(np.mean([row["inpaint"] for row in both])), 2)
        out["gain"] = round(float(np.mean([row["autologo"] - row["inpaint"] for row in both])), 2)
    return out


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line per case."""
    header = (
        "programme",
        "mark",
        "coding",
        "nothing",
        "Inpaint, true mask",
        "AutoLogo",
        "its chroma",
        "IoU",
        "error of a",
    )
    lines = []
    for row in rows:
        if row["kind"] == "fading":
            continue
        line = [row["programme"], row["mark"], row["codec"]]
        line += [
            "-" if row[k] is None else f"{row[k]:.1f}" for k in ("nothing", "inpaint", "autologo", "autologo_chroma")
        ]
        lines.append([*line, f"{row['iou']:.2f}", f"{row['alpha_error']:.3f}" if "alpha_error" in row else "-"])
    return markdown(header, lines)


if __name__ == "__main__":
    raise SystemExit(main())
