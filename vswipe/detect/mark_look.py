"""What a mark looks like, learnt from where it was seen, and how well a place in a frame shows it.

A mark repeats and the background does not. Seen several times and laid over each other, the pixels of an opaque mark
hold their levels, those of a translucent one their gradients; each pixel is weighed by how well it held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.working import WorkingFrame

MARGIN = 4
"""Working pixels kept around a mask: the gradients of its rim and what is needed to shift it by a fraction."""

_NOISE = 9.0  # variance of levels that coding alone brings at about CRF 20
_CHROMA = 1.5  # colour differences count more than brightness: lighting changes them less
_GRADIENT_NOISE = 1.0
_CHANGE = 100.0  # variance of the levels around a mark from which its rim can be told from the background's edges
_LEAST_INSIDE = 12
_SQUARE = np.ones((3, 3), np.uint8)
_SOFT = (3, 3)  # kernel in which pictures are smoothed before they are halved


@dataclass(frozen=True, eq=False)
class Planes:
    """One frame as the search wants it, float32.

    Args:
        levels: (H, W, 3), luma 0..255 and chroma around zero, weighted.
        gradients: (H, W, 2), of the luma, levels per pixel, x then y.
    """

    levels: np.ndarray
    gradients: np.ndarray


def gradients(luma: np.ndarray) -> np.ndarray:
    """(H, W, 2) float32, levels per pixel, x then y, of a luma plane smoothed a little."""
    soft = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 0.7)
    return np.dstack([cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.125)])


def planes_of(frame: WorkingFrame, size: tuple[int, int]) -> Planes:
    """The planes of a working frame.

    Args:
        frame: as the store keeps it.
        size: height and width without the padding.
    """
    height, width = size
    luma = frame.luma[:height, :width]
    chroma = [cv2.resize(c, (frame.luma.shape[1], frame.luma.shape[0]), interpolation=cv2.INTER_LINEAR)[:height, :width]
              for c in frame.chroma]  # fmt: skip
    levels = np.dstack([luma, *chroma]).astype(np.float32)
    levels[..., 1:] = (levels[..., 1:] - 128) * _CHROMA
    return Planes(levels, gradients(luma))


def halved(planes: Planes) -> Planes:
    """Planes of half the size.

    They are smoothed first: a mark may stand on odd pixels where its look was taken from even ones, and its strokes
    must be much the same at half size either way.
    """
    size = planes.levels.shape[1] // 2, planes.levels.shape[0] // 2
    even = planes.levels[: 2 * size[1], : 2 * size[0]]
    levels = cv2.resize(cv2.GaussianBlur(even, _SOFT, 0), size, interpolation=cv2.INTER_AREA)
    return Planes(levels, gradients(levels[..., 0]))


@dataclass(frozen=True, eq=False)
class Look:
    """The look of a mark on a crop of its own.

    Args:
        levels: (h, w, 3) float32, as in `Planes`.
        held: (h, w, 3) float32, 0..1: how much each pixel's levels are the mark's own.
        gradients: (h, w, 2) float32.
        sure: (h, w) float32, 0..1: the same for the gradients.
        mask: (h, w) uint8, 1 where the mark is.
    """

    levels: np.ndarray
    held: np.ndarray
    gradients: np.ndarray
    sure: np.ndarray
    mask: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.mask.shape[0], self.mask.shape[1]

    def halved(self) -> Look:
        """The look at half the size, an odd row or column made whole by one that counts for nothing."""
        height, width = self.size
        size = -(-width // 2), -(-height // 2)

        def half(x: np.ndarray, border: int) -> np.ndarray:
            even = cv2.copyMakeBorder(x, 0, height % 2, 0, width % 2, border)
            return cv2.resize(even, size, interpolation=cv2.INTER_AREA)

        levels = half(cv2.GaussianBlur(self.levels, _SOFT, 0), cv2.BORDER_REPLICATE)
        held, sure, mask = (half(x, cv2.BORDER_CONSTANT) for x in (self.held, self.sure, self.mask))
        return Look(levels, held, gradients(levels[..., 0]), sure, mask)


def crop(plane: np.ndarray, left: float, top: float, size: tuple[int, int]) -> np.ndarray:
    """A part of a plane (H, W, C) that may begin between pixels and reach outside, where it repeats the border."""
    height, width = size
    if left == int(left) and top == int(top):
        x, y = int(left), int(top)
        if x >= 0 and y >= 0 and x + width <= plane.shape[1] and y + height <= plane.shape[0]:
            return plane[y : y + height, x : x + width]
    where = np.array([[1, 0, left], [0, 1, top]], np.float32)
    return cv2.warpAffine(plane, where, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)  # fmt: skip


def first_look(planes: Planes, mask: np.ndarray, left: int, top: int) -> Look:
    """The look of a mark in the one frame that shows it.

    Args:
        planes: of the frame.
        mask: (h, w) uint8, 1 where the mark is, with `MARGIN` around it.
        left, top: of the mask's crop in the frame; parts may lie outside.
    """
    size = mask.shape[0], mask.shape[1]
    inside = np.ones(size, np.float32)
    if _outside(planes, left, top, size):
        inside = crop(np.ones(planes.levels.shape[:2], np.float32), left, top, size)
    held, sure = _own(mask)
    return Look(crop(planes.levels, left, top, size), held * inside[..., None], crop(planes.gradients, left, top, size),
                sure * inside, mask)  # fmt: skip


def _own(mask: np.ndarray, rim: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """What can be the mark's own of levels (h, w, 3) and gradients (h, w), 0..1, from its mask alone.

    Args:
        mask: (h, w) uint8.
        rim: 0..1, how much gradients between the mark and what is behind it are to count.
    """
    grown = cv2.dilate(mask, _SQUARE)
    held = _inside(mask, 1)
    # Subsampled colour is a mixture two pixels deep, and coding spreads it: thin strokes have none of their own.
    colour = cv2.erode(mask, np.ones((5, 5), np.uint8), borderValue=0)
    return np.dstack([held, colour, colour]).astype(np.float32), np.float32(1 - rim) * held + np.float32(rim) * grown


def _inside(mask: np.ndarray, depth: int) -> np.ndarray:
    held = cv2.erode(mask, _SQUARE, iterations=depth, borderValue=0).astype(np.float32)
    return held if held.sum() >= _LEAST_INSIDE else mask.astype(np.float32)  # hair strokes have no inside


def _outside(planes: Planes, left: float, top: float, size: tuple[int, int]) -> bool:
    height, width = planes.levels.shape[:2]
    return left < 0 or top < 0 or left + size[1] > width or top + size[0] > height


def learn(look: Look, seen: Sequence[tuple[Planes, float, float]]) -> Look:
    """The look averaged over where it was seen.

    Args:
        look: what was known.
        seen: planes, and left and top of the crop in them.
    """
    levels = np.stack([crop(planes.levels, left, top, look.size) for planes, left, top in seen])
    slopes = np.stack([crop(planes.gradients, left, top, look.size) for planes, left, top in seen])
    middle = np.median(levels, axis=0)
    # 1.4826 times the median deviation is the standard deviation of a normal distribution; a few wrong sightings do
    # not move it.
    spread = (1.4826 * np.median(np.abs(levels - middle), axis=0)) ** 2
    spread = cv2.blur(spread.mean(axis=2), (3, 3))
    # A mark that was seen in one place only, over one background: what is beyond its rim held as well as the mark.
    around = (cv2.dilate(look.mask, np.ones((9, 9), np.uint8)) > 0) & (cv2.dilate(look.mask, _SQUARE) == 0)
    change = float(spread[around].mean()) if around.any() else 0.0
    own_levels, own_gradients = _own(look.mask, change / (change + _CHANGE))
    held = np.float32(4 * _NOISE) / (4 * _NOISE + spread)[..., None] * own_levels
    slope = np.median(slopes, axis=0)
    strength = (slope**2).sum(axis=2)
    scatter = (1.4826 * np.median(np.linalg.norm(slopes - slope, axis=3), axis=0)) ** 2
    sure = (strength + _GRADIENT_NOISE) / (strength + scatter + _GRADIENT_NOISE) * own_gradients
    return Look(middle.astype(np.float32), held.astype(np.float32), slope.astype(np.float32),
                sure.astype(np.float32), look.mask)  # fmt: skip
