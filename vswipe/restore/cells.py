"""Compiled loops over the coarse grid, for the CPU: following, comparing, and closing what is found.

Arrays are C-contiguous float32 unless said otherwise. `restore.compare`, `restore.search` and `restore.trace` do the
same in torch on other devices, and say what it means.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vswipe.ops.compiled import compiled, single

CLEAR = single(0.9)  # visible share of a cell from which it counts as uncovered
HAIR = single(1024)
"""Parts of a pixel: what is read of the next one by less is not counted. It changes a sample by a quarter of a level at
most, and where nothing moves every point would lie such a hair beside a pixel, by rounding alone."""
NOT_SEEN = single(8)  # residual, in levels, where nothing visible is near enough to compare

_ZERO, _HALF, _ONE, _TWO = (single(v) for v in (0, 0.5, 1, 2))
_LEAST_SUM, _LEAST = single(1e-5), single(1e-6)
LEAST_SEEN = single(1e-3)


@compiled
def between(place: float, size: int) -> tuple[int, int, float]:
    """The two cells a position lies between, and its share of the second; outside the border goes on."""
    last: Any = np.float32(size - 1)
    place = min(max(place, _ZERO), last)
    first = int(place)
    share: Any = place - np.float32(first)
    return first, min(first + 1, size - 1), share


@compiled
def read(image: np.ndarray, rows: tuple, columns: tuple, c: int) -> float:
    """One bilinear sample, from what `between` says."""
    top, below, down = rows
    left, right, across = columns
    upper = image[top, left, c] + across * (image[top, right, c] - image[top, left, c])
    lower = image[below, left, c] + across * (image[below, right, c] - image[below, left, c])
    return upper + down * (lower - upper)


@compiled
def is_inside(x: float, y: float, height: int, width: int) -> bool:
    last_x: Any = np.float32(width - 1)
    last_y: Any = np.float32(height - 1)
    return _ZERO <= x <= last_x and _ZERO <= y <= last_y


@compiled
def advance(
    flow: np.ndarray,
    there: np.ndarray,
    hidden: np.ndarray,
    position: np.ndarray,
    path: np.ndarray,
    seen: np.ndarray,
    visible: np.ndarray,
) -> tuple[float, float]:
    """One target moves one frame on.

    Args:
        flow: (K, H, W, 3) from the frame it has come to, to the next: flow and round-trip error.
        there: (H, W, 1) visible share of the next frame's cells.
        hidden: (h, w) hidden share of the target's own.
        position, path: (K, h, w, 2) and (K, h, w); changed.
        seen: (K, h, w) 1 where a cell was clear at a distance looked at before.
        visible: (K, h, w), written: the visible share of what each cell sees now.

    Returns:
        How far apart the completions have come in hidden cells, cells; and the share of the hole that is newly clear.
    """
    num, rows, columns = path.shape
    height, width = there.shape[:2]
    apart, gain, total = _ZERO, 0.0, 0.0
    for k in range(num):
        news = 0.0
        motion = flow[k]
        for y in range(rows):
            for x in range(columns):
                here_x, here_y = position[k, y, x, 0], position[k, y, x, 1]
                across, down = between(here_x, width), between(here_y, height)
                here_x += read(motion, down, across, 0)
                here_y += read(motion, down, across, 1)
                position[k, y, x, 0], position[k, y, x, 1] = here_x, here_y
                path[k, y, x] += read(motion, down, across, 2)
                share = _ZERO
                if is_inside(here_x, here_y, height, width):
                    share = read(there, between(here_y, height), between(here_x, width), 0)
                visible[k, y, x] = share
                if hidden[y, x] > 0:
                    if share > CLEAR and seen[k, y, x] == 0:
                        news += hidden[y, x]
                    if k > 0:
                        apart = max(apart, abs(here_x - position[0, y, x, 0]), abs(here_y - position[0, y, x, 1]))
                    else:
                        total += hidden[y, x]
        gain = max(gain, news)
    return apart, gain / max(total, 1e-6)


@compiled
def compare_parts(own: np.ndarray, other: np.ndarray, position: np.ndarray, parts: np.ndarray) -> None:
    """What `compare` sums in boxes, (h, w, 8), of which C + 5 are used: weight, mean difference, difference per
    channel, luma and its products with itself and the difference; all but the first times the weight."""
    height, width, channels = other.shape
    channels -= 1
    for y in range(own.shape[0]):
        for x in range(own.shape[1]):
            here_x, here_y = position[y, x, 0], position[y, x, 1]
            share = own[y, x, channels]
            if share == 0 or not is_inside(here_x, here_y, height, width):
                parts[y, x, :] = 0
                continue
            across, down = between(here_x, width), between(here_y, height)
            found = read(other, down, across, channels)
            weight = share * found
            inverse = _ONE / max(found, LEAST_SEEN)
            luma, first, size = _ZERO, _ZERO, _ZERO
            for c in range(channels):
                value = read(other, down, across, c) * inverse
                difference = own[y, x, c] - value
                if c == 0:
                    luma, first = value, difference
                size += abs(difference)
                parts[y, x, 2 + c] = difference * weight
            parts[y, x, 0] = weight
            parts[y, x, 1] = size / np.float32(channels) * weight
            parts[y, x, channels + 2] = luma * weight
            parts[y, x, channels + 3] = luma * weight * luma
            parts[y, x, channels + 4] = luma * weight * first


@compiled
def box_means(parts: np.ndarray, near_side: int, wide_side: int, wide_weight: float, out: np.ndarray) -> None:
    """Means over a box around every cell, plus `wide_weight` times those over a wider one; zeros outside.

    Args:
        parts, out: (h, w, 8).
        near_side, wide_side: odd, cells.

    Sums run along columns and then along rows, in double precision: a step costs the same for every box.
    """
    height, width = parts.shape[:2]
    size = 8 * width
    columns, sums = np.empty(size), np.zeros(size + 8)
    for box in range(2):
        side = near_side if box == 0 else wide_side
        half = side // 2
        weight = (1.0 if box == 0 else float(wide_weight)) / (side * side)
        columns[:] = 0.0
        for y in range(-half, height):
            if y + half < height:
                new = parts[y + half].reshape(-1)
                for i in range(size):
                    columns[i] += new[i]
            if y < 0:
                continue
            if y - half - 1 >= 0:
                old = parts[y - half - 1].reshape(-1)
                for i in range(size):
                    columns[i] -= old[i]
            for i in range(size):
                sums[i + 8] = sums[i] + columns[i]
            row = out[y].reshape(-1)
            if box == 0:
                row[:] = 0
            first, last = min(8 * half, size), max(size - 8 * half, 0)
            if first < last:  # where the box is whole; as arrays of their own, which is done several at a time
                whole, ahead, behind = row[first:last], sums[first + 8 * half + 8 :], sums[first - 8 * half :]
                for i in range(whole.size):
                    whole[i] += np.float32(weight * (ahead[i] - behind[i]))
            for edge in range(2):
                for i in range(0 if edge == 0 else max(first, last), first if edge == 0 else size):
                    high, low = min(i + 8 * half + 8, size + i % 8), max(i - 8 * half, i % 8)
                    row[i] += np.float32(weight * (sums[high] - sums[low]))


@compiled
def compare_facts(
    means: np.ndarray,
    path: np.ndarray,
    explained: np.ndarray,
    constants: tuple,
    facts: np.ndarray,
) -> bool:
    """Logit, gain and shift, (h, w, 2 + C), from the `box_means` of `compare_parts`, (h, w, 8).

    Args:
        path: (h, w) summed round-trip errors.
        explained: (h, w, 8), the `box_means` of what `unexplained` says, or (0, 0, 8) while that is not asked.
        constants: of `Tuning`, in the order in which they are unpacked, float32; the last is the shift that is a fade.

    Returns:
        Whether the picture fades.
    """
    ridge, bias, residual_power, path_power, path_floor, penalty, fade = constants
    height, width = path.shape
    channels = facts.shape[2] - 2
    differences, totals = 0.0, 0.0
    for y in range(height):
        for x in range(width):
            total = means[y, x, 0]
            inverse = _ONE / max(total, _LEAST)
            residual, gain, centre = NOT_SEEN, _ZERO, _ZERO
            difference = means[y, x, 2]
            totals += total
            differences += abs(difference)
            for c in range(channels):
                facts[y, x, 2 + c] = 0
            if total > _LEAST_SUM:
                residual = means[y, x, 1] * inverse
                for c in range(channels):
                    facts[y, x, 2 + c] = means[y, x, 2 + c] * inverse
                c = channels + 2
                centre = means[y, x, c] * inverse
                square = means[y, x, c + 1] * inverse
                product = means[y, x, c + 2] * inverse
                variance = max(square - centre * centre, _ZERO)
                gain = (product - centre * facts[y, x, 2]) / (variance + ridge)
                gain = min(max(gain, -_HALF), _ONE)
                if explained.size:
                    residual = min(residual, explained[y, x, 0] * inverse + penalty)
            facts[y, x, 2] -= gain * centre
            facts[y, x, 1] = gain
            facts[y, x, 0] = (
                bias - residual_power * np.log(_ONE + residual) - path_power * np.log(path_floor + _TWO * path[y, x])
            )
    return differences > fade * totals


@compiled
def unexplained(own: np.ndarray, other: np.ndarray, position: np.ndarray, facts: np.ndarray, rest: np.ndarray) -> None:
    """What gain and shift of `facts` leave of the luma's difference, times the weight, in the first of (h, w, 8)."""
    height, width, channels = other.shape
    channels -= 1
    for y in range(own.shape[0]):
        for x in range(own.shape[1]):
            here_x, here_y = position[y, x, 0], position[y, x, 1]
            rest[y, x, 0] = 0
            share = own[y, x, channels]
            if share == 0 or not is_inside(here_x, here_y, height, width):
                continue
            across, down = between(here_x, width), between(here_y, height)
            found = read(other, down, across, channels)
            luma = read(other, down, across, 0) / max(found, LEAST_SEEN)
            rest[y, x, 0] = abs(own[y, x, 0] - luma - facts[y, x, 1] * luma - facts[y, x, 2]) * share * found


@compiled
def _covered(mask: np.ndarray, x: float, y: float) -> bool:
    """Whether a bilinear sample at a position reads anything that is masked, or beyond the picture."""
    height, width = mask.shape[:2]
    x, y = np.rint(x * HAIR) / HAIR, np.rint(y * HAIR) / HAIR
    left, top = int(np.floor(x)), int(np.floor(y))
    # OpenCV may round positions to 1/32 pixel: of these pixels it then reads some, and no others.
    for j in range(top, top + (2 if y > top else 1)):
        for i in range(left, left + (2 if x > left else 1)):
            if i < 0 or j < 0 or i >= width or j >= height or mask[j, i, 0] != 0:
                return True
    return False


@compiled
def _lerp(field: np.ndarray, corner: int, right: int, below: int, across: float, down: float, c: int) -> float:
    """Bilinear sample of a field (cells, C) beside a corner."""
    upper = field[corner, c] + across * (field[corner + right, c] - field[corner, c])
    corner += below
    lower = field[corner, c] + across * (field[corner + right, c] - field[corner, c])
    return upper + down * (lower - upper)


@compiled
def close_points(
    visible: np.ndarray,
    near: np.ndarray,
    corner: np.ndarray,
    share: np.ndarray,
    offset: np.ndarray,
    cell: tuple[float, float],
    steps: tuple[int, int],
    position: np.ndarray,
    facts: np.ndarray,
    mask: np.ndarray,
    source: int,
    is_open: np.ndarray,
    found_source: np.ndarray,
    found_where: np.ndarray,
    found_facts: np.ndarray,
) -> int:
    """Closes the blocks of one target and completion that its source shows; how many.

    Args:
        visible: (h, w) visible share of what each cell sees.
        near: (N, 2) the cell that speaks for each block, row and column; what lies within a cell of it counts.
        corner, share, offset: (N,), (N, 2), (N, 2) as in `OpenPoints`.
        cell: pixels per cell, x and y, float32.
        steps: cells to the right-hand and to the lower neighbour.
        position, facts: (h, w, 2) and (h, w, 2 + C).
        mask: (H, W, 1) of the source; anything but 0 must not be sampled.
        source: its number.
        is_open: (N,) bool; changed.
        found_source, found_where, found_facts: (N,) int64, (N, 2), (N, 2 + C); written for what is closed.
    """
    height, width = visible.shape
    right, below = steps
    closed = 0
    where, what = position.reshape(-1, 2), facts.reshape(-1, facts.shape[2])
    cell_x, cell_y = cell
    around, possible = np.empty((height, width), np.bool_), np.empty((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            around[y, x] = max(visible[y, max(x - 1, 0)], visible[y, x], visible[y, min(x + 1, width - 1)]) > 0
    for y in range(height):
        for x in range(width):
            possible[y, x] = around[max(y - 1, 0), x] or around[y, x] or around[min(y + 1, height - 1), x]
    for p in range(is_open.size):
        if not (is_open[p] and possible[near[p, 0], near[p, 1]]):
            continue
        at, across, down = corner[p], share[p, 0], share[p, 1]
        x = offset[p, 0] + _lerp(where, at, right, below, across, down, 0) * cell_x
        y = offset[p, 1] + _lerp(where, at, right, below, across, down, 1) * cell_y
        if _covered(mask, x, y):
            continue
        is_open[p] = False
        closed += 1
        found_source[p] = source
        found_where[p, 0], found_where[p, 1] = x, y
        for c in range(what.shape[1]):
            found_facts[p, c] = _lerp(what, at, right, below, across, down, c)
    return closed
