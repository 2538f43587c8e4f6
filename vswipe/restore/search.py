"""The hidden blocks of a plane group: what is searched for, what is still open, and what was found where.

`restore.trace` moves the grids; here is which blocks a step of it closes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vswipe.ops.sampling import Picture, sample_points

HIDDEN = 65535  # 16 bits: the least weight OpenCV gives a pixel, 1/1024, must not be rounded to nothing

Box = tuple[int, int, int, int]  # part of the grid: top, bottom, left, right


@dataclass(frozen=True)
class Points:
    """What is to be found in one frame: its number, and its hidden blocks' centres (N, 2), x then y, in pixels."""

    n: int
    centres: Tensor


@dataclass(frozen=True)
class Search:
    """The hidden blocks of one plane group.

    Args:
        cell: pixels per grid cell, x then y.
        mask: frame number -> (h, w, 1) mask of the region, (uint16) HIDDEN = must not be sampled. Frames whose masks
            are one object are tested at once.
        targets: the same frames in the same order for all groups.
    """

    cell: tuple[float, float]
    mask: Callable[[int], Picture]
    targets: Sequence[Points]


@dataclass(frozen=True)
class Finds:
    """Blocks that were found, one row each.

    Args:
        target: (R,) which of the search's targets. block: (R,) which of its points.
        completion: (R,) whose flow led there.
        source: (R,) number of the frame that shows it.
        where: (R, 2) place of the block's centre in that frame's region, pixels, x then y.
        facts: (R, 2 + C) logit, gain - 1, brightness shift in levels.
    """

    target: Tensor
    block: Tensor
    completion: Tensor
    source: Tensor
    where: Tensor
    facts: Tensor


@dataclass(frozen=True)
class Fields:
    """Grids of one completion as rows of cells.

    Args:
        position: (cells, 2) of all completions. facts: (cells, 2 + C).
        stride: cells from one target to the next. offset: cells to this completion.
        moved: frames from a target to its source.
    """

    position: Tensor
    facts: Tensor
    stride: int
    offset: int
    moved: int


class OpenPoints:
    """The blocks of one search that no frame has shown yet, those of all targets in one row.

    Args:
        search: what is searched.
        box: part of the grid that is followed.
        completions: K.
    """

    def __init__(self, search: Search, box: Box, completions: int) -> None:
        top, bottom, left, right = box
        height, width = bottom - top, right - left
        self.search, self.completions = search, completions
        counts = [points.centres.shape[0] for points in search.targets]
        centres = torch.cat([points.centres for points in search.targets])
        device = centres.device
        self.counts = counts
        self.starts = [sum(counts[:i]) for i in range(len(counts))]
        self.target = torch.repeat_interleave(torch.arange(len(counts), device=device), torch.tensor(counts).to(device))
        self.cell = torch.tensor(search.cell, device=device)
        corner = torch.tensor([left, top], device=device, dtype=torch.float32)
        place = (centres + 0.5) / self.cell - 0.5 - corner
        limit = torch.tensor([width - 1, height - 1], device=device, dtype=torch.float32)
        place = torch.minimum(place.clamp(min=0), limit)
        # Where a block is, less where its cell is: what is followed are cells.
        self.offset = centres - (place + corner) * self.cell
        corner = torch.minimum(place.floor(), (limit - 1).clamp(min=0))
        self.share = place - corner
        self.corner = corner[:, 1].long() * width + corner[:, 0].long()
        self.right, self.below = min(1, width - 1), width if height > 1 else 0
        near = place.round().long()
        self.near = self.target * (height * width) + near[:, 1] * width + near[:, 0]
        self.open = torch.ones(completions, len(centres), dtype=torch.bool, device=device)
        self.left = [list(counts) for _ in range(completions)]  # by completion and target
        self.number = torch.tensor([points.n for points in search.targets], device=device)
        self.found: list[tuple[Tensor, ...]] = []

    def unresolved(self, i: int, least: float) -> bool:
        """Whether more than a share of a target's blocks is still open in one of the completions."""
        return any(left[i] > least * self.counts[i] for left in self.left)

    def take(self, c: int, gate: Tensor, slots: Tensor, sources: dict[int, int], alike: Tensor, fields: Fields) -> None:
        """Closes the blocks of completion `c` that this distance shows.

        Args:
            gate: (targets, h, w) where anything can be visible.
            slots: (targets,) where each target stands in the fields.
            sources: target -> frame, those looked at.
            alike: (targets,) whether this completion's look serves all.
            fields: positions and facts of completion `c`.
        """
        near = (gate.view(-1)[self.near] & self.open[c]).nonzero()[:, 0]
        if near.numel() == 0:
            return
        target = self.target[near]
        index = slots[target] * fields.stride + self.corner[near] + fields.offset
        where = self.offset[near] + self._read(fields.position, index, near) * self.cell
        shown = self._shown(where, target, sources)
        near, target, index, where = near[shown], target[shown], index[shown], where[shown]
        if near.numel() == 0:
            return
        facts = self._read(fields.facts, index, near)
        serves = alike[target]
        for other in range(self.completions):
            same = slice(None) if other == c else serves
            if other != c and not bool(serves.any()):
                continue
            rows = near[same]
            self.open[other, rows] = False
            left = self.left[other]
            for i, gone in enumerate(torch.bincount(target[same], minlength=len(left)).tolist()):
                left[i] -= gone
            source = self.number[target[same]] + fields.moved
            self.found.append((rows, torch.full_like(rows, other), source, where[same], facts[same]))

    def _read(self, field: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        """Bilinear samples of a field (cells, C). Not by `sample_points`: where a field lies in the stack must not show
        in the last bit."""
        x, y = self.share[rows, :1], self.share[rows, 1:]
        upper = torch.lerp(field[index], field[index + self.right], x)
        index = index + self.below
        return torch.lerp(upper, torch.lerp(field[index], field[index + self.right], x), y)

    def _shown(self, where: Tensor, target: Tensor, sources: dict[int, int]) -> Tensor:
        """Numbers of the rows whose block is visible in its target's source."""
        masks = {i: self.search.mask(n) for i, n in sources.items()}
        if len({id(mask) for mask in masks.values()}) == 1:
            hidden = _hidden(next(iter(masks.values())), where)
            return (~hidden).nonzero()[:, 0]
        hidden = torch.ones(len(where), dtype=torch.bool, device=where.device)
        kinds = list({id(mask): mask for mask in masks.values()}.values())
        for mask in kinds:
            of_this = torch.zeros(len(self.counts), dtype=torch.bool, device=where.device)
            of_this[[i for i, own in masks.items() if own is mask]] = True
            rows = of_this[target].nonzero()[:, 0]
            hidden[rows] = _hidden(mask, where[rows])
        return (~hidden).nonzero()[:, 0]

    def finds(self, num_facts: int) -> Finds:
        """All that was found."""
        device = self.cell.device
        none = torch.zeros(0, dtype=torch.long, device=device)
        nothing = (none, none, none, torch.zeros(0, 2, device=device), torch.zeros(0, num_facts, device=device))
        parts = zip(*(self.found or [nothing]), strict=True)
        rows, completion, source, where, facts = (torch.cat(part) for part in parts)
        target = self.target[rows]
        starts = torch.tensor(self.starts, device=device)
        return Finds(target, rows - starts[target], completion, source, where, facts)


def _hidden(mask: Picture, where: Tensor) -> Tensor:
    """Beyond the region neither mask nor flow is known: it counts as hidden."""
    return sample_points(mask, where, outside=float(HIDDEN))[:, 0] > 0
