"""Marks that nobody showed: candidates by how they come, go and travel, checked by finding them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vswipe.detect.mark_look import Look, Planes, first_look, learn
from vswipe.detect.mark_movers import HALF, Mover, movers
from vswipe.detect.mark_search import closely
from vswipe.detect.mark_shape import Place, filled_out
from vswipe.detect.mark_switches import LEAST, Showing, showings

MARGIN = 12
"""Working pixels around a candidate that its mask may grow into."""

_ANCHORS = 14  # frames between two looks for what travels
_ALIKE = 0.5  # score from which two showings are of the same thing
_NEAR = 4  # pixels beside the middle of its region at which the same thing is looked for
_AGREE = 0.3  # share of the most votes that a pixel needs
_GROUPS = 3  # candidates of each kind that are checked
_SHARPEST = 40
_SPEED = 0.2  # pixels per frame by which two looks at one traveller may differ


@dataclass(frozen=True)
class Span:
    """Frames from `start` to before `stop`, in which a look's crop stands at `left`, `top`.

    `came` and `went` say whether it was seen to come and to go at once: then the frames next to it do not show it.
    """

    start: int
    stop: int
    left: float
    top: float
    came: bool
    went: bool

    def ends_before(self, n: int, left: float, top: float, reach: int) -> bool:
        """Whether it is known not to be shown in frame n at a place, up to `reach` frames beyond its ends."""
        if max(abs(left - self.left), abs(top - self.top)) > _NEAR:
            return False
        return (self.went and self.stop <= n < self.stop + reach) or (
            self.came and self.start - reach <= n < self.start
        )


@dataclass(frozen=True, eq=False)
class Guess:
    """A candidate with where it is known to be.

    Args:
        look: with the candidate's region as its mask, `MARGIN` around it.
        seen: places of the look's crop.
        support: looks that agree.
        travels: whether it was found by its motion.
        spans: where it is known to be shown without a gap.
    """

    look: Look
    seen: list[Place]
    support: int
    travels: bool
    spans: tuple[Span, ...] = ()


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
    """Things that were shown at least twice, and came and went three times or more."""
    found = [showing for run in runs(numbers) for showing in showings(run, planes)]
    left = sorted(found, key=lambda s: -s.sharpness * np.sqrt(s.mask.sum()) * s.ends)[:_SHARPEST]
    guesses: list[Guess] = []
    while left and len(guesses) < _GROUPS:
        seed, *left = left
        x, y = seed.left - MARGIN, seed.top - MARGIN
        look = first_look(planes(seed.middle), _padded(seed.mask), x, y)
        guess, rest = None, left
        for _ in range(2):  # over a ground of its own colour a single showing says little of the look
            seen, rest = _like(look, [seed, *left], planes)
            seen = seen or [(seed, float(x), float(y))]
            if len(seen) < 2 or sum(showing.ends for showing, _, _ in seen) < 3:
                break
            voted = _voted(seen, look.size)
            if voted.sum() < LEAST * planes(seed.middle).levels[..., 0].size:
                break
            guess = _together(look, voted, seen, planes)
            look = guess.look
        if guess is not None:
            guesses.append(guess)
            left = [showing for showing in rest if showing is not seed]
    return guesses


_Seen = list[tuple[Showing, float, float]]  # a showing, and left and top of the look's crop in it


def _like(look: Look, showings: Sequence[Showing],
          planes: Callable[[int], Planes]) -> tuple[_Seen, list[Showing]]:  # fmt: skip
    """Showings of one look with their places, and the others."""
    seen: _Seen = []
    rest = []
    for showing in showings:
        at = _same_middle(showing.left, showing.top, showing.mask, look.mask)
        sighting = closely(planes(showing.middle), look, *at, near=_NEAR)
        if sighting.score >= _ALIKE:
            seen.append((showing, sighting.left, sighting.top))
        else:
            rest.append(showing)
    return seen, rest


def _together(look: Look, mask: np.ndarray, seen: _Seen, planes: Callable[[int], Planes]) -> Guess:
    """What was shown several times, with the look and the mask that all of it tells."""
    places: list[Place] = [(n, left, top) for showing, left, top in seen for n in showing.frames]
    bare: list[Place] = [(n, left, top) for showing, left, top in seen for n in showing.bare]
    look = replace(look, mask=filled_out(mask, places, bare, planes))
    look = learn(look, [(planes(n), left, top) for n, left, top in places])
    spans = tuple(
        Span(showing.start, showing.stop, left, top, showing.came, showing.went) for showing, left, top in seen
    )
    return Guess(look, places, sum(showing.ends for showing, _, _ in seen), False, spans)


def _voted(seen: _Seen, size: tuple[int, int]) -> np.ndarray:
    """The mask (h, w) uint8 of what was shown several times.

    Over a ground of its own colour a part of it jumps unseen, and around it things may have moved at the same time.
    """
    votes = np.zeros(size, np.float32)
    for showing, left, top in seen:
        shift = np.array([[1, 0, round(showing.left - left)], [0, 1, round(showing.top - top)]], np.float32)
        votes += cv2.warpAffine(showing.mask.astype(np.float32), shift, size[::-1], flags=cv2.INTER_NEAREST)
    return (votes > max(1.5, _AGREE * float(votes.max()))).astype(np.uint8)


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
