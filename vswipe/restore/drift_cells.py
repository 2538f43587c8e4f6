"""Compiled loops of `restore.drift`, for the CPU: what its steps are found from, and the steps.

Arrays are C-contiguous float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vswipe.ops.compiled import compiled, single
from vswipe.restore.cells import LEAST_SEEN, between, is_inside, read

BLOCK = 4  # cells, side of the blocks for which a step is found
LEAST_TOLD = single(1e-4)  # visible cells per block in the windows below which there is no step

_ZERO, _QUARTER, _HALF, _ONE = (single(v) for v in (0, 0.25, 0.5, 1))


def num_sums(channels: int) -> int:
    """How many sums `sum_blocks` makes."""
    return 3 * channels + 7


@compiled
def _block(place: int, size: int) -> tuple[int, int, float]:
    """The two blocks whose middles a cell lies between, and its share of the second."""
    middle: Any = (np.float32(place) + _HALF) / np.float32(BLOCK) - _HALF
    return between(middle, size)


@compiled
def sum_blocks(
    own: np.ndarray,
    other: np.ndarray,
    position: np.ndarray,
    moved: np.ndarray,
    usual: np.ndarray,
    found: np.ndarray,
    sums: np.ndarray,
) -> None:
    """What the steps of `restore.drift` are found from, summed over blocks of cells.

    Args:
        own: (h, w, C + 1). other: (H, W, C + 1), the colour multiplied by the share. position: (h, w, 2).
        moved: (blocks, 2) drift so far, cells.
        usual: (blocks) levels; a difference of this size counts half. Infinite: all count alike.
        found: (h, w, C + 1) to work in.
        sums: (blocks, 3 C + 7), written: the weight; per channel, times the weight, gradient across and down and
            difference; the gradients' products over all channels, xx, xy, yy, theirs with the difference, and the mean
            size of the difference.
    """
    height, width = own.shape[:2]
    channels = own.shape[2] - 1
    rows, columns = moved.shape[:2]
    for y in range(height):
        up_down = _block(y, rows)
        for x in range(width):
            left_right = _block(x, columns)
            here_x = position[y, x, 0] + read(moved, up_down, left_right, 0)
            here_y = position[y, x, 1] + read(moved, up_down, left_right, 1)
            share = _ZERO
            if own[y, x, channels] > 0 and is_inside(here_x, here_y, other.shape[0], other.shape[1]):
                across, down = between(here_x, other.shape[1]), between(here_y, other.shape[0])
                seen = read(other, down, across, channels)
                inverse = _ONE / max(seen, LEAST_SEEN)
                for c in range(channels):
                    found[y, x, c] = read(other, down, across, c) * inverse
                share = own[y, x, channels] * seen
            found[y, x, channels] = share
    sums[:] = 0
    each = 3 * channels
    each_of: Any = np.float32(1 / channels)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            weight = found[y, x, channels]
            for j in range(y - 1, y + 2):  # a gradient is of what is seen on all sides
                for i in range(x - 1, x + 2):
                    weight = min(weight, found[j, i, channels])
            if weight <= 0:
                continue
            size = _ZERO
            for c in range(channels):
                size += abs(own[y, x, c] - found[y, x, c]) * each_of
            to = sums[y // BLOCK, x // BLOCK]
            excess = size / usual[y // BLOCK, x // BLOCK]
            weight /= _ONE + excess * excess
            to[0] += weight
            to[each + 6] += weight * size
            for c in range(channels):
                g = (own[y, x + 1, c] - own[y, x - 1, c] + found[y, x + 1, c] - found[y, x - 1, c]) * _QUARTER
                h = (own[y + 1, x, c] - own[y - 1, x, c] + found[y + 1, x, c] - found[y - 1, x, c]) * _QUARTER
                r = own[y, x, c] - found[y, x, c]
                to[1 + 3 * c] += weight * g
                to[2 + 3 * c] += weight * h
                to[3 + 3 * c] += weight * r
                to[each + 1] += weight * g * g
                to[each + 2] += weight * g * h
                to[each + 3] += weight * h * h
                to[each + 4] += weight * g * r
                to[each + 5] += weight * h * r


@compiled
def take_step(
    means: np.ndarray, ridge: float, longest: float, usual_of: tuple[float, float], moved: np.ndarray, usual: np.ndarray
) -> None:
    """One Gauss-Newton step per block.

    Args:
        means: (blocks, 3 C + 7), `sum_blocks` in windows.
        ridge: squared levels per cell. longest: cells.
        usual_of: levels, and share of the mean difference, that make `usual`.
        moved: (blocks, 2) cells, changed. usual: (blocks) levels, written.
    """
    each = means.shape[2] - 7
    for y in range(moved.shape[0]):
        for x in range(moved.shape[1]):
            mean = means[y, x]
            usual[y, x] = usual_of[0]
            if mean[0] <= LEAST_TOLD:
                continue
            inverse = _ONE / mean[0]
            xx, xy, yy = mean[each + 1] * inverse + ridge, mean[each + 2] * inverse, mean[each + 3] * inverse + ridge
            xr, yr = mean[each + 4] * inverse, mean[each + 5] * inverse
            for c in range(1, each, 3):
                g, h, r = mean[c] * inverse, mean[c + 1] * inverse, mean[c + 2] * inverse
                xx, xy, yy = xx - g * g, xy - g * h, yy - h * h
                xr, yr = xr - g * r, yr - h * r
            inverse_det = _ONE / (xx * yy - xy * xy)
            across, down = (yy * xr - xy * yr) * inverse_det, (xx * yr - xy * xr) * inverse_det
            length = np.sqrt(across * across + down * down)
            part = longest / max(length, longest)
            moved[y, x, 0] += across * part
            moved[y, x, 1] += down * part
            usual[y, x] += usual_of[1] * mean[each + 6] / mean[0]
