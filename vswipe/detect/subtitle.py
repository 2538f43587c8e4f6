"""Events of burnt-in subtitles, block by block on a fixed grid, so that the answer is the same after any seek.

Every `KEY`th frame is looked at by the network. For a block of `BLOCK` frames the looked-at frames within `MARGIN`
around it give the lines (`tracks`), each with one mask for all of its frames in the block, and its exact first and last
frame (`presence`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vswipe.detect.certainty import certainty, track_facts
from vswipe.detect.perceive import Evidence
from vswipe.detect.tracks import Row, Track, find_span, follow, place
from vswipe.detect.working import WorkingSize
from vswipe.nets.textseg import RADIUS

KEY = 4
BLOCK = 16
MARGIN = 24
CLASSES = ("dialogue", "sign")

LEAST_CORE = 25
"""Stroke pixels at working size below which nothing is a line."""

TALLEST = 0.36
"""Share of the height that three joined lines of the largest size take; what is taller and no column is a texture."""

STROKE = 0.25
"""Pooled probability that makes a stroke."""

_CHANGE = 0.7
"""Log of how many times more than a line's a part's strokes may change from frame to frame: both lie over the picture,
and what moves with the picture is none of them."""

_BESIDE = 0.2  # share of the certainty asked for that a part beside a sure line needs

Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class DetectorSettings:
    """What a user may turn.

    Args:
        threshold: 0..1, certainty asked for. 0.5 is neutral.
        min_frames: shortest line, frames.
        classes: of `CLASSES`: "dialogue" lines stand at the bottom, at the top, or in columns at the sides; "sign" is
            every other text that stands still.
        regions: rectangles (left, top, width, height) in full pixels; lines with their middle outside are left alone.
            None given: everywhere.
    """

    threshold: float = 0.5
    min_frames: int = 6
    classes: tuple[str, ...] = ("dialogue",)
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, eq=False)
class Event:
    """One line.

    Args:
        first, last: frames it is shown in, as far as the window shows.
        left, top: of its masks, working pixels.
        strokes: (h, w) float32, probability of a stroke.
        plate: (h, w) bool, the box behind the text, all False where there is none.
        score: 0..1, how sure.
        kind: one of `CLASSES`.
        bounds: left, top, right, bottom of the strokes, working pixels, right and bottom excluded.
        cut_off: whether it goes on beyond the window.
        facts: what `score` is made of.
    """

    first: int
    last: int
    left: int
    top: int
    strokes: np.ndarray
    plate: np.ndarray
    score: float
    kind: str
    bounds: tuple[int, int, int, int]
    cut_off: bool
    facts: Mapping[str, float]


@dataclass(frozen=True)
class DetectorPlan:
    """Which frames a block needs; plain integers.

    Args:
        num_frames: length of the clip.
    """

    num_frames: int

    def clip(self, first: int, last: int) -> range:
        """Frames first..last - 1 that exist."""
        return range(max(0, first), min(self.num_frames, last))

    def block(self, n: int) -> int:
        """First frame of the block frame n lies in."""
        return n // BLOCK * BLOCK

    def window(self, start: int) -> range:
        """Frames whose lines a block looks at."""
        return self.clip(start - MARGIN, start + BLOCK + MARGIN)

    def keys(self, start: int) -> list[int]:
        """Looked-at frames of a block's window."""
        return [n for n in self.window(start) if n % KEY == 0]

    def needed(self, start: int) -> range:
        """Every frame a block may look at."""
        return self.clip(start - MARGIN - RADIUS, start + BLOCK + MARGIN + RADIUS)


def find_events(start: int, plan: DetectorPlan, evidence: Mapping[int, Evidence], rows: Mapping[int, Sequence[Row]],
                lumas: Mapping[int, np.ndarray], linked: Callable[[int, int], bool],
                size: WorkingSize) -> list[Event]:  # fmt: skip
    """Everything shown in a block that may be a line, however unsure.

    Args:
        start: first frame of the block.
        plan: of the clip.
        evidence, rows: of the looked-at frames of the window.
        lumas: working luma (H, W), every frame of the window.
        linked: whether frames n and n + 1, or n + 1 and n, belong to one shot.
        size: of the clip.
    """
    stop = min(start + BLOCK, plan.num_frames)
    keys = plan.keys(start)

    def same_shot(a: int, b: int) -> bool:
        return all(linked(n, n + 1) for n in range(a, b))

    events = []
    for track in follow({n: rows[n] for n in keys}, lumas, same_shot):
        # What ends long before the block or begins long after it cannot reach into it.
        if track.keys[-1] < start - 4 * KEY or track.keys[0] >= stop + 4 * KEY:
            continue
        place(track, (size.height, size.width), margin=max(4, size.height // 60))
        if find_span(track, evidence, lumas, linked):
            event = _event(track, size)
            if event is not None and event.first < stop and event.last >= start:
                events.append(event)
    return events


def choose(events: Sequence[Event], settings: DetectorSettings, size: WorkingSize) -> list[Event]:
    """The events that are sure enough, long enough and wanted, with the parts of lines that stand beside them.

    A dot, an accent or a short word alone is unsure; beside a sure line at the same time it belongs to it, and is of
    its class.
    """

    def wanted(event: Event) -> bool:
        length = event.last - event.first + 1
        # What the clip begins or ends in may be short, but one or two frames are more often noise.
        comes_or_goes = event.cut_off and event.facts["switch"] > 0
        long_enough = length >= settings.min_frames or (comes_or_goes and length >= min(3, settings.min_frames))
        return long_enough and event.kind in settings.classes and _inside(event, settings.regions, size)

    sure = [e for e in events if e.score >= settings.threshold]
    taken = [e for e in sure if wanted(e)]

    def beside(event: Event) -> Event | None:
        """A part, shown no longer than the lines it belongs to unless it is sure itself; None: it belongs to none."""
        sure = event.score >= settings.threshold
        lines = [line for line in taken if _together(event, line, sure)]
        if not lines or not _inside(event, settings.regions, size):
            return None
        if sure:
            return event
        first, last = min(line.first for line in lines), max(line.last for line in lines)
        return replace(event, first=max(event.first, first), last=min(event.last, last))

    unsure = settings.threshold * _BESIDE
    parts = [beside(e) for e in events if e not in taken and e.score >= unsure]
    return taken + [part for part in parts if part is not None]


def _together(part: Event, line: Event, sure: bool) -> bool:
    """Whether a part belongs to a line: shown with it, near it, and no larger than a dot, an accent or a word would be;
    what is sure by itself may be as tall as two more rows of the same text."""
    shared = min(part.last, line.last) - max(part.first, line.first) + 1
    if shared * 2 < part.last - part.first + 1:
        return False
    if not sure and part.facts["change"] > line.facts["change"] + _CHANGE:
        return False
    a, b = part.bounds, line.bounds
    height = b[3] - b[1]
    across = max(b[0] - a[2], a[0] - b[2])
    down = max(b[1] - a[3], a[1] - b[3])
    tallest = 3.4 if sure and across < 0 else 1.6
    return across < 1.5 * height and down < 0.8 * height and a[3] - a[1] < tallest * height


def _event(track: Track, size: WorkingSize) -> Event | None:
    """The event of a track, or None where its strokes are too few."""
    core = track.strokes >= 0.5
    area = int(core.sum())
    if area < LEAST_CORE:
        return None
    ys, xs = np.flatnonzero(core.any(1)), np.flatnonzero(core.any(0))
    height, width = int(ys[-1] - ys[0]) + 1, int(xs[-1] - xs[0]) + 1
    if height > TALLEST * size.height and width > height / 3:
        return None
    facts = track_facts(track, core)
    left, top = track.left + int(xs[0]), track.top + int(ys[0])
    bounds = (left, top, track.left + int(xs[-1]) + 1, track.top + int(ys[-1]) + 1)
    return Event(
        first=track.first.n,
        last=track.last.n,
        left=track.left,
        top=track.top,
        strokes=track.strokes,
        plate=_plate(track, core),
        score=certainty(facts),
        kind=kind_of(*bounds, size),
        bounds=bounds,
        cut_off="open" in (track.first.how, track.last.how),
        facts=facts,
    )


def kind_of(left: int, top: int, right: int, bottom: int, size: WorkingSize) -> str:
    """The class of a box of text by where it stands; working pixels."""
    middle_y, middle_x = (top + bottom) / 2 / size.height, (left + right) / 2 / size.width
    column = bottom - top > 1.5 * (right - left)
    if column:
        return "dialogue" if middle_x < 0.3 or middle_x > 0.7 else "sign"
    # Rows that were taken together reach further into the picture than one: their outer row says where they stand.
    at_top = middle_y < 0.28 or (top < 0.16 * size.height and bottom <= 0.5 * size.height)
    return "dialogue" if middle_y > 0.58 or at_top else "sign"


def _inside(event: Event, regions: Sequence[Region], size: WorkingSize) -> bool:
    left, top, right, bottom = event.bounds
    x, y = (left + right) / 2 * size.full_width / size.width, (top + bottom) / 2 * size.full_height / size.height
    return not regions or any(a <= x < a + w and b <= y < b + h for a, b, w, h in regions)


def _plate(track: Track, core: np.ndarray) -> np.ndarray:
    """The plate behind a line: where its probability is high, if it is behind most of the strokes."""
    plate = track.box >= 0.5
    if plate[core].mean() < 0.6:
        return np.zeros_like(plate)
    closed = cv2.morphologyEx(plate.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return closed > 0
