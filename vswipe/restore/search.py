"""The hidden blocks of a plane group: what is searched for, what is still open, and what was found where.

`restore.trace` moves the grids; here is which blocks a step of it closes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.ops.compiled import single
from vswipe.ops.sampling import Picture, sample_points
from vswipe.restore import cells

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
class Look:
    """One target's grids at one distance, for one completion.

    Args:
        target: which. source: number of the frame it looks at.
        serves: whether its completions look the same, and this look is for all of them.
        visible: (h, w) visible share of what each cell sees. position: (h, w, 2) cells. facts: (h, w, 2 + C).
    """

    target: int
    source: int
    serves: bool
    visible: Tensor
    position: Tensor
    facts: Tensor


class OpenPoints:
    """The blocks of one search that no frame has shown yet, those of all targets in one row, and what was found.

    Args:
        search: what is searched.
        box: part of the grid that is followed.
        completions: K.
        num_facts: 2 + C.
    """

    def __init__(self, search: Search, box: Box, completions: int, num_facts: int) -> None:
        top, bottom, left, right = box
        self.height, self.width = bottom - top, right - left
        self.search, self.completions = search, completions
        self.counts = [points.centres.shape[0] for points in search.targets]
        centres = torch.cat([points.centres for points in search.targets])
        device, num = centres.device, len(centres)
        starts = [sum(self.counts[:i]) for i in range(len(self.counts))]
        self.rows = [slice(start, start + count) for start, count in zip(starts, self.counts, strict=True)]
        self.cell = torch.tensor(search.cell, device=device)
        corner = torch.tensor([left, top], device=device, dtype=torch.float32)
        place = (centres + 0.5) / self.cell - 0.5 - corner
        limit = torch.tensor([self.width - 1, self.height - 1], device=device, dtype=torch.float32)
        place = torch.minimum(place.clamp(min=0), limit)
        # Where a block is, less where its cell is: what is followed are cells.
        self.offset = centres - (place + corner) * self.cell
        corner = torch.minimum(place.floor(), (limit - 1).clamp(min=0))
        self.share = place - corner
        self.corner = corner[:, 1].long() * self.width + corner[:, 0].long()
        self.right, self.below = min(1, self.width - 1), self.width if self.height > 1 else 0
        self.near = place.round().long().flip(1)
        self.open = torch.ones(completions, num, dtype=torch.bool, device=device)
        self.left = [list(self.counts) for _ in range(completions)]  # by completion and target
        self.source = torch.zeros(completions, num, dtype=torch.long, device=device)
        self.where = torch.zeros(completions, num, 2, device=device)
        self.facts = torch.zeros(completions, num, num_facts, device=device)
        if device.type == "cpu":  # as compiled loops take them, by target
            self._cell = single(search.cell[0]), single(search.cell[1])
            where = [x.numpy() for x in (self.near, self.corner, self.share, self.offset)]
            found = [x.numpy() for x in (self.open, self.source, self.where, self.facts)]
            self._points = [[x[rows] for x in where] for rows in self.rows]
            self._found = [[[x[c, rows] for x in found] for c in range(completions)] for rows in self.rows]

    def unresolved(self, i: int, least: float) -> bool:
        """Whether more than a share of a target's blocks is still open in one of the completions."""
        return any(left[i] > least * self.counts[i] for left in self.left)

    def take(self, c: int, looks: Sequence[Look]) -> None:
        """Closes the blocks that these looks of completion `c` show."""
        looks = [look for look in looks if self.left[c][look.target]]
        if not looks:
            return
        if self.open.device.type == "cpu":
            closed = [self._close_compiled(c, look) for look in looks]
        else:
            closed = self._close(c, looks)
        for look, gone in zip(looks, closed, strict=True):
            for other in range(self.completions) if look.serves else (c,):
                self.left[other][look.target] -= gone

    def _share(self, c: int, rows: slice | Tensor) -> None:
        """Completions that look the same are open in the same places: what `c` has found in these rows, all have."""
        for other in range(self.completions):
            if other != c:
                for state in (self.open, self.source, self.where, self.facts):
                    state[other, rows] = state[c, rows]

    def _close_compiled(self, c: int, look: Look) -> int:
        mask = self.search.mask(look.source)
        near, corner, share, offset = self._points[look.target]
        is_open, source, where, facts = self._found[look.target][c]
        gone = cells.close_points(
            look.visible.numpy(),
            near,
            corner,
            share,
            offset,
            self._cell,
            (self.right, self.below),
            look.position.numpy(),
            look.facts.numpy(),
            mask.numpy() if isinstance(mask, Tensor) else mask,
            look.source,
            is_open,
            source,
            where,
            facts,
        )
        if gone and look.serves:
            self._share(c, self.rows[look.target])
        return gone

    def _close(self, c: int, looks: Sequence[Look]) -> list[int]:
        """The same of several targets at once in torch, for devices that run no compiled loops."""
        device = self.open.device
        size = self.height * self.width
        counts = torch.tensor([self.counts[look.target] for look in looks], device=device)
        which = torch.repeat_interleave(torch.arange(len(looks), device=device), counts)
        rows = torch.cat([torch.arange(own.start, own.stop, device=device)
                          for own in (self.rows[look.target] for look in looks)])  # fmt: skip
        # A block lies within half a cell of the cell that speaks for it.
        possible = F.max_pool2d(torch.stack([look.visible for look in looks])[:, None], 3, 1, 1)[:, 0] > 0
        near = self.near[rows]
        gate = (possible[which, near[:, 0], near[:, 1]] & self.open[c, rows]).nonzero()[:, 0]
        rows, which = rows[gate], which[gate]
        index = self.corner[rows] + which * size
        position, facts = (torch.stack(x).view(len(looks) * size, -1) for x in
                           ([look.position for look in looks], [look.facts for look in looks]))  # fmt: skip
        where = self.offset[rows] + self._read(position, index, rows) * self.cell
        shown = self._shown(where, which, [self.search.mask(look.source) for look in looks])
        rows, which, index = rows[shown], which[shown], index[shown]
        self.open[c, rows] = False
        self.source[c, rows] = torch.tensor([look.source for look in looks], device=device)[which]
        self.where[c, rows] = where[shown]
        self.facts[c, rows] = self._read(facts, index, rows)
        serves = torch.tensor([look.serves for look in looks], device=device)
        self._share(c, rows[serves[which]])
        return torch.bincount(which, minlength=len(looks)).tolist()

    def _shown(self, where: Tensor, which: Tensor, masks: Sequence[Picture]) -> Tensor:
        """Numbers of the rows whose block is visible in its look's source; each mask is read once."""
        hidden = torch.ones(len(where), dtype=torch.bool, device=where.device)
        for mask in {id(mask): mask for mask in masks}.values():
            same = torch.tensor([own is mask for own in masks], device=where.device)
            rows = same[which].nonzero()[:, 0]
            hidden[rows] = hidden_at(mask, where[rows])
        return (~hidden).nonzero()[:, 0]

    def _read(self, field: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        """Bilinear samples of a field (cells, C) beside the cells `index`."""
        x, y = self.share[rows, :1], self.share[rows, 1:]
        upper = torch.lerp(field[index], field[index + self.right], x)
        index = index + self.below
        return torch.lerp(upper, torch.lerp(field[index], field[index + self.right], x), y)

    def finds(self) -> Finds:
        """All that was found."""
        device = self.open.device
        target = torch.repeat_interleave(
            torch.arange(len(self.counts), device=device), torch.tensor(self.counts, device=device)
        )
        completion, rows = (~self.open).nonzero(as_tuple=True)
        starts = torch.tensor([own.start for own in self.rows], device=device)
        ours = target[rows]
        return Finds(
            ours,
            rows - starts[ours],
            completion,
            self.source[completion, rows],
            self.where[completion, rows],
            self.facts[completion, rows],
        )


def hidden_at(mask: Picture, where: Tensor) -> Tensor:
    """(N,) whether a mask hides points (N, 2). Beyond the region nothing is known: that counts as hidden."""
    if isinstance(mask, Tensor) and mask.device.type != "cpu":
        return _reads_hidden(mask[..., 0] != 0, where)
    return sample_points(mask, where, outside=float(HIDDEN))[:, 0] > 0


def _reads_hidden(mask: Tensor, where: Tensor) -> Tensor:
    """(N,) whether a bilinear sample reads anything that is masked, (H, W) bool, or beyond.

    `grid_sample` of the mask would not do: it finds a hair of the next pixel where a point lies on one exactly, as all
    do where nothing moves.
    """
    height, width = mask.shape
    where = torch.round(where * float(cells.HAIR)) / float(cells.HAIR)
    first = where.floor()
    between = where > first
    limit = torch.tensor([width - 1, height - 1], device=where.device)
    hidden = torch.zeros(len(where), dtype=torch.bool, device=where.device)
    for down in (0, 1):
        for across in (0, 1):
            cell = first.long() + torch.tensor([across, down], device=where.device)
            within = cell.clamp(min=0).minimum(limit)
            found = mask[within[:, 1], within[:, 0]] | (cell != within).any(1)
            if across:
                found &= between[:, 0]
            if down:
                found &= between[:, 1]
            hidden |= found
    return hidden
