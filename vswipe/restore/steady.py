"""Steadiness: what a frame was filled with is averaged along the motion with what its neighbours were filled with.

Every frame is filled on its own, from its own choice of sources; where the choices differ the hole flickers. Their mean
along the flow flickers half as much and is nearer to the truth than each (errors of neighbours are partly independent).
Where the neighbours do not agree, motion was not followed and nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vswipe.ops.sampling import Picture, box_mean, sample_points, warp
from vswipe.restore.compare import DEFAULT, compare

_AGREEMENT = 6.0  # levels: a difference of this size takes a neighbour's weight down to 1/e
_SAME_BRIGHTNESS = 0.5  # levels: frames whose visible parts differ by less on the whole need no matching
_SHIFT_ONLY = replace(DEFAULT, gain_ridge=1e9)
_BOX = 3  # grid cells over which the difference is averaged


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
