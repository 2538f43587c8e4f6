"""Steadiness: what a frame was filled with is averaged along the motion with what its neighbours were filled with.

Every frame is filled on its own, from its own choice of sources; where the choices differ the hole flickers. Their mean
along the flow flickers half as much and is nearer to the truth than each (errors of neighbours are partly independent).
Where the neighbours do not agree, motion was not followed and nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vswipe.ops.sampling import Picture, box_mean, sample_points, warp

_AGREEMENT = 6.0  # levels: a difference of this size takes a neighbour's weight down to 1/e
_BOX = 3  # grid cells over which the difference is averaged


@dataclass(frozen=True)
class Neighbour:
    """A filled frame near the one to be steadied.

    Args:
        image: (h, w, C) levels, region with its hole filled.
        facts: (H, W, 3) motion towards it in grid cells, x then y, and its weight, 0..1.
    """

    image: Picture
    facts: Tensor


def agreement(own: Tensor, other: Tensor, motion: Tensor) -> Tensor:
    """Weight of a neighbour by how well it agrees along the motion.

    Args:
        own, other: (H, W) filled luma on the grid, 8-bit levels.
        motion: (K, H, W, 2) towards `other`, grid cells.

    Returns:
        (K, H, W), 0..1; 0 where the motion leaves the picture.
    """
    height, width = own.shape
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=own.device),
        torch.arange(width, dtype=torch.float32, device=own.device),
        indexing="ij",
    )
    position = torch.stack([x, y], -1) + motion
    others = other[None, ..., None].expand(motion.shape[0], -1, -1, -1).contiguous()
    difference = (own[None, ..., None] - warp(others, position)).abs()
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
        weight = facts[:, 2:]
        out += weight * sample_points(neighbour.image, torch.addcmul(points, facts[:, :2], cell), cubic)
        total += weight
        squares += weight**2
    return out / total, (squares / total**2)[:, 0]
