"""Marks that nobody showed: candidates by how they come, go and travel, checked by finding them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.mark_look import Look, Planes, first_look, learn
from vswipe.detect.mark_movers import HALF, Mover, movers
from vswipe.detect.mark_search import closely
from vswipe.detect.mark_shape import Place
from vswipe.detect.mark_switches import Candidate, switches

MARGIN = 12
"""Working pixels around a candidate that its mask may grow into."""

_ANCHORS = 14  # frames between two looks for what travels
_ALIKE = 0.5  # score from which two switches show the same thing
_GROUPS = 3  # candidates of each kind that are checked
_SHARPEST = 40
_SPEED = 0.2  # pixels per frame by which two looks at one traveller may differ


@dataclass(frozen=True, eq=False)
class Guess:
    """A candidate with where it is known to be.

    Args:
        look: with the candidate's region as its mask, `MARGIN` around it.
        seen: places of the look's crop.
        support: looks that agree.
        travels: whether it was found by its motion.
    """

    look: Look
    seen: list[Place]
    support: int
    travels: bool


def runs(numbers: Sequence[int]) -> list[range]:
    """Runs of consecutive frames."""
    out: list[range] = []
    for n in sorted(numbers):
        if out and out[-1].stop == n:
            out[-1] = range(out[-1].start, n + 1)
        else:
            out.append(range(n, n + 1))
    return out


def switching(numbers: Sequence[int], planes: Callable[[int], Planes]) -> list[Guess]:
    """Things that came or went at least twice."""
    found: list[Candidate] = []
    for run in runs(numbers):
        window: dict[int, Planes] = {}
        for n in run:
            window[n] = planes(n)
            if len(window) == 4:
                found += switches({k: p.levels for k, p in window.items()}, {k: p.gradients for k, p in window.items()})
                del window[n - 3]
    left = sorted(found, key=lambda c: -c.sharpness * np.sqrt(c.mask.sum()))[:_SHARPEST]
    guesses: list[Guess] = []
    while left and len(guesses) < _GROUPS:
        seed, *left = left
        mask = _padded(seed.mask)
        x, y = seed.left - MARGIN, seed.top - MARGIN
        look = first_look(planes(seed.n), mask, x, y)
        seen: list[Place] = [(seed.n, float(x), float(y))]
        rest = []
        for other in left:
            at = _same_middle(other.left, other.top, other.mask, mask)
            sighting = closely(planes(other.n), look, *at, near=4)
            if sighting.score >= _ALIKE:
                seen.append((other.n, sighting.left, sighting.top))
            else:
                rest.append(other)
        # A switch is told by its two frames; the same moment seen twice is one.
        moments = {n // 2 for n, _, _ in seen}
        if len(moments) >= 2:
            guesses.append(Guess(look, seen, len(moments), False))
            left = rest
    return guesses


def travelling(numbers: Sequence[int], lumas: Mapping[int, np.ndarray],
               planes: Callable[[int], Planes]) -> list[Guess]:  # fmt: skip
    """Things that move straight and stay sharp, those whose speed was seen most often first."""
    found: list[Mover] = []
    for run in runs(numbers):
        for n in range(run.start + HALF, run.stop - HALF, _ANCHORS):
            found += movers(n, lumas, planes)
    groups: list[tuple[float, list[Mover]]] = []
    for mover in found:
        # Turned back at a border, a mark keeps the size of its speed.
        like = [m for m in found if np.abs(np.abs(m.velocity) - np.abs(mover.velocity)).max() < _SPEED]
        moments = {m.n: m for m in sorted(like, key=lambda m: m.weight * m.sharp)}
        groups.append((sum(m.weight * m.sharp for m in moments.values()), list(moments.values())))
    guesses: list[Guess] = []
    taken: set[int] = set()
    for _, group in sorted(groups, key=lambda g: -g[0]):
        best = max(group, key=lambda m: m.weight * m.sharp)
        if id(best) in taken or len(group) < 2:
            continue
        taken.update(id(m) for m in group)
        mask = _padded(best.mask)
        start = Mover(best.n, best.left - MARGIN, best.top - MARGIN, mask, best.velocity, best.sharp, best.weight)
        seen = [(k, *start.place(k)) for k in range(best.n - HALF, best.n + HALF + 1, 2)]
        look = first_look(planes(best.n), mask, round(start.left), round(start.top))
        guesses.append(Guess(learn(look, [(planes(k), x, y) for k, x, y in seen]), seen, len(group), True))
        if len(guesses) == _GROUPS:
            break
    return guesses


def _padded(mask: np.ndarray) -> np.ndarray:
    return cv2.copyMakeBorder(mask, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT)


def _same_middle(left: int, top: int, mask: np.ndarray, grid: np.ndarray) -> tuple[float, float]:
    """Left and top of a grid whose middle is that of another mask."""
    return left + (mask.shape[1] - grid.shape[1]) / 2, top + (mask.shape[0] - grid.shape[0]) / 2
