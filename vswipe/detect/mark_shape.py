"""The mask of a mark, from where it was seen and from the same places without it.

A pixel is the mark's when it hardly varies over the sightings, and is far from that level where the mark is not: in the
frames that show the same place without it, or, where it travels, beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np

from vswipe.detect.mark_look import Planes, crop

Place = tuple[int, float, float]
"""A frame's number, and left and top of a crop in it."""

_NOISE = 8.0  # variance of levels that coding alone leaves
_CLEAR, _FAINT = 5.0, 2.5  # how many times farther off it is without the mark
_LEAST = 6.0  # levels by which it must be off
_OF_ALL = 0.1  # share of the mark's usual square distance: what is fainter is a rim or a shadow of coding
_RIM = 0.02  # the same where coming and going is known to the frame
_CHANNELS = np.array([1.0, 0.3, 0.3], np.float32)  # subsampled and coded colour reaches beyond the mark's rim
_PARTS = 12  # pixels of a part; smaller ones are noise


def without(seen: Sequence[Place], numbers: Sequence[int], shown: Sequence[Place],
            size: tuple[int, int]) -> list[Place]:  # fmt: skip
    """Places of sightings in the nearest frames that do not show the mark there.

    Args:
        seen: the sightings that are compared.
        numbers: frames that were searched.
        shown: everything that was found in them.
        size: height and width of the mark.
    """
    at: dict[int, list[tuple[float, float]]] = {}
    for n, x, y in shown:
        at.setdefault(n, []).append((x, y))
    out: list[Place] = []
    for n, left, top in seen:
        free = [k for k in numbers if k != n and not any(abs(x - left) < size[1] and abs(y - top) < size[0]
                                                         for x, y in at.get(k, ()))]  # fmt: skip
        out += [(k, left, top) for k in sorted(free, key=lambda k: abs(k - n))[:3]]
    return out


def beside(seen: Sequence[Place], size: tuple[int, int], crop_size: tuple[int, int],
           picture: tuple[int, int]) -> list[tuple[Place, Place]]:  # fmt: skip
    """Pairs of places on opposite sides of sightings in the same frames, inside the picture.

    Args:
        seen: the sightings.
        size: height and width of the mark.
        crop_size: of the crop that its place is given for.
        picture: of the frames.
    """
    height, width = size[0] + 2, size[1] + 2

    def inside(x: float, y: float) -> bool:
        return -8 <= x <= picture[1] - crop_size[1] + 8 and -8 <= y <= picture[0] - crop_size[0] + 8

    out: list[tuple[Place, Place]] = []
    for n, left, top in seen:
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            ends = [(n, left + s * dx * width, top + s * dy * height) for s in (-1, 1)]
            free = [end for end in ends if inside(*end[1:])]
            if free:
                out.append((free[0], free[-1]))
    return out


def shape_of(seen: Sequence[Place], empty: Sequence[Place], sides: Sequence[tuple[Place, Place]],
             planes: Callable[[int], Planes], size: tuple[int, int]) -> tuple[np.ndarray, float]:  # fmt: skip
    """The mark's mask (h, w) uint8 on the crop, and how many times farther off its pixels are without it.

    Args:
        seen: where it was seen.
        empty: the same places without it.
        sides: pairs of places beside it. A pixel must be off in both kinds, where there are both.
        planes: of a frame.
        size: height and width of the crop.
    """
    levels = partial(_levels, planes=planes, size=size)
    there = levels(seen)
    middle = np.median(there, axis=0)

    def off(stack: np.ndarray) -> np.ndarray:
        return ((stack - middle) ** 2) @ _CHANNELS

    own = np.median(off(there), axis=0)
    # Of the places without it a quarter may look like the mark by chance.
    elsewhere = [levels(sorted(empty))] if empty else []
    if sides:
        # A shading all over the picture is not in the mean of two sides, what lies on one side only is in neither.
        first, second = levels([a for a, _ in sides]), levels([b for _, b in sides])
        elsewhere += [(first + second) / 2]
    far = np.min([np.percentile(off(stack), 25, axis=0) for stack in elsewhere], axis=0)
    far, own = (cv2.GaussianBlur(x.astype(np.float32), (0, 0), 0.6) for x in (far, own))
    times = far / (own + _NOISE)
    clear = (times > _CLEAR) & (far > _LEAST**2)
    usual = float(np.percentile(far[clear], 90)) if clear.any() else 0.0
    clear &= far > 2 * _OF_ALL * usual
    faint = clear | ((times > _FAINT) & (far > max(0.5 * _LEAST**2, _OF_ALL * usual)))
    mask = _connected(clear.astype(np.uint8), faint.astype(np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2, 2), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    # What goes on beyond the crop is no part of a mark that was found inside it; where that is most of it,
    # nothing is.
    beyond = np.unique(np.concatenate([labels[:2].ravel(), labels[-2:].ravel(), labels[:, :2].ravel(),
                                       labels[:, -2:].ravel()]))  # fmt: skip
    outside = np.isin(labels, beyond[beyond > 0])
    if outside.sum() <= 2 * (int(mask.sum()) - int(outside.sum())):
        mask[outside] = 0
    largest = max((stats[region, cv2.CC_STAT_AREA] for region in range(1, count)), default=0)
    for region in range(1, count):
        if stats[region, cv2.CC_STAT_AREA] < max(_PARTS, 0.03 * largest):
            mask[labels == region] = 0
    return mask, float(np.median(times[mask > 0])) if mask.any() else 0.0


def filled_out(mask: np.ndarray, seen: Sequence[Place], bare: Sequence[Place],
               planes: Callable[[int], Planes]) -> np.ndarray:  # fmt: skip
    """The mask (h, w) uint8 with what adjoins it, holds where the mark is seen, and is off in the frames next to that.

    Args:
        mask: (h, w) uint8, of what is known to be the mark's.
        seen: places of its crop where it is shown.
        bare: the same places just before it came and just after it went.
        planes: of a frame.
    """
    there = _levels(seen, planes, mask.shape)
    middle = np.median(there, axis=0)
    # Seen in two places, what is around it holds in most of the frames, but not in nearly all.
    own = np.percentile(((there - middle) ** 2) @ _CHANNELS, 80, axis=0)
    far = np.median(((_levels(bare, planes, mask.shape) - middle) ** 2) @ _CHANNELS, axis=0)
    far, own = (cv2.GaussianBlur(x.astype(np.float32), (0, 0), 0.6) for x in (far, own))
    # Beside a part of strong contrast coding leaves more than the rim of a faint part amounts to.
    least, times = _RIM * cv2.dilate(far, np.ones((9, 9), np.uint8)), far / (own + _NOISE)
    off = (far > np.maximum(_LEAST**2, least)) & (times > _CLEAR)
    near = cv2.dilate(mask, np.ones((7, 7), np.uint8))
    _, labels = cv2.connectedComponents(off.astype(np.uint8), connectivity=8)
    wanted = np.unique(labels[near > 0])
    mask = mask | np.isin(labels, wanted[wanted > 0]).astype(np.uint8)
    rim = (cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0) & (times > _FAINT)
    return mask | (rim & (far > np.maximum(0.5 * _LEAST**2, least))).astype(np.uint8)


def extent(mask: np.ndarray) -> tuple[int, int]:
    """Height and width of what a mask marks."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1) if len(rows) else (0, 0)


def _levels(places: Sequence[Place], planes: Callable[[int], Planes], size: tuple[int, int]) -> np.ndarray:
    return np.stack([crop(planes(n).levels, x, y, size) for n, x, y in places])


def _connected(seed: np.ndarray, area: np.ndarray) -> np.ndarray:
    """The regions of an area that hold a seed, and no more than three pixels beyond one."""
    near = cv2.dilate(seed, np.ones((7, 7), np.uint8)) & area
    _, labels = cv2.connectedComponents(near, connectivity=8)
    wanted = np.unique(labels[seed > 0])
    return np.isin(labels, wanted[wanted > 0]).astype(np.uint8)
