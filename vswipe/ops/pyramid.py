"""Filling unknown samples from the known ones around them by pyramids, and averaging only what is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vswipe.ops.compiled import compiled, single

_ZERO, _ONE, _NEAR, _FAR, _LEAST = (single(v) for v in (0, 1, 0.75, 0.25, 1e-6))


def shrink_known(image: np.ndarray, known: np.ndarray, factor: int | tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Area average of the known pixels only.

    Args:
        image: (H, W) or (H, W, C) float32; H and W multiples of the factor.
        known: (H, W) float32, 0..1, weight of each pixel.
        factor: how many times smaller, one number or (vertical, horizontal).

    Returns:
        The smaller image (0 where nothing is known), and its share of known area, 0..1.
    """
    fy, fx = (factor, factor) if isinstance(factor, int) else factor
    if fy == 1 and fx == 1:
        return image * (known if image.ndim == 2 else known[..., None]), known
    height, width = image.shape[0] // fy, image.shape[1] // fx
    planes = np.ascontiguousarray(image).reshape(*image.shape[:2], -1)
    small, weight = np.empty((height, width, planes.shape[2]), np.float32), np.empty((height, width), np.float32)
    for c in range(planes.shape[2]):
        _shrink(planes[..., c], known, fy, fx, small[..., c], weight)
    return small.reshape(height, width, *image.shape[2:]), weight


def shrink_visible(
    planes: Sequence[np.ndarray], hidden: np.ndarray | None, factor: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """`shrink_known` of planes as they lie in a frame.

    Args:
        planes: C arrays (H, W) of any sample type; H and W multiples of the factor.
        hidden: (H, W) uint8, 0 = visible; None: all of it is.
        factor: how many times smaller, vertical and horizontal.

    Returns:
        (h, w, C) float32 in the unit of the planes, 0 where nothing is visible; (h, w) float32, the visible share.
    """
    fy, fx = factor
    height, width = planes[0].shape[0] // fy, planes[0].shape[1] // fx
    small, weight = np.empty((height, width, len(planes)), np.float32), np.ones((height, width), np.float32)
    known = np.ones(planes[0].shape, np.bool_) if hidden is None else hidden == 0
    for c, plane in enumerate(planes):
        _shrink(plane.astype(np.float32) if plane.dtype == np.float16 else plane, known, fy, fx, small[..., c], weight)
    return small, weight


@compiled
def _shrink(image: np.ndarray, known: np.ndarray, fy: int, fx: int, small: np.ndarray, weight: np.ndarray) -> None:
    """Row by row: sums along whole rows are done several pixels at a time."""
    height, width = small.shape
    wide = width * fx
    scale = _ONE / np.float32(fy * fx)
    values, shares = np.empty(wide, np.float32), np.empty(wide, np.float32)
    for y in range(height):
        values[:] = 0
        shares[:] = 0
        for j in range(y * fy, y * fy + fy):
            for i in range(wide):
                share: Any = np.float32(known[j, i])
                values[i] += share * np.float32(image[j, i])
                shares[i] += share
        for x in range(width):
            value, share = _ZERO, _ZERO
            for i in range(x * fx, x * fx + fx):
                value += values[i]
                share += shares[i]
            share *= scale
            weight[y, x] = share
            small[y, x] = value * scale / max(share, _LEAST)


def push_pull(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Smooth completion of the unknown pixels: a normalised pyramid down, bilinear up.

    Args:
        image: (H, W) or (H, W, C) float32.
        known: (H, W) float32, 1 = keep, 0 = replace, between: blend.

    Returns:
        Same shape; zeros when nothing at all is known.

    Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4 (pull, push).
    """
    out = np.array(image, np.float32, order="C").reshape(*image.shape[:2], -1)
    _complete(out, np.ascontiguousarray(known, np.float32))
    return out.reshape(image.shape)


def _complete(image: np.ndarray, known: np.ndarray) -> None:
    """`push_pull` of (H, W, C) in place."""
    height, width, channels = image.shape
    if min(height, width) <= 2:
        total = float(known.sum())
        mean = (image * known[..., None]).sum((0, 1)) / total if total > 0 else np.float32(0)
        image[:] = known[..., None] * image + (1 - known[..., None]) * mean
        return
    small = np.empty(((height + 1) // 2, (width + 1) // 2, channels), np.float32)
    weight = np.empty(small.shape[:2], np.float32)
    _halve(image, known, small, weight)
    _complete(small, weight)
    _double(small, known, image)


@compiled
def _halve(image: np.ndarray, known: np.ndarray, small: np.ndarray, weight: np.ndarray) -> None:
    """Mean of the known ones among each four, and how much of it is known. A parent with one known child is known
    enough: only the direction to the hole matters."""
    height, width, channels = image.shape
    for y in range(small.shape[0]):
        for x in range(small.shape[1]):
            total = _ZERO
            for c in range(channels):
                small[y, x, c] = 0
            for j in range(2 * y, min(2 * y + 2, height)):
                for i in range(2 * x, min(2 * x + 2, width)):
                    share = known[j, i]
                    total += share
                    for c in range(channels):
                        small[y, x, c] += share * image[j, i, c]
            weight[y, x] = min(total, _ONE)
            inverse = _ONE / max(total, _LEAST)
            for c in range(channels):
                small[y, x, c] *= inverse


@compiled
def _double(small: np.ndarray, known: np.ndarray, image: np.ndarray) -> None:
    """Replaces what is not known by the smaller picture, read between its pixels."""
    height, width, channels = image.shape
    for y in range(height):
        near_y = y // 2
        far_y = min(max(near_y - 1 + 2 * (y % 2), 0), small.shape[0] - 1)
        for x in range(width):
            share = known[y, x]
            if share == _ONE:
                continue
            near_x = x // 2
            far_x = min(max(near_x - 1 + 2 * (x % 2), 0), small.shape[1] - 1)
            for c in range(channels):
                upper = _NEAR * small[near_y, near_x, c] + _FAR * small[near_y, far_x, c]
                lower = _NEAR * small[far_y, near_x, c] + _FAR * small[far_y, far_x, c]
                image[y, x, c] = share * image[y, x, c] + (_ONE - share) * (_NEAR * upper + _FAR * lower)
