"""Copies of hidden pixels from other frames: traced and checked (`restore.trace`), sampled once, weighed.

Every masked frame follows its flow forward and backward, for each completion of the flow. A hidden pixel takes its
sample from the first frame that shows it; the comparison with the frame's surroundings tells how far to trust the copy
and how its brightness and contrast differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vswipe.ops.sampling import Picture, sample_points
from vswipe.restore.compare import DEFAULT, Tuning
from vswipe.restore.search import Box, Finds, Points, Search, hidden_at
from vswipe.restore.trace import Window, bounds, trace


@dataclass(frozen=True)
class Layer:
    """Planes of one size that a group's copies are sampled from.

    Args:
        images: frame number -> the whole planes, (H, W, 1) each, or one picture (H, W, C).
        level: one 8-bit level in the unit of `images`.
        base: (C,) levels of a zero sample: 128 for chroma around zero.
        channels: where these planes stand among the coarse picture's channels.
        sub_x, sub_y: the group's pixels per sample.
        cubic: sample with a 4x4 kernel. The outer pixels of its footprint are not tested: only where the group's mask
            is at least one pixel wider than what is hidden.
    """

    images: Callable[[int], Sequence[Picture]]
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


@dataclass(frozen=True)
class RimPoints:
    """Visible blocks beside a frame's hidden ones.

    Args:
        leader: (R,) for each the hidden block next to it: which of the first group's points.
        away: (R, 2) from that one's centre to its own, pixels, x then y.
    """

    leader: Tensor
    away: Tensor


@dataclass(frozen=True)
class Rim:
    """What the copies would be beside the hole, where it is known better.

    Args:
        values: (M, R, C) float32, 8-bit levels, the mean of each block.
        there: (M, R) bool, whether the candidate has one.
    """

    values: Tensor
    there: Tensor


Found = dict[int, list[list[Copies]]]  # frame number -> group -> layer


@dataclass
class Target:
    """One frame to fill: its number, per group the centres of hidden blocks (N, 2), x then y, in the region's pixels,
    and the visible blocks beside those of the first group, if they are wanted."""

    n: int
    points: list[Tensor]
    rim: RimPoints | None = None


@dataclass(frozen=True)
class Trail:
    """What one direction showed of some targets: `Finds` per group, from how many completions of the flow."""

    finds: list[Finds]
    completions: int


def block_samples(block: int, sub_x: int, sub_y: int) -> Tensor:
    """(P, 2) positions of a layer's samples of a block, from the block's centre in the layer's samples, x then y."""
    wide, high = max(1, block // sub_x), max(1, block // sub_y)
    x, y = torch.arange(wide) - (wide - 1) / 2, torch.arange(high) - (high - 1) / 2
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)


def follow(
    window: Window,
    groups: Sequence[Group],
    targets: Sequence[Target],
    direction: int,
    radius: int,
    tuning: Tuning = DEFAULT,
    box: Box | None = None,
) -> Trail:
    """Where frames in one direction show the hidden blocks of the targets.

    Args:
        window: all frames within `radius` of the targets in this direction.
        groups: the planes that are traced.
        targets: frames with hidden pixels.
        direction: 1 towards later frames, -1 towards earlier ones.
        radius: frames that may give pixels.
        tuning: constants.
        box: part of the grid that is followed; without it what the targets themselves need. Frames that are to give the
            same result in every company need the same box.
    """
    if box is None:
        box = bounds([window.valid[t.n - window.first] for t in targets], tuning)
    searches = [
        Search((group.factor_x, group.factor_y), group.mask, [Points(t.n, t.points[g]) for t in targets])
        for g, group in enumerate(groups)
    ]
    return Trail(trace(window, searches, direction, radius, box, tuning), window.completions)


def gather(groups: Sequence[Group], targets: Sequence[Target], trails: Sequence[Trail]) -> Found:
    """Samples what the trails led to, each source frame once.

    Args:
        groups, targets: as they were followed.
        trails: of both directions, or of one.

    Returns:
        frame number -> one list per group, of one `Copies` per layer: M = directions x K candidates per hidden block.
    """
    out: Found = {t.n: [] for t in targets}
    num = sum(trail.completions for trail in trails)
    firsts = [sum(trail.completions for trail in trails[:d]) for d in range(len(trails))]
    for g, group in enumerate(groups):
        device = targets[0].points[g].device
        counts = [t.points[g].shape[0] for t in targets]
        starts = torch.tensor([sum(counts[:i]) for i in range(len(counts))], device=device)
        finds = [trail.finds[g] for trail in trails]
        candidate = torch.cat([before + f.completion for before, f in zip(firsts, finds, strict=True)])
        block = torch.cat([starts[f.target] + f.block for f in finds])
        facts = torch.cat([f.facts for f in finds])
        logits = torch.full((num, sum(counts)), -torch.inf, device=device)
        logits[candidate, block] = facts[:, 0]
        # One source after the other: each is read once for all that it shows.
        source, order = torch.cat([f.source for f in finds]).sort(stable=True)
        candidate, block, facts = candidate[order], block[order], facts[order]
        numbers, rows = torch.unique_consecutive(source, return_counts=True)
        places = torch.cat([f.where for f in finds])[order].split(rows.tolist())
        runs = list(zip(numbers.tolist(), places, strict=True))
        layers = []
        for layer in group.layers:
            samples = block_samples(group.block, layer.sub_x, layer.sub_y).to(device)
            values = torch.zeros(*logits.shape, samples.shape[0], len(layer.base), device=device)
            if runs:
                found = torch.cat([_sample(group, layer, n, where, samples) for n, where in runs])
                if layer.channels.start == 0:
                    found[..., 0] *= 1 + facts[:, 1:2]
                found += facts[:, None, 2:][..., layer.channels]
                values[candidate, block] = found
            layers.append(values.split(counts, 1))
        for i, (target, own) in enumerate(zip(targets, logits.split(counts, 1), strict=True)):
            out[target.n].append([Copies(values[i], own) for values in layers])
    return out


def gather_rim(group: Group, targets: Sequence[Target], trails: Sequence[Trail]) -> dict[int, Rim]:
    """How the copies go on beside the hole: every candidate of a hidden block, read a few pixels away.

    The frame itself is visible there, so that the difference says how far the candidate is off: in place, which shows
    at edges, and in brightness.

    Args:
        group: the first group, as it was followed.
        targets: as they were followed; those without `rim` are left out.
        trails: of both directions, or of one.

    Returns:
        frame number -> what each of the M candidates, in the order of `gather`, has there of the group's first layer.
    """
    wanted = [(i, t, t.rim) for i, t in enumerate(targets) if t.rim is not None]
    if not wanted:
        return {}
    layer, finds = group.layers[0], [trail.finds[0] for trail in trails]
    firsts = [sum(trail.completions for trail in trails[:d]) for d in range(len(trails))]
    num, channels = sum(trail.completions for trail in trails), len(layer.base)
    device = targets[0].points[0].device
    starts = [0]
    for target in targets:
        starts.append(starts[-1] + target.points[0].shape[0])
    row = torch.full((num, starts[-1]), -1, dtype=torch.long, device=device)  # of every block, among what was found
    before = torch.tensor(starts, device=device)
    candidate = torch.cat([first + f.completion for first, f in zip(firsts, finds, strict=True)])
    block = torch.cat([before[f.target] + f.block for f in finds])
    row[candidate, block] = torch.arange(candidate.numel(), device=device)
    leader = torch.cat([starts[i] + rim.leader for i, _, rim in wanted])
    there = row[:, leader]
    candidate, place = (there >= 0).nonzero(as_tuple=True)
    found = there[candidate, place]
    source, order = torch.cat([f.source for f in finds])[found].sort(stable=True)
    candidate, place, found = candidate[order], place[order], found[order]
    where = torch.cat([f.where for f in finds])[found] + torch.cat([rim.away for _, _, rim in wanted])[place]
    facts = torch.cat([f.facts for f in finds])[found]
    samples = block_samples(group.block, layer.sub_x, layer.sub_y).to(device)
    values = torch.zeros(num, leader.numel(), channels, device=device)
    seen = torch.zeros(num, leader.numel(), dtype=torch.bool, device=device)
    numbers, counts = torch.unique_consecutive(source, return_counts=True)
    end = 0
    for n, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        rows = slice(end, end + count)
        end += count
        clear = hidden_at(group.mask(n), where[rows]).logical_not_()
        value = _sample(group, layer, n, where[rows], samples).mean(1)
        value[:, 0] *= 1 + facts[rows, 1]
        value += facts[rows, 2:][:, layer.channels]
        values[candidate[rows], place[rows]] = value
        seen[candidate[rows], place[rows]] = clear
    counts_of = [rim.leader.numel() for _, _, rim in wanted]
    return {t.n: Rim(own, shown) for (_, t, _), own, shown in
            zip(wanted, values.split(counts_of, 1), seen.split(counts_of, 1), strict=True)}  # fmt: skip


def _sample(group: Group, layer: Layer, n: int, where: Tensor, samples: Tensor) -> Tensor:
    """(R, P, C) levels of blocks whose centres lie at `where` in frame n's region."""
    centre = where + torch.tensor([group.left, group.top], device=where.device)
    if layer.sub_x > 1 or layer.sub_y > 1:
        centre = (centre + 0.5) / torch.tensor([layer.sub_x, layer.sub_y], device=where.device) - 0.5
    at = (centre[:, None] + samples).flatten(0, 1)
    value = torch.cat([sample_points(image, at, layer.cubic) for image in layer.images(n)], 1) * (1 / layer.level)
    return value.view(where.shape[0], -1, value.shape[1]) + torch.tensor(layer.base, device=where.device)


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
