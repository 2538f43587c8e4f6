"""Quality of AutoLogo on programmes made from clean clips, with drawn marks: the truth is known.

    python scripts/evaluate_logo.py                                  # validation clips, some 20 minutes on one core
    python scripts/evaluate_logo.py --part train --only translucent  # one part of it, on the training clips
    python scripts/evaluate_logo.py --out scripts/results/logo.json

Programmes are cut from several clips, cropped to 640x360. Translucent marks are found blindly, uncompressed and after
x264 at CRF 20, and compared with Inpaint, which gets the drawn mask; opaque ones likewise. Clips without a mark must
come back unchanged: single clips, the same with black bars, photographs as still scenes, and the programmes themselves.
PSNR is of luma inside the drawn mask (opacity above 2 %), pooled over the measured frames. One process, one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vswipe.engine.logo import BLOCK, LogoAnalysis, LogoEraser
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.settings import Settings
from vswipe.training.clips import ClipFile, count_frames, find_clips, one_per_family
from vswipe.training.codec import Planes, compress
from vswipe.training.composite import Mark, Overlay, Placement, composite
from vswipe.training.marks import corner, draw_mark
from vswipe.training.overlays import overlay_rng
from vswipe.training.pictures import find_pictures
from vswipe.training.results import markdown, provenance

WIDTH, HEIGHT = 640, 360
CRF = 20
RUNS, RUN_BLOCKS = 3, 4  # runs of so many blocks of 8 frames are measured: Inpaint takes most of the time
STILL_PICTURES, BARRED, STILL_FRAMES = 24, 10, 48
EDIT = 8  # levels from which on a sample counts as edited
WANTED = {"none": 45.0, f"h264:{CRF}": 36.0}


def cover(planes: Planes) -> Planes:
    """Frames enlarged or reduced until they cover 640x360, their middle cut out."""
    height, width = planes[0].shape[1:]
    scale = max(WIDTH / width, HEIGHT / height)
    out = []
    for plane in planes:
        factor = width // plane.shape[2]
        size = (WIDTH // factor, HEIGHT // factor)
        large = (max(round(plane.shape[2] * scale), size[0]), max(round(plane.shape[1] * scale), size[1]))
        left, top = (large[0] - size[0]) // 2, (large[1] - size[1]) // 2
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        frames = [cv2.resize(frame, large, interpolation=how) for frame in plane]
        out.append(np.stack([frame[top : top + size[1], left : left + size[0]] for frame in frames]))
    return tuple(out)  # type: ignore[return-value]


def programme(clips: Sequence[ClipFile], frames: int) -> Planes:
    """So many frames of each clip, one after the other."""
    parts = [cover(clip.read(frames, start=max(0, min(5, count_frames(clip) - frames)))[0]) for clip in clips]
    return tuple(np.concatenate([part[p] for part in parts]) for p in range(3))  # type: ignore[return-value]


def programmes(part: str) -> dict[str, Planes]:
    """By name: many short scenes, one per family, few long ones."""
    clips = find_clips(part)
    families = [clip for clip in one_per_family(clips) if count_frames(clip) >= 16]
    many = [clips[int(i)] for i in np.linspace(0, len(clips) - 1, min(56, len(clips)))]
    long = [clip for clip in families if count_frames(clip) >= 48]
    few = [long[int(i)] for i in np.linspace(0, len(long) - 1, 12)]
    return {"many": programme(many, 8), "families": programme(families[:26], 16), "few": programme(few, 36)}


# name: (opacity of the body, colour or None for drawn at random, blur in pixels, share of the picture)
TRANSLUCENT: dict[str, tuple[float, tuple[float, float, float] | None, float, float]] = {
    "white .25": (0.25, (1.0, 1.0, 1.0), 0.0, 0.015),
    "white .4": (0.4, (1.0, 1.0, 1.0), 0.0, 0.02),
    "grey .4": (0.4, (0.5, 0.5, 0.5), 0.0, 0.015),
    "colour .5": (0.5, None, 0.0, 0.015),
    "soft .4": (0.4, (1.0, 1.0, 1.0), 2.0, 0.02),
    "white .6": (0.6, (0.95, 0.95, 0.95), 0.7, 0.01),
}


def draw_translucent(name: str, seed: str) -> Mark:
    """One of `TRANSLUCENT`, its shape by the seed."""
    alpha, colour, blur, share = TRANSLUCENT[name]
    pixels = draw_mark(overlay_rng(seed, name), WIDTH, HEIGHT, area=(share, share)).pixels
    if blur:
        pad = int(3 * blur) + 1
        pixels = cv2.GaussianBlur(np.pad(pixels, ((pad, pad), (pad, pad), (0, 0))), (0, 0), blur)
    if colour is not None:
        pixels = np.dstack([pixels[..., 3:] * np.array(colour, np.float32), pixels[..., 3]])
    return Mark((pixels * np.float32(alpha)).astype(np.float32))


def overlay_of(mark: Mark, seed: str, length: int) -> Overlay:
    """The mark in a corner, in all frames."""
    place = Placement(0, *corner(overlay_rng(seed, "corner"), mark, WIDTH, HEIGHT))
    return Overlay(WIDTH, HEIGHT, (mark,), ((place,),) * length)


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


def measured_blocks(length: int) -> list[int]:
    """First frames of the blocks that are measured."""
    last = length // BLOCK - RUN_BLOCKS
    starts = [round((k + 0.5) * last / RUNS) for k in range(RUNS)]
    return [(start + i) * BLOCK for start in starts for i in range(RUN_BLOCKS)]


def inpaint(planes: Planes, masks: Callable[[int], np.ndarray | None], frames: Mapping[int, Frame]) -> dict[int, Any]:
    """Inpaint on the measured blocks: planes by frame number."""
    length, height, width = planes[0].shape
    pipeline = Pipeline(PictureFormat(width, height, "YUV", 8, False, 1, 1), length, Settings())
    out: dict[int, Any] = {}
    for start in measured_blocks(length):
        window = range(max(start - pipeline.before, 0), min(start + BLOCK + pipeline.after, length))
        for n in range(start, start + BLOCK):
            out[n] = tuple(plane.copy() for plane in frames[n].planes)
        hidden = {n: masks(n) for n in window}
        pipeline.render(start, start + BLOCK, {n: frames[n] for n in window}, hidden, out.__getitem__)
    return out


def analyse(planes: Planes) -> LogoEraser:
    """The marks of a programme, as AutoLogo finds them, and all frames looked at."""
    length, height, width = planes[0].shape
    fmt = PictureFormat(width, height, "YUV", 8, False, 1, 1)
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


def erase(planes: Planes, eraser: LogoEraser) -> dict[int, tuple[np.ndarray, ...]]:
    """AutoLogo's frames of the measured blocks."""

    def divided(n: int, source: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        out = tuple(plane.copy() for plane in source)
        if eraser.marks and eraser.is_shown(n):
            numbers = eraser.frames_of(n // BLOCK)
            written = [out if k == n else None for k in numbers]
            eraser.divide(n // BLOCK, [[plane[k] for plane in planes] for k in numbers], written)
        return out

    frames = Frames(planes, divided)
    if eraser.has_hard:
        return inpaint(planes, eraser.hard_mask, frames)
    return {n: frames[n].planes for start in measured_blocks(len(frames)) for n in range(start, start + BLOCK)}


def psnr(result: Mapping[int, Sequence[np.ndarray]], truth: Planes, mask: np.ndarray) -> float:
    """Of luma inside a mask, dB, over all frames of the result."""
    errors = [((result[n][0][mask].astype(np.float64) - truth[0][n][mask]) ** 2).mean() for n in result]
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
    mask = drawn.mask[0] > 0
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
        row["noise"] = eraser.marks[0].planes[0].noise
        row["hard"] = float(sum(int(m.hard().sum()) for m in eraser.marks) / mask.sum())
    numbers = ", ".join(f"{k} {v:.2f}" for k, v in row.items() if isinstance(v, float))
    print(f"{name} | {mark} | {codec}: {numbers} ({time.perf_counter() - began:.0f} s)", flush=True)
    return row


def unmarked(part: str) -> Iterator[tuple[str, str, Planes]]:
    """Kind, name and frames of what must not be changed."""
    clips = [clip for clip in find_clips(part) if count_frames(clip) >= 20]
    if part == "train":
        clips = clips[::3]
    for clip in clips:
        yield "clip", clip.name, clip.read(120)[0]
    for clip in clips[:: max(1, len(clips) // BARRED)][:BARRED]:
        y, u, v = (plane.copy() for plane in clip.read(120)[0])
        rows = y.shape[1] // 8 // 2 * 2
        for plane, value, edge in ((y, 16, rows), (u, 128, rows // 2), (v, 128, rows // 2)):
            plane[:, :edge] = value
            plane[:, -edge:] = value
        yield "barred", clip.name, compress((y, u, v), "h264", CRF)
    pictures = find_pictures("validation" if part == "validation" else "train")
    for path in pictures[:: max(1, len(pictures) // STILL_PICTURES)][:STILL_PICTURES]:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        packed = cv2.cvtColor(np.ascontiguousarray(picture[:height, :width]), cv2.COLOR_BGR2YUV_I420)
        y = packed[:height]
        u, v = packed[height:].reshape(2, height // 2, width // 2)
        rng = overlay_rng(path.stem)
        noisy = [y[None] + rng.normal(0, 2, (STILL_FRAMES, *y.shape))]
        still = (np.clip(np.rint(noisy[0]), 0, 255).astype(np.uint8),
                 *(np.repeat(plane[None], STILL_FRAMES, 0) for plane in (u, v)))  # fmt: skip
        yield "photograph", path.stem, compress(still, "h264", CRF)  # type: ignore[arg-type]


def main() -> int:
    """Run as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="validation", choices=("validation", "train"))
    parser.add_argument("--only", choices=("translucent", "opaque", "unmarked"), help="one part of the measurement")
    parser.add_argument("--alone", action="store_true", help="without Inpaint, which takes most of the time")
    parser.add_argument("--limit", type=int, help="at most so many cases of each part")
    parser.add_argument("--out", type=Path, help="write rows and means to this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows: list[dict[str, Any]] = []
    made = programmes(args.part)
    if args.only in (None, "translucent"):
        pairs = [(list(made)[i % 3], mark) for i, mark in enumerate(TRANSLUCENT)]
        pairs += [(list(made)[(i + 1) % 3], mark) for i, mark in enumerate(TRANSLUCENT) if i % 2]
        for i, (name, mark) in enumerate(pairs[: args.limit]):
            overlay = overlay_of(draw_translucent(mark, name), f"{name}/{mark}", len(made[name][0]))
            for codec in WANTED:
                compared = not args.alone and codec != "none" and i % 2 == 0
                rows.append(case(name, "translucent", mark, made[name], overlay, codec, compared))
                write(args, rows, [])
    if args.only in (None, "opaque"):
        for i, name in [(i, name) for i in range(2) for name in made][: args.limit]:
            drawn = draw_mark(overlay_rng(name, "opaque", str(i)), WIDTH, HEIGHT)
            overlay = overlay_of(drawn, f"{name}/opaque/{i}", len(made[name][0]))
            rows.append(case(name, "opaque", f"opaque {i}", made[name], overlay, f"h264:{CRF}", not args.alone))
            write(args, rows, [])
    changed: list[dict[str, Any]] = []
    if args.only in (None, "unmarked"):
        whole = (("programme", name, planes) for name, planes in made.items())
        for kind, name, planes in itertools.chain(whole, itertools.islice(unmarked(args.part), args.limit)):
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
    group = [row for row in rows if row["kind"] == "opaque"]
    if group:
        out["opaque"] = {
            "cases": len(group), "found": sum(row["found"] for row in group),
            **means(group), "lowest iou": round(min(row["iou"] for row in group), 3),
            "smallest gain": min((row["autologo"] - row["inpaint"] for row in group if row["inpaint"]), default=None),
            "edit_variance": round(float(np.mean([row["edit_variance"] for row in group])), 4),
        }  # fmt: skip
    for kind in dict.fromkeys(row["kind"] for row in changed):
        group = [row for row in changed if row["kind"] == kind]
        out[f"unmarked {kind}"] = {"cases": len(group), "changed": sum(row["changed"] for row in group)}
    return out


def means(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of a group's cases; Inpaint and the gain over it of those that were compared."""
    out: dict[str, Any] = {key: round(float(np.mean([row[key] for row in group])), 2)
                           for key in ("nothing", "autologo", "iou")}  # fmt: skip
    both = [row for row in group if row["inpaint"] is not None]
    if both:
        out["compared"] = len(both)
        out["inpaint"] = round(float(np.mean([row["inpaint"] for row in both])), 2)
        out["gain"] = round(float(np.mean([row["autologo"] - row["inpaint"] for row in both])), 2)
    return out


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line per case."""
    header = ("programme", "mark", "coding", "nothing", "Inpaint, true mask", "AutoLogo", "IoU", "error of a")
    lines = []
    for row in rows:
        line = [row["programme"], row["mark"], row["codec"]]
        line += ["-" if row[k] is None else f"{row[k]:.1f}" for k in ("nothing", "inpaint", "autologo")]
        lines.append([*line, f"{row['iou']:.2f}", f"{row['alpha_error']:.3f}" if "alpha_error" in row else "-"])
    return markdown(header, lines)


if __name__ == "__main__":
    raise SystemExit(main())
