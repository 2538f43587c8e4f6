"""The copy stage over one region of a window: its second pass, and what that makes of the hidden samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vswipe.engine.netfill import NetFill
from vswipe.engine.region_blocks import RegionBlocks
from vswipe.engine.region_output import Outputs, Raw
from vswipe.engine.region_view import GRID, RegionView
from vswipe.engine.region_windows import RegionWindows, mix
from vswipe.engine.window import STEADY, WindowPlan
from vswipe.engine.wipefill import Beside, Fusion, Hidden, own_logit
from vswipe.ops.morphology import depth_inside
from vswipe.ops.sampling import warp
from vswipe.restore.compare import DEFAULT, Tuning
from vswipe.restore.grain import add_grain, grain_around
from vswipe.restore.onion import peel
from vswipe.restore.propagate import (
    Copies,
    Found,
    Group,
    Rim,
    Target,
    Trail,
    follow,
    gather,
    gather_rim,
)
from vswipe.restore.spatial import fill, refine
from vswipe.restore.steady import Neighbour, average, brightness, cells, weigh
from vswipe.restore.trace import Window, bounds


@dataclass
class Filled:
    """Result for one group of planes in one frame: where (rows, columns in the plane) and what (N, C) levels."""

    planes: tuple[int, ...]
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    copied: np.ndarray


@dataclass
class RegionJob:
    """The copy stage over one region of a window.

    Args:
        view: the region's pictures, masks and flows.
        plan: the window grid.
        linked: whether frames n and n + 1 belong to one shot.
        device: torch device of everything but flow and spatial fill, which OpenCV does on the CPU.
        pool: threads for those, and for everything whose last bit reaches a frame: its operations have no threads of
            their own, and so one result whatever the caller's number of threads.
        workers: their number.
        clock: stage name -> context manager that times it.
        grain: 0..1, share of the surrounding grain put back on pixels that no other frame gave.
        tuning: constants of the copy stage.
        network: fills what no other frame shows, in place of the spatial fill.
        fusion: corrects how the candidates are mixed.
    """

    view: RegionView
    plan: WindowPlan
    linked: Callable[[int], bool]
    device: torch.device
    pool: Executor
    workers: int
    clock: Callable[[str], AbstractContextManager[None]]
    grain: float = 0.0
    tuning: Tuning = DEFAULT
    network: NetFill | None = None
    fusion: Fusion | None = None
    blocks: RegionBlocks = field(init=False)
    windows: RegionWindows = field(init=False)

    def __post_init__(self) -> None:
        self.blocks = RegionBlocks(self.view, self.device)
        self.windows = RegionWindows(self.view, self.plan, self.linked, self.blocks, self.pool, self.clock, self.tuning)

    @property
    def _with_rim(self) -> bool:
        return self.fusion is not None and self.fusion.wants_rim

    # Passes --------------------------------------------------------------------------------------------------------

    def second_pass(self, numbers: list[int]) -> dict[int, list[Filled]]:
        """Fills all planes of the given masked frames, steadied along the motion."""
        plan = self.plan
        found = {n: self.view.ring.find("raw", (self.view.rect, n)) for n in self._around(numbers)}
        kept: dict[int, list[Raw]] = {n: raw for n, raw in found.items() if raw is not None}
        missing = [n for n in found if n not in kept]
        near = plan.clip(numbers[0] - STEADY, numbers[-1] + STEADY + 1)
        # In linear playback only what comes later is new: its flow is made while the earlier frames are followed.
        blocks, groups = self._targets(missing), self.blocks.groups()
        earlier = self.windows.second(plan.clip(near.start - plan.radius, near.stop))
        backward = self._follow(earlier, groups, blocks, -1)
        later = self.windows.second(plan.clip(near.start, near.stop + plan.radius))
        forward = self._follow(later, groups, blocks, 1)
        kept |= self._second_raw(missing, groups, blocks, [forward, backward])
        with self.clock("steady"):
            outputs = Outputs(self.view, kept, self.device)
            steadied = self.pool.map(lambda n: self._finished(n, outputs, later), numbers)
            return dict(zip(numbers, steadied, strict=True))

    def _around(self, numbers: list[int]) -> list[int]:
        """The masked frames that the given ones are averaged with, and themselves."""
        wanted = set(numbers)
        for n in numbers:
            for direction in (1, -1):
                wanted |= {k for k in self._neighbours(n, direction) if self.view.mask(k) is not None}
        return sorted(wanted)

    def _neighbours(self, n: int, direction: int) -> list[int]:
        """Frames of the same shot within STEADY on one side, nearest first."""
        found = []
        for k in range(1, STEADY + 1):
            pair = n + k - 1 if direction > 0 else n - k
            if not self.linked(pair):
                break
            found.append(n + direction * k)
        return found

    def _targets(self, numbers: list[int]) -> list[list[Target]]:
        """The frames to fill, those together that lie in one block of the grid: on that grid a chunk of linear playback
        and what it is averaged with are one block. On the CPU in parts, one for each thread."""
        blocks: dict[int, list[Target]] = {}
        for n in numbers:
            blocks.setdefault(self.plan.company(n).start, []).append(self.blocks.target(n, self._with_rim))
        parts = self.workers if self.device.type == "cpu" else 1
        return [own for block in blocks.values() for own in (block[k::parts] for k in range(parts)) if own]

    def _follow(
        self, window: Window, groups: list[Group], blocks: list[list[Target]], direction: int
    ) -> list[Future[Trail]]:
        """Starts the search in one direction for what the targets hide; a trail per block."""
        radius, tuning = self.plan.radius, self.tuning
        tasks = []
        for targets in blocks:
            # The same part of the grid whichever frames of the block are wanted.
            company = self.plan.company(targets[0].n)
            box = bounds([torch.from_numpy(self.view.basics(n)["valid"]) for n in company], tuning)
            tasks.append(self.pool.submit(follow, window, groups, targets, direction, radius, tuning, box))
        return tasks

    def _second_raw(
        self,
        numbers: list[int],
        groups: list[Group],
        blocks: list[list[Target]],
        trails: list[list[Future[Trail]]],
    ) -> dict[int, list[Raw]]:
        """All planes' samples of the given masked frames, each frame filled on its own."""
        # Needed at the end: made beside the copies.
        pending = [self.pool.submit(self._spatial, n) for n in numbers]
        layers: dict[int, list[Copies]] = {}
        rims: dict[int, Rim] = {}
        with self.clock("copy"):
            gathering = [
                self.pool.submit(_gathered, groups, targets, [task.result() for task in tasks])
                for targets, *tasks in zip(blocks, *trails, strict=True)
            ]
            for found, beside in (task.result() for task in gathering):
                layers |= {n: [copy for parts in own for copy in parts] for n, own in found.items()}
                rims |= beside
        with self.clock("spatial"):
            spatial = {n: task.result() for n, task in zip(numbers, pending, strict=True)}
            if self.network is None:
                peeled = self.pool.map(lambda n: self._peeled(n, layers[n], spatial[n]), numbers)
                spatial = dict(zip(numbers, peeled, strict=True))
        if self.network is not None:
            with self.clock("network"):
                spatial = self._by_network(numbers, self.network)

        def mixed(n: int) -> list[Raw]:
            if self.fusion is None:
                return self._mixed(n, layers[n], spatial[n])
            return self._corrected(n, layers[n], spatial[n], rims.get(n))

        with self.clock("copy" if self.fusion is None else "network"):
            work = self.pool.map(mixed, numbers)
            raw = dict(zip(numbers, work, strict=True))
        for n, groups_of in raw.items():
            self.view.ring.put("raw", (self.view.rect, n), groups_of)
        return raw

    # Pieces of the passes ------------------------------------------------------------------------------------------

    def _single_pixels(self, n: int, group: int, copies: Copies) -> Copies:
        """Candidates of a hole's samples in reading order, from those of its blocks."""
        return copies.pixels(*self.blocks.places(n, group))

    def _spatial(self, n: int) -> list[np.ndarray]:
        """The frame's hole filled from the frame itself: per plane group (N, C) levels in reading order."""

        def compute() -> list[np.ndarray]:
            out = []
            for group, planes in enumerate(self.view.groups):
                hole = self.view.mask(n, group)
                if hole is None:
                    out.append(np.zeros((0, len(planes.indices)), np.float32))
                else:
                    out.append(self._spatial_plane(n, group, hole)[self.view.where(n, group)])
            return out

        return self.view.ring.get("spatial", (self.view.rect, n), compute)

    def _spatial_plane(self, n: int, group: int, hole: np.ndarray) -> np.ndarray:
        factor = self.view.factor
        if group == 0 and len(self.view.groups[0].indices) == 1:  # the working luma is this plane, filled already
            small = self.view.work_fill(n)[..., None]
            return small if factor == 1 else refine(self.view.levels(n, group), hole, small, factor)
        # Chroma is smooth: it is filled at the same scale although it is smaller.
        return fill(self.view.levels(n, group), hole, factor, smooth=group > 0)

    def _peeled(self, n: int, layers: list[Copies], spatial: list[np.ndarray]) -> list[np.ndarray]:
        """The frame's own fill, once more from what the copies show within the hole; form as `_spatial`."""
        out = list(spatial)
        for g, copies in enumerate(layers):
            hole = self.view.mask(n, g)
            if hole is None:
                continue
            shown, copied = self._blend(n, g, self._single_pixels(n, g, copies), np.zeros_like(spatial[g]))
            out[g] = peel(self.view.levels(n, g), hole, shown.cpu().numpy(), copied.cpu().numpy(), spatial[g],
                          self.view.factor, smooth=g > 0)  # fmt: skip
        return out

    def _by_network(self, numbers: list[int], network: NetFill) -> dict[int, list[np.ndarray]]:
        """The holes as a network fills them, starting from the spatial fill; form as `_spatial`."""
        view = self.view

        def base(n: int) -> np.ndarray:
            return view.rgb(n, self._spatial(n))

        found = network.fill(view.rect, numbers, view.rgb, view.mask, base, self.linked)
        out = {n: view.from_rgb(n, rgb) for n, rgb in found.items()}
        if network.spec.base:
            # Only what the network adds: the way to RGB and back loses colours outside of it and fine chroma.
            for n, groups in out.items():
                start = view.from_rgb(n, base(n))
                out[n] = [own + new - old for own, new, old in zip(self._spatial(n), groups, start, strict=True)]
        return out

    def _blend(self, n: int, group: int, copies: Copies, spatial: np.ndarray) -> tuple[Tensor, Tensor]:
        """`spatial`: (N, C) levels."""
        return mix(copies, spatial, *self._facts(n, group), self.tuning)

    def _facts(self, n: int, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Depth in working pixels and texture in levels of a hole's samples, (N,) both."""
        planes, factor = self.view.groups[group], self.view.factor

        def facts(hole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """Depth in working pixels, and the working pixel each sample lies in."""
            rows, columns = np.nonzero(hole)
            depth = depth_inside(hole)[rows, columns] * np.float32(planes.sub_x / factor)
            row, column = (((w + 0.5) * sub / factor).astype(np.int32)
                           for w, sub in ((rows, planes.sub_y), (columns, planes.sub_x)))  # fmt: skip
            return depth, row, column

        found = self.view.of_hole("depth", n, group, facts)
        assert found is not None
        depth, row, column = found
        return depth, self.view.texture(n)[row, column]

    def _raw(self, n: int, group: int, copies: Copies, spatial: np.ndarray) -> Raw:
        planes = self.view.groups[group]
        if self.view.mask(n, group) is None:
            return Raw(np.zeros((0, len(planes.indices)), np.float32), np.zeros(0, np.float32))
        copies = self._single_pixels(n, group, copies)
        values, copied = self._blend(n, group, copies, spatial)
        return Raw(values.cpu().numpy(), copied.cpu().numpy())

    def _mixed(self, n: int, layers: list[Copies], spatial: list[np.ndarray]) -> list[Raw]:
        """All planes of one frame, mixed as the copy stage says."""
        return [self._raw(n, g, copies, spatial[g]) for g, copies in enumerate(layers)]

    def _corrected(self, n: int, layers: list[Copies], spatial: list[np.ndarray], rim: Rim | None) -> list[Raw]:
        """All planes of one frame, mixed as the fusion network says."""
        assert self.fusion is not None
        hidden = []
        for g, copies in enumerate(layers):
            depth, texture = self._facts(n, g)
            own = own_logit(depth, texture, self.tuning)
            hidden.append(Hidden(copies, *self.blocks.places(n, g), spatial[g], own, texture))
        out = []
        beside = None if rim is None else Beside(rim, *self.blocks.rim(n))
        for g, change in enumerate(self.fusion.correct(self.view, n, self.blocks.side, hidden, beside)):
            copies = Copies(layers[g].values, layers[g].logits + change.logits)
            raw = self._raw(n, g, copies, spatial[g])
            out.append(Raw(raw.values + change.residual.cpu().numpy(), raw.copied))
        return out

    def _finished(self, n: int, outputs: Outputs, window: Window) -> list[Filled]:
        """All planes of one frame: averaged with its neighbours, grain put back, places in the whole planes."""
        weighed = []
        for direction in (1, -1):
            motion: Tensor | None = None
            for other in self._neighbours(n, direction):
                pair = (other - 1 if direction > 0 else other) - window.first
                flow = (window.forward if direction > 0 else window.backward)[pair][..., :2]
                motion = flow if motion is None else motion + warp(flow.contiguous(), cells(flow) + motion)
                shift = brightness(window.cells(n), window.cells(other), motion)
                weighed.append((other, weigh(outputs.grid(n), outputs.grid(other), motion.contiguous(), shift)))
        return [self._plane(n, g, outputs, weighed) for g in range(len(self.view.groups))]

    def _plane(self, n: int, group: int, outputs: Outputs, weighed: list[tuple[int, Tensor]]) -> Filled:
        planes, hole, raw = self.view.groups[group], self.view.mask(n, group), outputs.raw[n][group]
        if hole is None:
            nothing = np.zeros(0, np.int64)
            return Filled(planes.indices, nothing, nothing, raw.values, raw.copied)
        rows, columns = self.view.where(n, group)
        stacked = self.view.of_hole("points", n, group, lambda _: np.stack([columns, rows], 1).astype(np.float32))
        assert stacked is not None
        points = torch.from_numpy(stacked).to(self.device)
        side = self.view.factor * GRID
        cell = torch.tensor([side / planes.sub_x, side / planes.sub_y], device=self.device)
        first = 3 + (0 if group == 0 else 1)  # where these planes' brightness stands
        facts = [torch.cat([x[..., :3], x[..., first : first + len(planes.indices)]], -1) for _, x in weighed]
        neighbours = [Neighbour(outputs.image(other, group), x) for (other, _), x in zip(weighed, facts, strict=True)]
        own = torch.from_numpy(raw.values).to(self.device)
        mean, kept = average(own, points, (points + 0.5) / cell - 0.5, cell, neighbours, cubic=group == 0)
        result, share = mean.cpu().numpy(), raw.copied
        if self.grain:
            picture = self.view.levels(n, group)
            sigma = np.array(
                [grain_around(np.ascontiguousarray(picture[..., c]), hole) for c in range(picture.shape[2])]
            )
            seed = (n, group, self.view.rect.left, self.view.rect.top)
            result = add_grain(result, self.grain * sigma, 1 - share * kept.cpu().numpy(), seed)
        rows, columns = rows + self.view.rect.top // planes.sub_y, columns + self.view.rect.left // planes.sub_x
        height, width = self.view.fmt.plane_shape(planes.indices[0])
        real = (rows < height) & (columns < width)
        if real.all():
            return Filled(planes.indices, rows, columns, result, share)
        return Filled(planes.indices, rows[real], columns[real], result[real], share[real])


def _gathered(
    groups: Sequence[Group], targets: Sequence[Target], trails: Sequence[Trail]
) -> tuple[Found, dict[int, Rim]]:
    return gather(groups, targets, trails), gather_rim(groups[0], targets, trails)
