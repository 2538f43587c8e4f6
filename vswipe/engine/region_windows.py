"""What tracing reads of one region: the grids of both passes with their flows, and the first pass itself, which only
gives the second one clean pictures to compute flow on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vswipe.engine.flowfill import on_grid
from vswipe.engine.region_blocks import RegionBlocks
from vswipe.engine.region_output import cached
from vswipe.engine.region_view import GRID, RegionView, to_bytes
from vswipe.engine.window import WindowPlan
from vswipe.ops.morphology import depth_inside
from vswipe.ops.sampling import Picture
from vswipe.restore.compare import Tuning
from vswipe.restore.propagate import Copies, Group, Layer, Target, blend, follow, gather
from vswipe.restore.search import HIDDEN
from vswipe.restore.trace import COMPLETIONS, Window


@dataclass(frozen=True)
class RegionWindows:
    """Windows of one region's frames.

    Args:
        view, plan, linked, pool, clock, tuning: those of the `RegionJob`.
        blocks: the region's.
    """

    view: RegionView
    plan: WindowPlan
    linked: Callable[[int], bool]
    blocks: RegionBlocks
    pool: Executor
    clock: Callable[[str], AbstractContextManager[None]]
    tuning: Tuning

    def _flows(
        self,
        kind: str,
        pairs: Iterable[int],
        picture: Callable[[int], np.ndarray],
        known: Callable[[int], np.ndarray] | None = None,
    ) -> dict[int, np.ndarray]:
        """Flow of the given pairs, without those across a cut; several at a time."""
        within = [n for n in pairs if self.linked(n)]
        return dict(zip(within, self.pool.map(lambda n: self.view.flow(kind, n, picture, known), within), strict=True))

    def _window(self, numbers: range, flows: Mapping[int, np.ndarray]) -> Window:
        """Grids of all frames in `numbers`; pairs across a cut have no flow."""
        basics = [self.view.basics(n) for n in numbers]
        height, width = basics[0]["valid"].shape[:2]
        nothing = np.zeros((2, COMPLETIONS, height, width, 3), np.float32)
        linked = [self.linked(n) for n in numbers[:-1]]
        pairs = [flows[n] if link else nothing for n, link in zip(numbers[:-1], linked, strict=True)]
        return Window(
            first=numbers[0],
            colour=self._tensors([b["coarse"] for b in basics]),
            valid=self._tensors([b["valid"] for b in basics]),
            weighted=self._tensors([b["weighted"] for b in basics]),
            forward=self._tensors([pair[0] for pair in pairs]),
            backward=self._tensors([pair[1] for pair in pairs]),
            linked=linked,
        )

    def _tensors(self, arrays: list[np.ndarray]) -> Sequence[Tensor]:
        """The arrays where the work is done: on the CPU as they lie, on a device after one upload."""
        if self.blocks.device.type == "cpu":
            return [torch.from_numpy(array) for array in arrays]
        return torch.from_numpy(np.stack(arrays)).to(self.blocks.device).unbind() if arrays else []

    def second(self, numbers: range) -> Window:
        """The second pass's grids of the given frames."""
        first = self.first_pass(numbers)
        pictures = {n: picture for n, (picture, _) in first.items()}
        known = {n: share for n, (_, share) in first.items()}
        with self.clock("flow"):
            flows = self._flows("flow2", numbers[:-1], pictures.__getitem__, known.__getitem__)
        with self.clock("copy"):
            return self._window(numbers, flows)

    def first_pass(self, numbers: range) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Working luma (uint8) of the given frames, holes filled from the nearest frames, block by block; and on the
        grid of cells the share (float32) of it that is visible or was copied."""
        done: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for n in numbers:
            if n in done:
                continue
            block = self.plan.block(n)
            found = {k: self.view.ring.find("second", (self.view.rect, k)) for k in block}
            pictures = {k: picture for k, picture in found.items() if picture is not None}
            if len(pictures) < len(block):
                pictures = self._first_pass_block(block)
                for k, picture in pictures.items():
                    self.view.ring.put("second", (self.view.rect, k), picture)
            done |= pictures
        return done

    def _first_pass_block(self, block: range) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        plan = self.plan
        with self.clock("flow"):
            list(self.pool.map(self.view.basics, block))
        holes = {n: self.view.work_hole(n) for n in block}
        masked = [n for n in block if holes[n].any()]
        done = {n: self.view.basics(n)["work"] for n in block}
        known = {n: np.ones(self.view.basics(n)["valid"].shape[:2], np.float32) for n in block}
        if masked:
            reach = plan.reach(masked[0], masked[-1] + 1, plan.first_radius)
            with self.clock("spatial"):
                list(self.pool.map(self.view.work_fill, reach))
            with self.clock("flow"):
                flows = self._flows("flow1", reach[:-1], self.view.first_picture)
            with self.clock("copy"):
                images = cached(lambda n: [self.blocks.on_device(self.view.basics(n)["work"][..., None])])
                layer = Layer(images, 1.0, (0.0,), slice(0, 1), cubic=True)
                group = Group(GRID, GRID, 0, 0, cached(self._work_mask), (layer,))
                targets = [Target(n, [self.blocks.points(holes[n])]) for n in masked]
                window = self._window(reach, flows)
                quick = replace(self.tuning, register=False)  # a flow estimate needs no better
                trails = [self.pool.submit(follow, window, [group], targets, direction, plan.first_radius, quick)
                          for direction in (1, -1)]  # fmt: skip
                copies = self.pool.submit(gather, [group], targets, [trail.result() for trail in trails]).result()

                def filled(n: int) -> tuple[np.ndarray, np.ndarray]:
                    where, picture = holes[n] > 0, done[n].copy()
                    depth, texture = depth_inside(holes[n])[where], self.view.texture(n)[where]
                    value, copied = mix(
                        copies[n][0][0], self.view.work_fill(n)[where][:, None], depth, texture, self.tuning
                    )
                    picture[where] = value[:, 0].cpu().numpy()
                    share = np.ones(where.shape, np.float32)
                    share[where] = copied.cpu().numpy()
                    return picture, on_grid(share, known[n].shape)

                for n, (picture, share) in zip(masked, self.pool.map(filled, masked), strict=True):
                    done[n], known[n] = picture, share
        return {n: (to_bytes(picture), known[n]) for n, picture in done.items()}

    def _work_mask(self, n: int) -> Picture:
        return self.blocks.on_device((self.view.work_hole(n) * np.uint16(HIDDEN))[..., None])


def mix(
    copies: Copies, spatial: np.ndarray, depth: np.ndarray, texture: np.ndarray, tuning: Tuning
) -> tuple[Tensor, Tensor]:
    """`blend` where the copies are: `spatial` (N, C) levels, `depth` (N,) working px, `texture` (N,) levels."""
    device = copies.logits.device
    own, deep, rough = (torch.from_numpy(x).to(device) for x in (spatial, depth, texture))
    return blend(copies, own, deep, rough, tuning)
