"""Plates behind lines of subtitles, and when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.perceive import Evidence
from vswipe.detect.plate import Plate, find_plate, is_sure
from vswipe.detect.subtitle import STROKE, DetectorPlan, Event


@dataclass(frozen=True)
class Backing:
    """The plate behind some rows of text.

    Args:
        first, last: frames it is shown in.
        plate: its place, working pixels.
    """

    first: int
    last: int
    plate: Plate


def find_backings(events: Sequence[Event], plan: DetectorPlan, evidence: Mapping[int, Evidence],
                  lumas: Mapping[int, np.ndarray], linked: Callable[[int, int], bool]) -> list[Backing]:  # fmt: skip
    """The plates behind the lines of a block, of rows that come and go together.

    Args:
        events: that are erased.
        plan, evidence, lumas, linked: as for `find_events`.
    """
    backings = []
    for group in _groups(events):
        surest = max(group, key=lambda e: e.score)  # its ends are the most exact
        first, last = surest.first, surest.last
        shown = _some([n for n in plan.clip(max(e.first for e in group), min(e.last for e in group) + 1) if n in lumas])
        if not shown:
            continue
        boxes = np.array([e.bounds for e in group])
        left, top, right, bottom = *(int(v) for v in boxes[:, :2].min(0)), *(int(v) for v in boxes[:, 2:].max(0))
        row = int(np.median(boxes[:, 3] - boxes[:, 1]))
        bare = _nearest([n for n in _beside(first, last, lumas, linked) if not _any_shown(events, n)], first, last)
        strokes = _strokes(group, lumas[shown[0]].shape)
        box = (left, top, right, bottom)
        plate = find_plate([lumas[n] for n in shown], [lumas[n] for n in bare], strokes, box, row)
        if plate is not None and is_sure(plate, _seen_behind(plate, strokes, evidence, first, last)):
            backings.append(Backing(first, last, plate))
    return backings


def _any_shown(events: Sequence[Event], n: int) -> bool:
    return any(event.first - 1 <= n <= event.last + 1 for event in events)


def _nearest(numbers: Sequence[int], first: int, last: int, most: int = 6) -> list[int]:
    """The frames next to a line: farther ones have moved."""
    return sorted(sorted(numbers, key=lambda n: min(abs(n - first), abs(n - last)))[:most])


def _groups(events: Sequence[Event]) -> list[list[Event]]:
    """Events that are shown at the same time and stand close to each other."""

    def close(a: Event, b: Event) -> bool:
        shared = min(a.last, b.last) - max(a.first, b.first) + 1
        if shared < 0.7 * max(a.last - a.first + 1, b.last - b.first + 1):
            return False
        first, second = a.bounds, b.bounds
        height = min(first[3] - first[1], second[3] - second[1])
        across = max(second[0] - first[2], first[0] - second[2])
        return across < 1.5 * height and max(second[1] - first[3], first[1] - second[3]) < height

    groups: list[list[Event]] = []
    for event in events:
        near = [group for group in groups if any(close(event, other) for other in group)]
        groups = [group for group in groups if group not in near] + [[event, *(e for group in near for e in group)]]
    return groups


def _some(numbers: Sequence[int], most: int = 12) -> list[int]:
    """At most so many, evenly spread."""
    return list(numbers[:: max(1, -(-len(numbers) // most))])


def _beside(first: int, last: int, lumas: Mapping[int, np.ndarray], linked: Callable[[int, int], bool]) -> list[int]:
    """Frames of the same shot that do not show what is shown from `first` to `last`, nor its last trace."""
    out = []
    for n, step in ((first, -1), (last, 1)):
        following = n + step
        while following in lumas and n in lumas and linked(n, following):
            if abs(following - (first if step < 0 else last)) > 1:
                out.append(following)
            n, following = following, following + step
    return sorted(out)


def _strokes(group: Sequence[Event], size: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: all that may belong to letters."""
    out = np.zeros(size, np.uint8)
    for event in group:
        h, w = event.strokes.shape
        part = out[event.top : event.top + h, event.left : event.left + w]
        part |= (event.strokes[: part.shape[0], : part.shape[1]] >= STROKE).astype(np.uint8)
    return cv2.dilate(out, np.ones((5, 5), np.uint8)) > 0


def _seen_behind(plate: Plate, strokes: np.ndarray, evidence: Mapping[int, Evidence], first: int, last: int) -> float:
    """Mean probability of a plate, 0..1, inside a rectangle and beside the strokes, at half size."""
    keys = [n for n in evidence if first <= n <= last]
    if not keys:
        return 0.0
    left, top, right, bottom = plate.left // 2, plate.top // 2, plate.right // 2, plate.bottom // 2
    free = ~strokes[top * 2 : bottom * 2 : 2, left * 2 : right * 2 : 2]
    if not free.any():
        return 0.0
    return float(np.mean([evidence[n].box[top:bottom, left:right][free].mean() for n in keys])) / 255
