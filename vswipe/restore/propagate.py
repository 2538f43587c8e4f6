"""Copies of hidden pixels from other frames: trace, check against the surroundings, sample once, weigh.

Every masked frame follows its flow forward and backward through composed steps, on a coarse grid, for each completion
of the flow. At chosen distances the picture found there is compared with the frame's own visible surroundings: the
comparison tells how far to trust the copy and how its brightness and contrast differ. A hidden pixel takes its sample
from the first frame that shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vswipe.ops.sampling import Picture, sample_points, warp
from vswipe.restore.compare import DEFAULT, Tuning, compare, inside, registration

_CLEAR = 0.9  # visible share of a cell from which it counts as uncovered
HIDDEN = 65535  # 16 bits: the least weight OpenCV gives a pixel, 1/1024, must not be rounded to nothing


@dataclass(frozen=True)
class Layer:
    """Planes of one size that a group's copies are sampled from.

    Args:
        image: frame number -> (H, W, C) samples of the whole plane(s).
        level: one 8-bit level in the unit of `image`.
        base: (C,) levels of a zero sample: 128 for chroma around zero.
        channels: where these planes stand among the coarse picture's channels.
        sub_x, sub_y: the group's pixels per sample.
        cubic: sample with a 4x4 kernel. The outer pixels of its footprint are not tested: only where the group's mask
            is at least one pixel wider than what is hidden.
    """

    image: Callable[[int], Picture]
    level: float
    base: tuple[float, ...]
    channels: slice
    sub_x: int = 1
    sub_y: int = 1
    cubic: bool = False


@dataclass(frozen=True)
class Group:
    """Planes that are traced together: luma, chroma, or all.

    Args:
        factor_x, factor_y: size of a grid cell in this group's pixels.
        left, top: the region's corner in this group's pixels.
        mask: frame number -> (h, w, 1) mask of the region, (uint16) HIDDEN = must not be sampled.
        layers: what is sampled.
        block: side of the square of pixels that are traced and tested as one; `mask` must then be grown by half of it,
            so that a clear sample at the block's centre means that all of its pixels are clear.
    """

    factor_x: float
    factor_y: float
    left: int
    top: int
    mask: Callable[[int], Picture]
    layers: tuple[Layer, ...]
    block: int = 1


@dataclass
class Window:
    """What propagation reads: everything on the coarse grid, by frame number.

    Args:
        first: number of the first frame; index 0 of the stacks below.
        colour: (T, H, W, C) float32, 8-bit levels, mean of each cell's visible pixels.
        valid: (T, H, W) float32, visible share of each cell.
        picture: (T, H, W) float32, luma with its holes filled, to register on.
        forward, backward: (T, K, H, W, 3) float32; for the pair (n, n+1): flow in cells and round-trip error.
        linked: (T,) whether n and n+1 belong to one shot.
    """

    first: int
    colour: Tensor
    valid: Tensor
    picture: Tensor
    forward: Tensor
    backward: Tensor
    linked: Sequence[bool]

    def cells(self, n: int) -> Tensor:
        """(H, W, C + 1) colour and visible share of frame n."""
        return torch.cat([self.colour[n - self.first], self.valid[n - self.first][..., None]], -1)


@dataclass
class Copies:
    """Candidates for the hidden blocks of one layer in one frame.

    Args:
        values: (M, N, P, C) float32, 8-bit levels; the layer's P samples of a block in reading order.
        logits: (M, N) float32, -inf where the candidate has nothing; all layers of a group share one.
    """

    values: Tensor
    logits: Tensor

    def pixels(self, block: Tensor, place: Tensor) -> Copies:
        """Candidates of single samples, given each one's block and its place in it, (P,) both."""
        return Copies(self.values[:, block, place][:, :, None], self.logits[:, block])


@dataclass
class Target:
    """One frame to fill: its number, and per group the centres of hidden blocks (N, 2), x then y, in the region's
    pixels."""

    n: int
    points: list[Tensor]


def propagate(
    window: Window, groups: Sequence[Group], targets: Sequence[Target], radius: int, tuning: Tuning = DEFAULT
) -> dict[int, list[list[Copies]]]:
    """Copies for every target frame, group and layer: M = 2 directions x K completions candidates per hidden block.

    Args:
        window: grids of all frames within `radius` of the targets.
        groups: the planes to sample.
        targets: frames with hidden pixels.
        radius: frames on each side that may give pixels.
        tuning: constants.

    Returns:
        frame number -> one list per group, of one `Copies` per layer.
    """
    tracer = _Tracer(window, groups, targets, radius, tuning)
    for k in range(1, radius + 1):
        if not tracer.step(k):
            break
    return tracer.results


def block_samples(block: int, sub_x: int, sub_y: int) -> Tensor:
    """(P, 2) positions of a layer's samples of a block, from the block's centre in the layer's samples, x then y."""
    wide, high = max(1, block // sub_x), max(1, block // sub_y)
    x, y = torch.arange(wide) - (wide - 1) / 2, torch.arange(high) - (high - 1) / 2
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)


@dataclass(frozen=True)
class _Open:
    """Points of one target, direction, group and completion that no frame has shown yet.

    Args:
        index: (N,) their numbers.
        place: (N, 4) pixel in the region, x then y, and cell in the traced part of the grid.
    """

    index: Tensor
    place: Tensor

    def only(self, keep: Tensor) -> _Open:
        return _Open(self.index[keep], self.place[keep])


class _Tracer:
    """State of one propagation: a unit is one (target, direction), with K completions each."""

    def __init__(
        self, window: Window, groups: Sequence[Group], targets: Sequence[Target], radius: int, tuning: Tuning
    ) -> None:
        self.window, self.groups, self.targets, self.tuning = window, groups, targets, tuning
        self.device = window.colour.device
        self.completions = window.forward.shape[1]
        self.box = self._bounds()
        top, bottom, left, right = self.box
        rows = torch.arange(top, bottom, device=self.device, dtype=torch.float32)
        columns = torch.arange(left, right, device=self.device, dtype=torch.float32)
        self.identity = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        self.units = [(i, direction) for i in range(len(targets)) for direction in (1, -1)]
        shape = (len(self.units), self.completions, *self.identity.shape)
        self.position = self.identity.expand(shape).clone()
        self.path = torch.zeros(shape[:-1], device=self.device)
        # Whether each cell was clear at a distance looked at so far.
        here = torch.tensor([targets[i].n - window.first for i, _ in self.units], device=self.device)
        own = window.valid[here][:, None, top:bottom, left:right]
        self.hidden = 1 - own
        self.seen = (own > _CLEAR).float().expand(-1, self.completions, -1, -1).clone()
        self.alike = torch.ones(len(self.units), dtype=torch.bool, device=self.device)
        # By unit: at which distance it was compared last, and (K, h, w, 2 + C): logit, gain - 1, brightness shift.
        self.facts: dict[tuple[int, int], tuple[int, Tensor]] = {}
        self.open: dict[tuple[int, int, int, int], _Open] = {}  # by target, direction, group, completion
        self.samples = [
            [block_samples(group.block, layer.sub_x, layer.sub_y).to(self.device) for layer in group.layers]
            for group in groups
        ]
        self.results: dict[int, list[list[Copies]]] = {}
        candidates = 2 * self.completions
        for i, target in enumerate(targets):
            copies = []
            for g, points in enumerate(target.points):
                num, group = points.shape[0], groups[g]
                logits = torch.full((candidates, num), -torch.inf, device=self.device)
                shapes = [(candidates, num, samples.shape[0]) for samples in self.samples[g]]
                copies.append(
                    [
                        Copies(torch.zeros(*shape, len(layer.base), device=self.device), logits)
                        for shape, layer in zip(shapes, group.layers, strict=True)
                    ]
                )
                cell = torch.tensor([group.factor_x, group.factor_y], device=self.device)
                corner = torch.tensor([left, top], device=self.device, dtype=torch.float32)
                place = torch.cat([points, (points + 0.5) / cell - 0.5 - corner], 1)
                every = _Open(torch.arange(num, device=self.device), place)
                for direction in (1, -1):
                    for c in range(self.completions):
                        self.open[i, direction, g, c] = every
            self.results[target.n] = copies

    def _bounds(self) -> tuple[int, int, int, int]:
        """Part of the grid within reach of a comparison box around any target's hole.

        Boxes that are cut off at its border weigh differently: it must not depend on which frames are filled together.
        """
        if self.device.type != "cpu":
            return 0, self.window.valid.shape[1], 0, self.window.valid.shape[2]
        hidden = torch.stack([self.window.valid[t.n - self.window.first] < 1 for t in self.targets]).any(0)
        rows, columns = hidden.any(1).nonzero().flatten(), hidden.any(0).nonzero().flatten()
        height, width = hidden.shape
        if rows.numel() == 0:
            return 0, height, 0, width
        margin = self.tuning.box // 2 + 2
        return (
            max(0, int(rows[0]) - margin),
            min(height, int(rows[-1]) + margin + 1),
            max(0, int(columns[0]) - margin),
            min(width, int(columns[-1]) + margin + 1),
        )

    def step(self, k: int) -> bool:
        """Moves every unit one frame on, and looks for copies where this distance is one to look at."""
        window = self.window
        keep, pairs = [], []
        for u, (i, direction) in enumerate(self.units):
            here = self.targets[i].n - window.first + direction * (k - 1)
            pair = here if direction > 0 else here - 1
            inside = 0 <= pair < len(window.linked) and window.linked[pair]
            if inside and self._unresolved(i, direction):
                keep.append(u)
                pairs.append(pair)
        if not keep:
            return False
        if len(keep) != len(self.units):
            self.units = [self.units[u] for u in keep]
            index = torch.tensor(keep, device=self.device)
            self.position, self.path = self.position[index], self.path[index]
            self.hidden, self.seen, self.alike = self.hidden[index], self.seen[index], self.alike[index]
        flows = torch.stack(
            [(window.forward if d > 0 else window.backward)[p] for (_, d), p in zip(self.units, pairs, strict=True)]
        )
        moved = warp(flows.flatten(0, 1), self.position.flatten(0, 1)).view(*self.position.shape[:-1], 3)
        self.position = self.position + moved[..., :2]
        self.path = self.path + moved[..., 2]
        self._part()
        uncovered = self._uncovered(k)
        looking = [u for u, gain in enumerate(uncovered) if k == 1 or gain > self.tuning.look]
        if self.tuning.register:
            drifted = [u for u in looking if k in self.tuning.register_at or uncovered[u] > self.tuning.event]
            self._look(drifted, k, register=True)
            looking = [u for u in looking if u not in drifted]
        self._look(looking, k, register=False)
        return True

    def _part(self) -> None:
        """Keeps in `alike` the units whose completions have led to the same places so far: they are looked at once."""
        apart = (self.position - self.position[:, :1]).abs().amax((1, -1)) * (self.hidden[:, 0] > 0)
        self.alike &= apart.amax((1, 2)) < self.tuning.alike

    def _uncovered(self, k: int) -> list[float]:
        """Share of each unit's hole that this distance shows and none looked at before did.

        In motion that is some at every step; over a still picture it is nothing until the mark goes away, and comparing
        pictures on the way there would be work for nothing.
        """
        there = [self.targets[i].n - self.window.first + d * k for i, d in self.units]
        valid = self.window.valid[torch.tensor(there, device=self.device)]
        valid = valid[:, None].expand(-1, self.completions, -1, -1).flatten(0, 1)[..., None]
        visible = warp(valid.contiguous(), self.position.flatten(0, 1))[..., 0] * inside(
            self.position.flatten(0, 1), valid
        )
        # A cell that shows half a stroke shows it at every distance: only what is clear as a whole is news.
        self.clear = (visible > _CLEAR).float().view(self.seen.shape)
        gain = ((self.clear - self.seen).clamp(min=0) * self.hidden).sum((2, 3)).amax(1)
        return (gain / self.hidden.sum((1, 2, 3)).clamp(min=1e-6)).tolist()

    def _unresolved(self, i: int, direction: int) -> bool:
        """Whether enough points are still open to go on: the last few are not worth as much as all the others were."""
        return any(
            self.open[i, direction, g, c].index.numel() > self.tuning.leave * points.shape[0]
            for g, points in enumerate(self.targets[i].points)
            for c in range(self.completions)
        )

    def _look(self, looking: list[int], k: int, register: bool) -> None:
        """Compares and samples the given units; with `register`, after correcting their drift."""
        if not looking:
            return
        index = torch.tensor(looking, device=self.device)
        self.seen[index] = torch.maximum(self.seen[index], self.clear[index])
        # Far away the comparison of the frame before still holds: a little older, and half the work.
        late = k > self.tuning.compare_each and not register
        alike = self.alike.tolist()
        for num in (1, self.completions):
            units = [u for u in looking if (1 if alike[u] else self.completions) == num]
            stale = [u for u in units if not (late and self._compared(u) == (k - 1, num))]
            self._compare(stale, k, register, num)
            if self.completions == 1:
                break
        for u in looking:
            i, direction = self.units[u]
            source = self.targets[i].n + direction * k
            motion, facts = self.position[u] - self.identity, self.facts[i, direction][1]
            for g in range(len(self.groups)):
                self._take(i, direction, g, source, motion, facts)

    def _compared(self, u: int) -> tuple[int, int]:
        """At which distance a unit was compared last, and how many of its completions."""
        k, facts = self.facts[self.units[u]]
        return k, facts.shape[0]

    def _compare(self, units: list[int], k: int, register: bool, num: int) -> None:
        """Logit, gain and brightness shift of the first `num` completions of the given units at distance k, into
        `facts`."""
        if not units:
            return
        window, tuning = self.window, self.tuning
        index = torch.tensor(units, device=self.device)
        here = torch.tensor([self.targets[self.units[u][0]].n - window.first for u in units], device=self.device)
        signs = torch.tensor([self.units[u][1] for u in units], device=self.device)
        top, bottom, left, right = self.box
        own = torch.cat([window.colour[here], window.valid[here][..., None]], -1)[:, None, top:bottom, left:right]
        there = here + signs * k
        visible = window.valid[there][..., None]
        other = torch.cat([window.colour[there] * visible, visible], -1)
        other = other[:, None].expand(-1, num, -1, -1, -1).flatten(0, 1)
        own = own.expand(-1, num, -1, -1, -1).flatten(0, 1)
        position = self.position[index, :num].flatten(0, 1)
        path = self.path[index, :num].flatten(0, 1)
        logit, gain, shift = facts = compare(own, other, position, path, tuning)
        if register:
            pictures = window.picture[there][:, None].expand(-1, num, -1, -1).flatten(0, 1)
            mine = window.picture[here][:, None, top:bottom, left:right].expand(-1, num, -1, -1)
            drift = registration(mine.flatten(0, 1), own[..., -1], pictures, other[..., -1], position)
            again = compare(own, other, position + drift, path, tuning)
            better = again[0] > facts[0] + tuning.register_gain
            logit, gain, shift = (torch.where(better, new, old) for new, old in zip(again, facts, strict=True))
            # What was looked at once moves together.
            self.position[index] += (drift * better).view(len(units), num, *position.shape[1:])
        found = torch.cat([logit, gain, shift], -1)
        for u, facts_of in zip(units, found.view(len(units), num, *found.shape[1:]), strict=True):
            self.facts[self.units[u]] = (k, facts_of)

    def _take(self, i: int, direction: int, g: int, source: int, motion: Tensor, facts: Tensor) -> None:
        """Samples the still open points of one direction that frame `source` shows.

        Args:
            motion: (K, h, w, 2) cells.
            facts: (K, h, w, 2 + C): logit, gain - 1, brightness shift in levels.
        """
        group, results = self.groups[g], self.results[self.targets[i].n][g]
        mask = group.mask(source)
        cell = torch.tensor([group.factor_x, group.factor_y], device=self.device)
        corner = torch.tensor([group.left, group.top], device=self.device)
        alike = self.completions // facts.shape[0]  # completions that one look serves
        for c in range(facts.shape[0]):
            still = self.open[i, direction, g, c]
            if still.index.numel() == 0:
                continue
            where = torch.addcmul(still.place[:, :2], sample_points(motion[c], still.place[:, 2:]), cell)
            # Beyond the region neither mask nor flow is known: it counts as hidden.
            hidden = sample_points(mask, where, outside=float(HIDDEN))[:, 0] > 0
            hit = (~hidden).nonzero().flatten()
            if hit.numel() == 0:
                continue
            fact = sample_points(facts[c], still.place[hit, 2:])
            where, taken = where[hit] + corner, still.index[hit]
            m = (0 if direction > 0 else 1) * self.completions + c
            for layer, samples, copies in zip(group.layers, self.samples[g], results, strict=True):
                centre = where
                if layer.sub_x > 1 or layer.sub_y > 1:
                    sub = torch.tensor([layer.sub_x, layer.sub_y], device=self.device)
                    centre = (where + 0.5) / sub - 0.5
                at = (centre[:, None] + samples).flatten(0, 1)
                value = sample_points(layer.image(source), at, layer.cubic) / layer.level
                value = value.view(hit.numel(), -1, value.shape[1]) + torch.tensor(layer.base, device=self.device)
                if layer.channels.start == 0:
                    value[..., 0] *= 1 + fact[:, 1:2]
                value += fact[:, None, 2:][..., layer.channels]
                for same in range(m, m + alike):
                    copies.values[same].index_copy_(0, taken, value)
            rest = still.only(hidden.nonzero().flatten())
            for same in range(alike):
                results[0].logits[m + same].index_copy_(0, taken, fact[:, 0])
                self.open[i, direction, g, c + same] = rest


def blend(
    copies: Copies, spatial: Tensor, depth: Tensor, texture: Tensor, tuning: Tuning = DEFAULT
) -> tuple[Tensor, Tensor]:
    """Softmax over the copies and the spatial fill.

    Args:
        copies: candidates, one pixel per block: values (M, N, 1, C).
        spatial: (N, C) levels, the fill from the frame itself.
        depth: (N,) working px to the hole's border, at least 0.5.
        texture: (N,) levels, how much the picture around varies: what a smooth fill cannot know.

    Returns:
        (N, C) levels, and the share (N,) that came from other frames.
    """
    own = -tuning.depth_power * torch.log(depth.clamp(min=0.5)) - tuning.texture_power * torch.log1p(texture)
    weights = torch.softmax(torch.cat([copies.logits, own[None]]), 0)
    value = (weights[:-1, :, None] * copies.values[:, :, 0]).sum(0) + weights[-1][:, None] * spatial
    return value, 1 - weights[-1]
