"""Things that come at once, hold still and go at once: how marks that blink or jump between places give themselves
away.

Every pixel is followed through the frames: when it last jumped, and whether it has held its level since. What a mark
covers jumps in the same frame, holds, and jumps in the same frame again, whatever the scene around does; of a scene
only single pixels do. A still scene does the same in the time between two showings; there the outline tells which is
which: it is sharper where the mark is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.mark_look import Planes, crop

SHORTEST = 5
"""Frames that something must hold."""

_JUMP = 14.0  # levels by which it comes and goes
_RIM, _COLOUR = 8.0, 0.4  # the same for a single pixel, and the weight of its colour: subsampled, it reaches farther
_HOLDS = 10.0  # levels by which coding and slow changes of light may move it from one frame to the next
_FOLLOWS = 0.15  # share of such a change that is taken over
LEAST, _MOST = 0.0006, 0.05  # share of the picture that it covers, and its box
_FILLED = 0.12  # share of its box that it covers
_SPECK = 6  # pixels; smaller parts are noise
_APART = 0.07  # of the picture's short side, by which its parts lie apart
_SHARPER = 1.5  # levels per pixel along its outline


@dataclass(frozen=True, eq=False)
class Showing:
    """Something that was shown for a while.

    Args:
        start, stop: its first frame, and the first without it.
        left, top: of the mask's crop, working pixels.
        mask: (h, w) uint8.
        came, went: whether it was seen to come, and to go.
        sharpness: levels per pixel along its outline, more than without it.
    """

    start: int
    stop: int
    left: int
    top: int
    mask: np.ndarray
    came: bool
    went: bool
    sharpness: float

    @property
    def middle(self) -> int:
        """A frame that shows it."""
        return (self.start + self.stop) // 2

    @property
    def frames(self) -> tuple[int, ...]:
        """A few frames that show it, none of them the first or the last: there coding has not settled."""
        return self.start + 1, self.middle, self.stop - 2

    @property
    def bare(self) -> tuple[int, ...]:
        """The frames next to it that do not show it."""
        return tuple(n for n, there in ((self.start - 1, self.came), (self.stop, self.went)) if there)

    @property
    def ends(self) -> int:
        """2 where it was seen to come and to go, 1 where only one of both was."""
        return len(self.bare)


@dataclass(frozen=True, eq=False)
class _Held:
    """Pixels that held over the same frames: start, stop, whether start and stop were jumps, (H, W) bool."""

    start: int
    stop: int
    came: bool
    went: bool
    pixels: np.ndarray


def change(a: np.ndarray, b: np.ndarray, colour: float = 1.0) -> np.ndarray:
    """How much each pixel differs, levels: (H, W) float32 of two (H, W, 3), the largest of the channels.

    Args:
        a, b: frames.
        colour: weight of the chroma.
    """
    luma, first, second = cv2.split(cv2.absdiff(a, b))
    return cv2.max(luma, np.float32(colour) * cv2.max(first, second))


def held_alike(frames: Iterable[tuple[int, np.ndarray]]) -> Iterator[_Held]:
    """Pixels that came or went together after they held for `SHORTEST` frames or more.

    Args:
        frames: number and levels (H, W, 3) float32 of consecutive frames.
    """
    before: np.ndarray | None = None
    for n, levels in frames:
        if before is None:
            first, level = n, levels.copy()
            since, came = np.full(levels.shape[:2], n, np.int32), np.zeros(levels.shape[:2], bool)
            before = levels
            continue
        off = cv2.blur(change(levels, level), (3, 3))
        jumped = cv2.blur(change(levels, before), (3, 3)) > _JUMP
        jumped &= change(levels, before, _COLOUR) > _RIM
        broken = off > _HOLDS
        gone = jumped & (off > _JUMP) & (since <= n - SHORTEST) & (came | (since == first))
        yield from _groups(n, since, gone, first, True)
        level += np.float32(_FOLLOWS) * (levels - level)
        level[broken] = levels[broken]
        since[broken], came[broken] = n, jumped[broken]
        before = levels
    if before is not None:
        yield from _groups(n + 1, since, came & (since <= n + 1 - SHORTEST), first, False)


def _groups(stop: int, since: np.ndarray, chosen: np.ndarray, first: int, went: bool) -> Iterator[_Held]:
    """The chosen pixels by the frame since which they hold."""
    least = LEAST * chosen.size
    starts, counts = np.unique(since[chosen], return_counts=True)
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        if count >= least:
            pixels = chosen & (since == start)
            yield _Held(start, stop, start != first, went, pixels)


def showings(run: range, planes: Callable[[int], Planes]) -> list[Showing]:
    """Compact things that were shown for a while, and some that were not but lay open for a while.

    Args:
        run: consecutive frames.
        planes: of a frame; asked for in order, and again for the frames at both ends of what is found.
    """
    found: list[Showing] = []
    for held in held_alike((n, planes(n).levels) for n in run):
        found += _compact(held, planes)
    return found


def _compact(held: _Held, planes: Callable[[int], Planes]) -> list[Showing]:
    """The compact regions among pixels that held together, where an outline shows that something lay over the scene."""
    strong = _without_specks(held.pixels.astype(np.uint8))
    # Letters and bars stand apart; what else in the picture held over the very same frames?
    reach = max(3, round(_APART * min(strong.shape)))
    _, labels = cv2.connectedComponents(cv2.dilate(strong, np.ones((reach, reach), np.uint8)), connectivity=8)
    labels *= strong
    found = []
    for region in np.unique(labels[labels > 0]).tolist():
        x, y, w, h = cv2.boundingRect((labels == region).astype(np.uint8))
        if w * h > _MOST * strong.size:
            continue
        inside = labels[y : y + h, x : x + w] == region
        area = int(inside.sum())
        if area < LEAST * strong.size or area < _FILLED * w * h:
            continue
        mask = cv2.copyMakeBorder(inside.astype(np.uint8), 2, 2, 2, 2, cv2.BORDER_CONSTANT)
        shown = [held.start, (held.start + held.stop) // 2, held.stop - 1]
        bare = [n for n, there in ((held.start - 1, held.came), (held.stop, held.went)) if there]
        sharpness = [float(np.mean([outlined(planes(n), x - 2, y - 2, mask) for n in part])) for part in (shown, bare)]
        found.append(Showing(held.start, held.stop, x - 2, y - 2, mask, held.came, held.went,
                             sharpness[0] - sharpness[1]))  # fmt: skip
    return [showing for showing in found if showing.sharpness > _SHARPER]


def _without_specks(pixels: np.ndarray) -> np.ndarray:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= _SPECK
    kept[0] = False
    return kept[labels].astype(np.uint8)


def outlined(planes: Planes, left: int, top: int, mask: np.ndarray) -> float:
    """Levels per pixel across the outline of a mask, more than along it: a texture has as much of both.

    Args:
        planes: of the frame.
        left, top: of the mask in it.
        mask: (h, w) uint8.
    """
    whole = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(np.float32)
    soft = cv2.GaussianBlur(whole, (0, 0), 1.0)
    across = np.dstack([cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)])
    steep = np.linalg.norm(across, axis=2)
    outline = steep > 0.5 * steep.max()
    across /= steep[..., None] + np.float32(1e-6)
    slope = crop(planes.gradients, left, top, (mask.shape[0], mask.shape[1]))
    over = np.abs((slope * across).sum(axis=2))
    along = np.abs(slope[..., 0] * across[..., 1] - slope[..., 1] * across[..., 0])
    return float((over - along)[outline].mean())
