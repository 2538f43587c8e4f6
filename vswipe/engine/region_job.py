"""One region of one window: what the copy stage needs of each frame, computed once and kept in the ring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from vswipe.engine.hole import Hole
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.region import Rect
from vswipe.engine.ring import FrameRing
from vswipe.engine.window import WindowPlan
from vswipe.ops.flow import complete_flow, grid_flow, round_trip_error
from vswipe.ops.morphology import depth_inside, dilate, shrink_any
from vswipe.ops.pyramid import push_pull, shrink_known
from vswipe.ops.sampling import Picture
from vswipe.restore.grain import add_grain, grain_around
from vswipe.restore.propagate import DEFAULT, Copies, Group, Target, Tuning, Window, blend, propagate
from vswipe.restore.spatial import fill, refine

GRID = 2  # working pixels per cell of the coarse grid
FLOW_GUARD = 8  # cells around a hole in which the mark disturbs the flow
_LUMA = (0.2126, 0.7152, 0.0722)


@dataclass
class Planes:
    """Planes of one size, and how they lie in the region.

    Args:
        indices: plane numbers of the clip.
        sub_x, sub_y: luma pixels per sample.
    """

    indices: tuple[int, ...]
    sub_x: int
    sub_y: int


def plane_groups(fmt: PictureFormat) -> list[Planes]:
    """Planes that can be sampled together: all of them, or luma and chroma apart when chroma is subsampled."""
    if fmt.family == "YUV" and (fmt.sub_w or fmt.sub_h):
        return [Planes((0,), 1, 1), Planes((1, 2), 1 << fmt.sub_w, 1 << fmt.sub_h)]
    return [Planes(tuple(range(fmt.num_planes)), 1, 1)]


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
        fmt: the clip's format.
        rect: the region.
        factor: clip pixels per working pixel.
        plan: the window grid.
        frames: the window's frames.
        holes: the window's holes, whole frame, None when there is nothing to erase.
        linked: whether frames n and n + 1 belong to one shot.
        ring: where computed values are kept.
        device: torch device of everything but flow and spatial fill, which OpenCV does on the CPU.
        pool: threads for those.
        clock: stage name -> context manager that times it.
        grain: 0..1, share of the surrounding grain put back on pixels that no other frame gave.
        tuning: constants of the copy stage.
    """

    fmt: PictureFormat
    rect: Rect
    factor: int
    plan: WindowPlan
    frames: Mapping[int, Frame]
    holes: Mapping[int, Hole | None]
    linked: Callable[[int], bool]
    ring: FrameRing
    device: torch.device
    pool: Executor
    clock: Callable[[str], AbstractContextManager[None]]
    grain: float = 0.0
    tuning: Tuning = DEFAULT
    groups: list[Planes] = field(init=False)

    def __post_init__(self) -> None:
        self.groups = plane_groups(self.fmt)

    # Per frame: pictures and masks at every size -------------------------------------------------------------------

    def _crop(self, plane: np.ndarray, sub_x: int = 1, sub_y: int = 1) -> np.ndarray:
        """The region's part of a plane, edges repeated where the region reaches over the frame."""
        left, top = self.rect.left // sub_x, self.rect.top // sub_y
        right, bottom = self.rect.right // sub_x, self.rect.bottom // sub_y
        part = plane[top:bottom, left:right]
        over_y, over_x = bottom - top - part.shape[0], right - left - part.shape[1]
        return np.pad(part, ((0, over_y), (0, over_x)), "edge") if over_y or over_x else part

    def mask(self, n: int, group: int = 0) -> np.ndarray | None:
        """The region's mask in a group's pixels, (h, w) uint8 0/1, or None."""
        return self._part(n, group, "grown")

    def _part(self, n: int, group: int, kind: str) -> np.ndarray | None:
        """The region's part of one of the hole's masks in a group's pixels."""
        hole = self.holes[n]
        if hole is None:
            return None
        key = (self.rect, group, kind, hole.n)
        whole = getattr(hole, kind)
        found = self.ring.find("mask", key)
        if found is None:
            planes = self.groups[group]
            height, width = self.fmt.height, self.fmt.width
            part = whole[self.rect.top : self.rect.bottom, self.rect.left : self.rect.right]
            # Beyond the frame nothing is known: neither hole nor picture, so the edge goes on.
            part = np.pad(part, ((0, max(0, self.rect.bottom - height)), (0, max(0, self.rect.right - width))), "edge")
            found = self.ring.put("mask", key, shrink_any(part, planes.sub_y, planes.sub_x))
        return found if found.any() else None

    def levels(self, n: int, group: int) -> np.ndarray:
        """The region in a group's pixels, (h, w, C) float32, 8-bit levels."""
        planes = self.groups[group]
        parts = [self._crop(self.frames[n].planes[p], planes.sub_x, planes.sub_y) for p in planes.indices]
        stack = np.stack(parts, -1).astype(np.float32)
        stack *= np.float32(1 / self.fmt.level)
        if self.fmt.floating and planes.indices != (0,) and self.fmt.family == "YUV":
            chroma = slice(0 if planes.indices[0] else 1, None)
            stack[..., chroma] += 128
        return stack

    def basics(self, n: int) -> dict[str, np.ndarray]:
        """Working luma with its visible share, and the coarse picture with its own."""

        def compute() -> dict[str, np.ndarray]:
            main = self.levels(n, 0)
            mask = self.mask(n, 0)
            known = np.ones(main.shape[:2], np.float32) if mask is None else 1 - mask.astype(np.float32)
            luma = main @ np.array(_LUMA, np.float32) if self.fmt.family == "RGB" else main[..., 0]
            work, share = shrink_known(np.ascontiguousarray(luma), known, self.factor)
            coarse, valid = shrink_known(main, known, self.factor * GRID)
            coarse = coarse.reshape(*valid.shape, -1)
            if len(self.groups) > 1:
                side = self.levels(n, 1)
                mask = self.mask(n, 1)
                known = np.ones(side.shape[:2], np.float32) if mask is None else 1 - mask.astype(np.float32)
                cell = self.factor * GRID
                chroma, chroma_valid = shrink_known(
                    side, known, (cell // self.groups[1].sub_y, cell // self.groups[1].sub_x)
                )
                # Where all chroma of a cell is hidden but some luma is not, the cell counts by its luma.
                chroma = np.where(
                    chroma_valid[..., None] > 0, chroma, push_pull(chroma, np.minimum(chroma_valid * 4, 1))
                )
                coarse = np.concatenate([coarse, chroma], -1)
            return {"work": work, "share": share, "coarse": np.ascontiguousarray(coarse, np.float32), "valid": valid}

        return self.ring.get("basics", (self.rect, n), compute)

    def work_hole(self, n: int) -> np.ndarray:
        return (self.basics(n)["share"] < 0.5).astype(np.uint8)

    def work_fill(self, n: int) -> np.ndarray:
        """Working luma, holes filled from the frame itself, (h, w) float32."""

        def compute() -> np.ndarray:
            basics, hole = self.basics(n), self.work_hole(n)
            return fill(basics["work"][..., None], hole)[..., 0] if hole.any() else basics["work"]

        return self.ring.get("work_fill", (self.rect, n), compute)

    # Per pair: flow ------------------------------------------------------------------------------------------------

    def _flow(self, kind: str, n: int, picture: Callable[[int], np.ndarray]) -> np.ndarray:
        """(2, K, h, w, 3) float32 for the pair (n, n + 1): forward and backward, per completion; cells and error."""

        def compute() -> np.ndarray:
            first, second = picture(n), picture(n + 1)
            forward, backward = grid_flow(first, second, GRID), grid_flow(second, first, GRID)
            forward = complete_flow(forward, self._guard(n))
            backward = complete_flow(backward, self._guard(n + 1))
            out = np.empty((2, *forward.shape[:-1], 3), np.float32)
            for k in range(forward.shape[0]):
                out[0, k, ..., :2], out[1, k, ..., :2] = forward[k], backward[k]
                out[0, k, ..., 2] = round_trip_error(forward[k], backward[k])
                out[1, k, ..., 2] = round_trip_error(backward[k], forward[k])
            return out

        return self.ring.get(kind, (self.rect, n), compute)

    def _guard(self, n: int) -> np.ndarray:
        return dilate((self.basics(n)["valid"] < 1).astype(np.uint8), FLOW_GUARD)

    def _first_picture(self, n: int) -> np.ndarray:
        return to_bytes(self.work_fill(n))

    def _flows(self, kind: str, pairs: Iterable[int], picture: Callable[[int], np.ndarray]) -> dict[int, np.ndarray]:
        """Flow of the given pairs, without those across a cut; several at a time."""
        within = [n for n in pairs if self.linked(n)]
        return dict(zip(within, self.pool.map(lambda n: self._flow(kind, n, picture), within), strict=True))

    # Passes --------------------------------------------------------------------------------------------------------

    def _window(self, numbers: range, flows: Mapping[int, np.ndarray], picture: Callable[[int], np.ndarray]) -> Window:
        """Grids of all frames in `numbers`, stacked; pairs across a cut have no flow."""
        basics = [self.basics(n) for n in numbers]
        shape = basics[0]["valid"].shape
        nothing = np.zeros((2, 2, *shape, 3), np.float32)
        linked = [self.linked(n) for n in numbers[:-1]]
        pairs = [flows[n] if link else nothing for n, link in zip(numbers[:-1], linked, strict=True)]
        stacked = torch.from_numpy(np.stack(pairs or [nothing])).to(self.device)
        size = (shape[1], shape[0])
        pictures = [cv2.resize(picture(n), size, interpolation=cv2.INTER_AREA).astype(np.float32) for n in numbers]
        return Window(
            first=numbers[0],
            picture=torch.from_numpy(np.stack(pictures)).to(self.device),
            colour=torch.from_numpy(np.stack([b["coarse"] for b in basics])).to(self.device),
            valid=torch.from_numpy(np.stack([b["valid"] for b in basics])).to(self.device),
            forward=stacked[:, 0],
            backward=stacked[:, 1],
            linked=linked,
        )

    def first_pass(self, numbers: range) -> dict[int, np.ndarray]:
        """Working luma (uint8) of the given frames, holes filled from the nearest frames, block by block."""
        done: dict[int, np.ndarray] = {}
        for n in numbers:
            if n in done:
                continue
            block = self.plan.block(n)
            found = {k: self.ring.find("second", (self.rect, k)) for k in block}
            pictures = {k: picture for k, picture in found.items() if picture is not None}
            if len(pictures) < len(block):
                pictures = self._first_pass_block(block)
                for k, picture in pictures.items():
                    self.ring.put("second", (self.rect, k), picture)
            done |= pictures
        return done

    def _first_pass_block(self, block: range) -> dict[int, np.ndarray]:
        plan = self.plan
        holes = {n: self.work_hole(n) for n in block}
        masked = [n for n in block if holes[n].any()]
        done = {n: self.basics(n)["work"] for n in block}
        if masked:
            reach = plan.reach(masked[0], masked[-1] + 1, plan.first_radius)
            with self.clock("spatial"):
                list(self.pool.map(self.work_fill, reach))
            with self.clock("flow"):
                flows = self._flows("flow1", reach[:-1], self._first_picture)
            with self.clock("copy"):
                image = cached(lambda n: self._on_device(self.basics(n)["work"][..., None]))
                group = Group(GRID, GRID, 0, 0, image, cached(self._work_mask), 1.0, (0.0,), True, slice(0, 1))
                targets = [Target(n, [self._points(holes[n])]) for n in masked]
                window = self._window(reach, flows, self._first_picture)
                quick = replace(self.tuning, register=False)  # a flow estimate needs no better
                copies = self._propagate(window, [group], targets, plan.first_radius, quick)
                for n in masked:
                    value, _ = self._blend(copies[n][0], self.work_fill(n)[..., None], holes[n], 1.0)
                    done[n] = done[n].copy()
                    done[n][holes[n] > 0] = value[:, 0].cpu().numpy()
        return {n: to_bytes(picture) for n, picture in done.items()}

    def second_pass(self, numbers: list[int]) -> dict[int, list[Filled]]:
        """Fills all planes of the given masked frames."""
        plan = self.plan
        reach = plan.reach(numbers[0], numbers[-1] + 1, plan.radius)
        pictures = self.first_pass(reach)
        with self.clock("flow"):
            flows = self._flows("flow2", reach[:-1], pictures.__getitem__)
        with self.clock("spatial"):
            tasks = [(n, g) for n in numbers for g in range(len(self.groups))]
            spatial = dict(zip(tasks, self.pool.map(lambda task: self._spatial(*task), tasks), strict=True))
        with self.clock("copy"):
            targets = [Target(n, [self._points(self.mask(n, g)) for g in range(len(self.groups))]) for n in numbers]
            copies = self._propagate(
                self._window(reach, flows, pictures.__getitem__),
                [self._group(g) for g in range(len(self.groups))],
                targets,
                plan.radius,
                self.tuning,
            )
            return {
                t.n: [self._filled(t.n, g, copies[t.n][g], spatial[t.n, g]) for g in range(len(self.groups))]
                for t in targets
            }

    def _propagate(
        self, window: Window, groups: list[Group], targets: list[Target], radius: int, tuning: Tuning
    ) -> dict[int, list[Copies]]:
        """All targets at once on a device; on the CPU frame by frame, one thread each, which shares two cores better
        than threads inside operations of a few microseconds do (and does not collapse beside a busy encoder)."""
        if self.device.type != "cpu":
            return propagate(window, groups, targets, radius, tuning)
        parts = self.pool.map(lambda target: propagate(window, groups, [target], radius, tuning), targets)
        return {n: copies for part in parts for n, copies in part.items()}

    # Pieces of the passes ------------------------------------------------------------------------------------------

    def _on_device(self, image: np.ndarray) -> Picture:
        """Pictures to sample stay arrays on the CPU, where OpenCV reads any sample type, and become float elsewhere."""
        if self.device.type == "cpu":
            return image
        return torch.from_numpy(image.astype(np.float32)).to(self.device)

    def _points(self, hole: np.ndarray | None) -> Tensor:
        if hole is None:
            return torch.zeros((0, 2), device=self.device)
        rows, columns = np.nonzero(hole)
        return torch.from_numpy(np.stack([columns, rows], 1).astype(np.float32)).to(self.device)

    def _work_mask(self, n: int) -> Picture:
        return self._on_device((self.work_hole(n) * np.uint8(255))[..., None])

    def _group(self, index: int) -> Group:
        planes = self.groups[index]
        cell = self.factor * GRID

        def image(n: int) -> Picture:
            whole = [self.frames[n].planes[p] for p in planes.indices]
            stack = whole[0][..., None] if len(whole) == 1 else np.stack(whole, -1)
            return self._on_device(stack)

        height, width = self.fmt.plane_shape(planes.indices[0])
        top, left = self.rect.top // planes.sub_y, self.rect.left // planes.sub_x
        nothing = np.zeros((self.rect.height // planes.sub_y, self.rect.width // planes.sub_x, 1), np.uint8)
        nothing[max(0, height - top) :] = 255  # what reaches over the frame shows nothing
        nothing[:, max(0, width - left) :] = 255

        def mask(n: int) -> Picture:
            hole = self._part(n, index, "unsafe" if index == 0 else "grown")
            return self._on_device(nothing if hole is None else nothing | (hole * np.uint8(255))[..., None])

        first = 0 if index == 0 else 1
        chroma = self.fmt.floating and self.fmt.family == "YUV"
        base = tuple(128.0 if chroma and p > 0 else 0.0 for p in planes.indices)
        return Group(
            cell / planes.sub_x,
            cell / planes.sub_y,
            self.rect.left // planes.sub_x,
            self.rect.top // planes.sub_y,
            cached(image),
            cached(mask),
            self.fmt.level,
            base,
            index == 0,
            slice(first, first + len(planes.indices)),
        )

    def _spatial(self, n: int, group: int) -> np.ndarray | None:
        hole = self.mask(n, group)
        if hole is None:
            return None
        planes = self.groups[group]
        if group == 0 and len(planes.indices) == 1:  # the working luma is this plane, filled already
            small = self.work_fill(n)[..., None]
            return small if self.factor == 1 else refine(self.levels(n, group), hole, small, self.factor)
        # Chroma is smooth: it is filled at the same scale although it is smaller.
        return fill(self.levels(n, group), hole, self.factor)

    def _blend(self, copies: Copies, spatial: np.ndarray, hole: np.ndarray, pixel: float) -> tuple[Tensor, Tensor]:
        """`pixel`: working pixels per pixel of the hole."""
        where = hole > 0
        depth = torch.from_numpy(depth_inside(hole)[where] * np.float32(pixel)).to(self.device)
        return blend(copies, torch.from_numpy(spatial[where]).to(self.device), depth, self.tuning)

    def _filled(self, n: int, group: int, copies: Copies, spatial: np.ndarray | None) -> Filled:
        hole = self.mask(n, group)
        planes = self.groups[group]
        if hole is None or spatial is None:
            nothing = np.zeros(0, np.int64)
            return Filled(planes.indices, nothing, nothing, np.zeros((0, len(planes.indices)), np.float32), np.zeros(0))
        values, copied = self._blend(copies, spatial, hole, planes.sub_x / self.factor)
        rows, columns = np.nonzero(hole)
        rows, columns = rows + self.rect.top // planes.sub_y, columns + self.rect.left // planes.sub_x
        height, width = self.fmt.plane_shape(planes.indices[0])
        real = (rows < height) & (columns < width)
        result, share = values.cpu().numpy(), copied.cpu().numpy()
        if self.grain:
            picture = self.levels(n, group)
            sigma = np.array(
                [grain_around(np.ascontiguousarray(picture[..., c]), hole) for c in range(picture.shape[2])]
            )
            seed = (n, group, self.rect.left, self.rect.top)
            result = add_grain(result, self.grain * sigma, 1 - share, seed)
        return Filled(planes.indices, rows[real], columns[real], result[real], share[real])


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """(h, w) float32 levels -> uint8, what flow and thumbnails are computed on."""
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def cached[T](function: Callable[[int], T]) -> Callable[[int], T]:
    """The function with its results kept: within one window the same source frame is sampled many times."""
    kept: dict[int, T] = {}

    def call(n: int) -> T:
        if n not in kept:
            kept[n] = function(n)
        return kept[n]

    return call
