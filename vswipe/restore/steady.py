"""Steadiness: what a frame was filled with is averaged along the motion with what its neighbours were filled with.

Every frame is filled on its own, from its own choice of sources; where the choices differ the hole flickers. Their mean
along the flow flickers half as much and is nearer to the truth than each (errors of neighbours are partly independent).
Where the neighbours do not agree, motion was not followed and nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vswipe.ops.compiled import compiled, single
from vswipe.ops.sampling import Picture, box_mean, sample_points, warp
from vswipe.restore.compare import DEFAULT, compare

_AGREEMENT = 6.0  # levels: a difference of this size takes a neighbour's weight down to 1/e
_SAME_BRIGHTNESS = 0.5  # levels: frames whose visible parts differ by less on the whole need no matching
_SHIFT_ONLY = replace(DEFAULT, gain_ridge=1e9)
_BOX = 3  # grid cells over which the difference is averaged
_ZERO, _BOX_AGREEMENT = single(0), single(_AGREEMENT * _BOX**2)


@dataclass(frozen=True)
class Neighbour:
    """A filled frame near the one to be steadied.

    Args:
        image: (h, w, C) levels, region with its hole filled.
        facts: (H, W, 3 + C) motion towards it in grid cells, x then y; its weight, 0..1; how much brighter the frame is
            than it, levels, for each channel of `image`.
    """

    image: Picture
    facts: Tensor


def brightness(own: Tensor, other: Tensor, motion: Tensor) -> Tensor:
    """How much brighter a frame is than its neighbour, by what both show around the hole.

    Args:
        own, other: (H, W, C + 1) colour in levels and visible share.
        motion: (K, H, W, 2) towards `other`, grid cells.

    Returns:
        (K, H, W, C) levels: in a flicker or a fade the neighbour's fill has its own brightness.
    """
    num, height, width = motion.shape[:3]
    seen = own[..., -1] * other[..., -1]
    apart = (own[..., :-1] - other[..., :-1]).mul(seen[..., None]).sum((0, 1)) / seen.sum().clamp(min=1)
    if float(apart.abs().max()) < _SAME_BRIGHTNESS:
        return motion.new_zeros(num, height, width, own.shape[-1] - 1)
    weighted = torch.cat([other[..., :-1] * other[..., -1:], other[..., -1:]], -1)
    facts = compare(
        [own] * num,
        [weighted] * num,
        cells(motion) + motion,
        motion.new_zeros(num, height, width),
        _SHIFT_ONLY,
    )
    return facts[..., 2:]


def cells(like: Tensor) -> Tensor:
    """(H, W, 2) the position of each grid cell, x then y; `like`: (..., H, W, 2)."""
    y, x = torch.meshgrid(
        *(torch.arange(size, dtype=torch.float32, device=like.device) for size in like.shape[-3:-1]), indexing="ij"
    )
    return torch.stack([x, y], -1)


def agreement(own: Tensor, other: Tensor, motion: Tensor, shift: Tensor | None = None) -> Tensor:
    """Weight of a neighbour by how well it agrees along the motion.

    Args:
        own, other: (H, W) filled luma on the grid, 8-bit levels.
        motion: (K, H, W, 2) towards `other`, grid cells.
        shift: (K, H, W) levels by which `own` is known to be brighter.

    Returns:
        (K, H, W), 0..1; 0 where the motion leaves the picture.
    """
    height, width = own.shape
    position = cells(motion) + motion
    difference = own[None, ..., None] - warp([other[..., None]] * motion.shape[0], position)
    if shift is not None:
        difference = difference - shift[..., None]
    difference = difference.abs()
    weight = torch.exp(-box_mean(difference, _BOX)[..., 0] / _AGREEMENT)
    limit = torch.tensor([width - 1, height - 1], device=own.device)
    # Half a cell of grace: the outermost pixels of the picture lie beyond the centres of its cells.
    return weight * ((position > -0.5) & (position < limit + 0.5)).all(-1)


def weigh(own: Tensor, other: Tensor, motion: Tensor, shift: Tensor) -> Tensor:
    """`Neighbour.facts` of the completion that agrees best, cell by cell.

    Args:
        own, other: (H, W) filled luma on the grid, 8-bit levels.
        motion: (K, H, W, 2) towards `other`, grid cells. shift: (K, H, W, C) levels, what `brightness` says.
    """
    if motion.device.type == "cpu":
        facts = np.empty((*own.shape, 3 + shift.shape[-1]), np.float32)
        _weigh(own.numpy(), other.numpy(), motion.numpy(), shift.numpy(), facts)
        return torch.from_numpy(facts)
    weight = agreement(own, other, motion, shift[..., 0])
    each = torch.cat([motion, weight[..., None], shift], -1)
    best = weight.argmax(0)
    return each.gather(0, best[None, ..., None].expand(-1, -1, -1, each.shape[-1]))[0]


@compiled
def _weigh(own: np.ndarray, other: np.ndarray, motion: np.ndarray, shift: np.ndarray, facts: np.ndarray) -> None:
    """`weigh` on the CPU, into `facts`."""
    height, width = own.shape
    differences = np.empty((height, width), np.float32)
    for k in range(motion.shape[0]):
        for y in range(height):
            for x in range(width):
                there_x: Any = min(max(np.float32(x) + motion[k, y, x, 0], _ZERO), np.float32(width - 1))
                there_y: Any = min(max(np.float32(y) + motion[k, y, x, 1], _ZERO), np.float32(height - 1))
                left, top = int(there_x), int(there_y)
                right, below = min(left + 1, width - 1), min(top + 1, height - 1)
                across, down = there_x - np.float32(left), there_y - np.float32(top)
                upper = other[top, left] + across * (other[top, right] - other[top, left])
                lower = other[below, left] + across * (other[below, right] - other[below, left])
                differences[y, x] = abs(own[y, x] - (upper + down * (lower - upper)) - shift[k, y, x, 0])
        for y in range(height):
            for x in range(width):
                there_x, there_y = np.float32(x) + motion[k, y, x, 0], np.float32(y) + motion[k, y, x, 1]
                weight = _ZERO
                # Half a cell of grace: the outermost pixels of the picture lie beyond the centres of its cells.
                if -0.5 < there_x < width - 0.5 and -0.5 < there_y < height - 0.5:
                    total = _ZERO
                    for j in range(max(y - 1, 0), min(y + 2, height)):
                        for i in range(max(x - 1, 0), min(x + 2, width)):
                            total += differences[j, i]
                    weight = np.exp(-total / _BOX_AGREEMENT)
                if k == 0 or weight > facts[y, x, 2]:
                    facts[y, x, 0], facts[y, x, 1], facts[y, x, 2] = motion[k, y, x, 0], motion[k, y, x, 1], weight
                    for c in range(shift.shape[3]):
                        facts[y, x, 3 + c] = shift[k, y, x, c]


def average(
    values: Tensor, points: Tensor, on_grid: Tensor, cell: Tensor, neighbours: Sequence[Neighbour], cubic: bool
) -> tuple[Tensor, Tensor]:
    """Mean of a frame's filled samples and what its neighbours show along the motion.

    Args:
        values: (N, C) levels, the frame's own.
        points: (N, 2) where they lie in the region, pixels, x then y. on_grid: (N, 2) the same in grid cells.
        cell: (2,) pixels per grid cell.
        neighbours: none: the values themselves.
        cubic: sample the neighbours with a 4x4 kernel.

    Returns:
        (N, C) levels; and (N,) the share of independent grain's variance that the mean keeps, 0..1.
    """
    if values.device.type == "cpu":
        return _average_cells(values, points, on_grid, cell, neighbours, cubic)
    total = torch.ones(values.shape[0], 1, device=values.device)
    squares, out = total.clone(), values.clone()
    for neighbour in neighbours:
        facts = sample_points(neighbour.facts, on_grid)
        weight = facts[:, 2:3]
        there = sample_points(neighbour.image, torch.addcmul(points, facts[:, :2], cell), cubic)
        out += weight * (there + facts[:, 3:])
        total += weight
        squares += weight**2
    return out / total, (squares / total**2)[:, 0]


def _average_cells(
    values: Tensor, points: Tensor, on_grid: Tensor, cell: Tensor, neighbours: Sequence[Neighbour], cubic: bool
) -> tuple[Tensor, Tensor]:
    """`average` on the CPU."""
    num, channels = values.shape
    out, total, squares = values.numpy().copy(), np.ones(num, np.float32), np.ones(num, np.float32)
    side_x, side_y = (single(side) for side in cell.tolist())
    at = torch.empty_like(points)
    for neighbour in neighbours:
        facts = np.empty((num, 3 + channels), np.float32)
        _follow(neighbour.facts.numpy(), on_grid.numpy(), points.numpy(), (side_x, side_y), at.numpy(), facts)
        there = sample_points(neighbour.image, at, cubic)
        _add(there.numpy(), facts, out, total, squares)
    _divide(out, total, squares)
    return torch.from_numpy(out), torch.from_numpy(squares)


@compiled
def _follow(
    grid: np.ndarray,
    on_grid: np.ndarray,
    points: np.ndarray,
    cell: tuple[float, float],
    at: np.ndarray,
    facts: np.ndarray,
) -> None:
    """Bilinear samples of a grid (H, W, F) at `on_grid`, (N, F), and the points that their motion leads to."""
    height, width, num = grid.shape
    for p in range(points.shape[0]):
        x: Any = min(max(on_grid[p, 0], _ZERO), np.float32(width - 1))
        y: Any = min(max(on_grid[p, 1], _ZERO), np.float32(height - 1))
        left, top = int(x), int(y)
        right, below = min(left + 1, width - 1), min(top + 1, height - 1)
        across, down = x - np.float32(left), y - np.float32(top)
        for c in range(num):
            upper = grid[top, left, c] + across * (grid[top, right, c] - grid[top, left, c])
            lower = grid[below, left, c] + across * (grid[below, right, c] - grid[below, left, c])
            facts[p, c] = upper + down * (lower - upper)
        at[p, 0] = points[p, 0] + facts[p, 0] * cell[0]
        at[p, 1] = points[p, 1] + facts[p, 1] * cell[1]


@compiled
def _add(there: np.ndarray, facts: np.ndarray, out: np.ndarray, total: np.ndarray, squares: np.ndarray) -> None:
    for p in range(total.size):
        weight = facts[p, 2]
        total[p] += weight
        squares[p] += weight * weight
        for c in range(out.shape[1]):
            out[p, c] += weight * (there[p, c] + facts[p, 3 + c])


@compiled
def _divide(out: np.ndarray, total: np.ndarray, squares: np.ndarray) -> None:
    for p in range(total.size):
        for c in range(out.shape[1]):
            out[p, c] /= total[p]
        squares[p] /= total[p] * total[p]
