"""Quality of erasing methods on clean clips with drawn marks: the truth is known.

One case is a clip and a kind of overlay. Every method gets the same composite and the exact drawn mask, and is judged
in the same place: inside the drawn mask grown by one pixel, on BGR converted from 4:2:0 frames.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vswipe.ops import metrics

from . import sheets
from .clips import ClipFile
from .codec import Planes, compress, pack_i420, run_filter
from .composite import halve, rgb_to_ycbcr
from .overlays import STATIC_KINDS, composite, draw_overlay, overlay_rng

SCORED_DILATION = 1
"""Pixels by which the drawn mask is grown for scoring: what an engine with its default dilation writes."""

TELEA_RADIUS = 5
BASELINES = ("nothing", "telea", "delogo")


@dataclass(frozen=True, eq=False)
class Case:
    """A clip with an overlay burnt in.

    Args:
        clip, kind: names.
        truth, source: clean frames, and what a method gets, Y (T, H, W), U, V.
        drawn: (T, H, W), 0/1: the exact mask, which a method gets.
        scored: (T, H, W), 0/1: where it is judged and may write.
        fps: frames per second.
    """

    clip: str
    kind: str
    truth: Planes
    source: Planes
    drawn: np.ndarray
    scored: np.ndarray
    fps: Fraction

    @property
    def num_frames(self) -> int:
        return len(self.drawn)


@dataclass
class Outcome:
    """What a method made of a case.

    Args:
        planes: its frames.
        seconds: wall time for all of them.
        copied: mean share of erased pixels that came from other frames; None where the method does not say.
        timings: seconds per stage, where the engine gives them.
    """

    planes: Planes
    seconds: float
    copied: float | None = None
    timings: dict[str, float] = field(default_factory=dict)


def make_case(clip: ClipFile, kind: str, num_frames: int, codec: str = "none") -> Case:
    """The first frames of a clip with an overlay of one kind; the drawing depends on both names only.

    Args:
        clip: what to read.
        kind: one of `overlays.KINDS`.
        num_frames: frames at most.
        codec: "none", or "h264:20" / "hevc:24": the composite is coded at this rate factor before a method gets it.
    """
    truth, fps = clip.read(num_frames)
    length, height, width = truth[0].shape
    drawn = composite(truth, draw_overlay(kind, overlay_rng(clip.name, kind), width, height, length))
    source = drawn.planes
    if codec != "none":
        name, _, quality = codec.partition(":")
        source = compress(source, name, int(quality or 20), fps)
    return Case(clip.name, kind, truth, source, drawn.mask, metrics.grow(drawn.mask, SCORED_DILATION), fps)


def to_bgr(planes: Planes) -> np.ndarray:
    """Frames (T, H, W, 3), uint8, as OpenCV converts I420: BT.601, limited range, chroma repeated."""
    length, height, width = planes[0].shape
    packed = pack_i420(planes).reshape(length, height * 3 // 2, width)
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420) for frame in packed])


def run_method(method: str, case: Case, settings: Mapping[str, Any] | None = None) -> Outcome | None:
    """Let a method erase the marks of a case; None where it is not made for this kind.

    Args:
        method: "nothing", "telea", "delogo", or the name of an engine model ("copy", ...).
        case: what to erase.
        settings: changes to the engine's settings; the baselines ignore them.
    """
    start = time.perf_counter()
    if method == "nothing":
        return Outcome(case.source, 0.0)
    if method == "telea":
        planes = _telea(case)
        return Outcome(planes, time.perf_counter() - start, 0.0)
    if method == "delogo":
        erased = _delogo(case)
        return None if erased is None else Outcome(erased, time.perf_counter() - start, 0.0)
    return _engine(method, case, settings or {})


def _telea(case: Case) -> Planes:
    """Every frame alone: `cv2.inpaint` (Telea 2004) in BGR, brought back to 4:2:0 inside the mask."""
    out = tuple(plane.copy() for plane in case.source)
    for t in range(case.num_frames):
        # Far from the hole nothing is read: a crop gives what the frame would, sooner.
        box = metrics.bounding_box(case.scored[t], margin=4 * TELEA_RADIUS)
        if box is None:
            continue
        rows, columns = (slice(side.start // 2 * 2, min(-(-side.stop // 2) * 2, size))
                         for side, size in zip(box, case.scored[t].shape, strict=True))  # fmt: skip
        mask = case.scored[t][rows, columns]
        small = (slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2))
        y, u, v = (plane[t : t + 1] for plane in case.source)
        bgr = to_bgr((y[:, rows, columns], u[:, small[0], small[1]], v[:, small[0], small[1]]))[0]
        filled = cv2.inpaint(bgr, mask, TELEA_RADIUS, cv2.INPAINT_TELEA)
        ycbcr = rgb_to_ycbcr(filled[..., ::-1].astype(np.float32) / 255.0)
        halved, footprint = halve(np.ascontiguousarray(ycbcr[..., 1:])), metrics.chroma_footprint(mask[None], 1, 1)[0]
        _write(out[0][t, rows, columns], ycbcr[..., 0], mask)
        for plane in (1, 2):
            _write(out[plane][(t, *small)], halved[..., plane - 1], footprint)
    return out  # type: ignore[return-value]


def _write(plane: np.ndarray, values: np.ndarray, mask: np.ndarray) -> None:
    np.copyto(plane, np.clip(np.rint(values), 0, 255).astype(np.uint8), where=mask != 0)


def _delogo(case: Case) -> Planes | None:
    """ffmpeg's delogo over the bounding box of the mask; it knows no other shape, and no mark that moves."""
    box = metrics.bounding_box(case.scored.any(axis=0))
    if case.kind not in STATIC_KINDS or box is None:
        return None
    height, width = case.scored.shape[1:]
    # The filter reads the rectangle's own border lines and refuses one that touches the frame's.
    top, bottom = max(box[0].start - 1, 1), min(box[0].stop + 1, height - 1)
    left, right = max(box[1].start - 1, 1), min(box[1].stop + 1, width - 1)
    graph = f"delogo=x={left}:y={top}:w={right - left}:h={bottom - top}"
    return run_filter(case.source, graph, case.fps)


def _engine(model: str, case: Case, changes: Mapping[str, Any]) -> Outcome:
    """The engine as the plugin drives it: chunk after chunk, each with its context."""
    from vswipe.engine.picture import Frame, PictureFormat
    from vswipe.engine.pipeline import Pipeline
    from vswipe.engine.settings import Settings

    length, height, width = case.drawn.shape
    picture = PictureFormat(width, height, "YUV", 8, False, 1, 1)
    start = time.perf_counter()
    pipeline = Pipeline(picture, length, Settings(**{"model": model, **changes}))
    out = tuple(plane.copy() for plane in case.source)
    frames = [Frame(n, tuple(plane[n] for plane in case.source), {}) for n in range(length)]
    masks = [case.drawn[n] if case.drawn[n].any() else None for n in range(length)]
    masked = copied = 0.0
    for first in range(0, length, pipeline.chunk):
        stop = min(first + pipeline.chunk, length)
        window = range(max(first - pipeline.before, 0), min(stop + pipeline.after, length))
        reports = pipeline.render(first, stop, {n: frames[n] for n in window}, {n: masks[n] for n in window},
                                  lambda n: tuple(plane[n] for plane in out))  # fmt: skip
        for report in reports.values() if isinstance(reports, Mapping) else reports:
            masked += report.masked
            copied += report.masked * report.copied
    seconds = time.perf_counter() - start
    timings = {k: float(v) for k, v in getattr(pipeline, "timings", {}).items()}
    return Outcome(out, seconds, copied / masked if masked else 0.0, timings)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Score:
    """Measures of one method on one case; see `ops.metrics`.

    Args:
        psnr, ssim: inside the scored mask.
        ring_psnr, ring_ssim: in the 6 px around the drawn mask.
        e_warp: flicker, levels, 0 = as steady as the truth.
        cast: mean size of the colour error per frame, levels.
        red, green, blue: signed mean colour error over the clip, levels.
        copied: share of erased pixels that came from other frames; None where unknown.
        outside: largest change outside the scored mask, levels; it must be 0. delogo changes its whole rectangle.
        seconds: wall time per frame.
        masked: share of the picture that is scored, over all frames.
        timings: seconds per frame and stage.
    """

    psnr: float
    ssim: float
    ring_psnr: float
    ring_ssim: float
    e_warp: float
    cast: float
    red: float
    green: float
    blue: float
    copied: float | None
    outside: float
    seconds: float
    masked: float
    timings: dict[str, float] = field(default_factory=dict)


class Judge:
    """Scores for one case; what depends on the truth alone is computed once."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.truth = to_bgr(case.truth)
        self.motion = metrics.clean_motion(self.truth, case.scored)
        self.ring = metrics.ring(case.drawn)

    def score(self, outcome: Outcome) -> Score:
        """Measures of what a method made of the case."""
        case, scored = self.case, self.case.scored
        result = to_bgr(outcome.planes)
        error = metrics.colour_error(result, self.truth, scored)
        shift = np.nanmean(error, axis=0) if scored.any() else error[0]
        return Score(
            psnr=metrics.psnr(result, self.truth, scored),
            ssim=metrics.ssim(result, self.truth, scored),
            ring_psnr=metrics.psnr(result, self.truth, self.ring),
            ring_ssim=metrics.ssim(result, self.truth, self.ring),
            e_warp=metrics.e_warp(result, self.truth, scored, self.motion),
            cast=metrics.cast(result, self.truth, scored),
            red=float(shift[2]), green=float(shift[1]), blue=float(shift[0]),
            copied=outcome.copied,
            outside=metrics.max_difference_outside(outcome.planes, case.source, scored, 1, 1),
            seconds=outcome.seconds / case.num_frames,
            masked=float(scored.mean()),
            timings={stage: seconds / case.num_frames for stage, seconds in outcome.timings.items()},
        )  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What one worker does: all methods on one case. Plain values, so that it can be sent to another process."""

    clip: ClipFile
    kind: str
    num_frames: int
    methods: tuple[str, ...]
    codec: str = "none"
    settings: tuple[tuple[str, Any], ...] = ()
    sheets: str | None = None


@dataclass
class CaseResult:
    """Rows of one case, one per method, and a PNG of its worst moment where sheets were asked for."""

    rows: list[dict[str, Any]]
    strip: bytes | None = None


def evaluate(task: Task) -> CaseResult:
    """All methods on one case.

    A row holds the names, the drawing's fingerprint and the fields of `Score`. A contact sheet is written where the
    task names a folder.
    """
    case = make_case(task.clip, task.kind, task.num_frames, task.codec)
    judge = Judge(case)
    # Other fonts draw other text: results of two machines can be compared where this agrees.
    drawing = f"{zlib.crc32(np.packbits(case.drawn).tobytes()):08x}"
    outcomes, rows = {}, []
    for method in task.methods:
        outcome = run_method(method, case, dict(task.settings))
        if outcome is None:
            continue
        outcomes[method] = outcome.planes
        rows.append({"clip": case.clip, "kind": case.kind, "method": method, "frames": case.num_frames,
                     "drawing": drawing, **asdict(judge.score(outcome))})  # fmt: skip
    if task.sheets is None:
        return CaseResult(rows)
    image = sheets.sheet(case, outcomes)
    if image is None:
        return CaseResult(rows)
    sheets.save(Path(task.sheets) / f"{case.kind}_{case.clip}.png", image)
    worst = sheets.worst_strip(case, outcomes)
    return CaseResult(rows, None if worst is None else cv2.imencode(".png", worst)[1].tobytes())
