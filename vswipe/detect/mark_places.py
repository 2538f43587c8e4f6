"""In which frames a known mark is shown, and where exactly, from its sightings in the frames around.

A sighting that is strong enough counts by itself. Where the mark is faint, because it fades or because what is behind
has its colour, the frames before and after say where it must be, and what is left of it there decides. Where it stands
still or travels straight its place is averaged over frames: a mask that trembles would make the repair tremble.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vswipe.detect.mark_search import Sighting

REACH = 12
"""Frames on each side that have a say."""

_STEADY = 5  # frames on each side over which places are averaged
_FAINTEST = 0.12  # opacity of a fading mark below which nothing is left to be erased
_HOLDS = 0.35  # share of the contrast that a faint mark must explain
_SPEED = 12.0  # working pixels per frame: faster, two sightings are no path


@dataclass(frozen=True)
class Bounds:
    """How strong a sighting must be.

    Args:
        sure: score from which it counts by itself.
        likely: score from which it counts beside another.
    """

    sure: float
    likely: float


def strong(sightings: Sequence[Sighting], least: float, size: tuple[int, int]) -> list[Sighting]:
    """Those of a frame, best first, that reach a score and do not overlap a better one."""
    height, width = size
    kept: list[Sighting] = []
    for sighting in sightings:
        if sighting.score < least:
            break
        if all(abs(sighting.left - k.left) > 0.7 * width or abs(sighting.top - k.top) > 0.7 * height for k in kept):
            kept.append(sighting)
    return kept


def decide(numbers: range, sightings: Mapping[int, Sequence[Sighting]], bounds: Bounds, size: tuple[int, int],
           look_at: Callable[[int, float, float], Sighting]) -> dict[int, list[Sighting]]:  # fmt: skip
    """Where the mark stands in each of some frames; none where it is not shown.

    Args:
        numbers: the frames that are asked for.
        sightings: of these and of the frames up to `REACH` around them, best first.
        bounds: of this mark.
        size: height and width of its crop, working pixels.
        look_at: the sighting of a frame at a place.
    """
    sure = {n: strong(found, bounds.sure, size) for n, found in sightings.items()}
    out: dict[int, list[Sighting]] = {}
    for n in numbers:
        here = list(sure[n])
        for wanted in _expected(n, sure):
            if any(abs(s.left - wanted[0]) < 0.7 * size[1] and abs(s.top - wanted[1]) < 0.7 * size[0] for s in here):
                continue
            found = look_at(n, *wanted)
            moved = max(abs(found.left - wanted[0]), abs(found.top - wanted[1])) > 2.5
            if not moved and (found.score >= bounds.likely or _is_faint(found)):
                here.append(found)
        out[n] = [_steadied(n, sighting, sure) for sighting in here]
    return out


def _is_faint(sighting: Sighting) -> bool:
    return _FAINTEST < sighting.opacity < 1.3 and sighting.fit > _HOLDS and sighting.gradient > 0.25


def _expected(n: int, sure: Mapping[int, Sequence[Sighting]]) -> list[tuple[float, float]]:
    """Where the nearest frames on either side let one expect the mark."""
    places: list[tuple[float, float]] = []
    sides = [next(((k, sure[k]) for k in range(n + step, n + step * (REACH + 1), step) if sure.get(k)), None)
             for step in (-1, 1)]  # fmt: skip
    for side in sides:
        places += [(s.left, s.top) for s in side[1]] if side else []
    before, after = sides
    if before and after:
        share = (n - before[0]) / (after[0] - before[0])
        for a in before[1]:
            for b in after[1]:
                if max(abs(a.left - b.left), abs(a.top - b.top)) <= _SPEED * (after[0] - before[0]):
                    places.append((a.left + share * (b.left - a.left), a.top + share * (b.top - a.top)))
    return places


def _steadied(n: int, sighting: Sighting, sure: Mapping[int, Sequence[Sighting]]) -> Sighting:
    """The sighting on the straight line through those around it, where they lie on one."""
    times, places = [0], [(sighting.left, sighting.top)]
    for k in range(n - _STEADY, n + _STEADY + 1):
        near = [s for s in sure.get(k, ()) if k != n and max(abs(s.left - sighting.left), abs(s.top - sighting.top))
                <= _SPEED * abs(k - n)]  # fmt: skip
        if near:
            best = min(near, key=lambda s: abs(s.left - sighting.left) + abs(s.top - sighting.top))
            times.append(k - n)
            places.append((best.left, best.top))
    if len(times) < 4:
        return sighting
    where = np.array(places)
    middle = np.median(where, axis=0)
    if np.abs(where - middle).max() < 0.6:  # it stands still
        return replace(sighting, left=float(middle[0]), top=float(middle[1]))
    line = np.polynomial.polynomial.polyfit(times, where, 1)
    off = np.abs(where - (line[0] + np.outer(times, line[1]))).max()
    return replace(sighting, left=float(line[0][0]), top=float(line[0][1])) if off < 0.5 else sighting
