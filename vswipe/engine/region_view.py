"""One region of a window, frame by frame and pair by pair: pictures, masks and flow, kept in the ring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vswipe.engine.colour import RegionColour
from vswipe.engine.flowfill import MotionFill, Pair, on_grid
from vswipe.engine.hole import GROWN, Hole
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.region import Rect
from vswipe.engine.ring import FrameRing
from vswipe.ops.flow import complete_flow, grid_flow, round_trip_error
from vswipe.ops.morphology import dilate, shrink_any
from vswipe.ops.pyramid import push_pull, shrink_known, shrink_visible
from vswipe.restore.spatial import fill, texture_around

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
    """Planes of one size: all of them, or luma and chroma apart when chroma is subsampled."""
    if fmt.family == "YUV" and (fmt.sub_w or fmt.sub_h):
        return [Planes((0,), 1, 1), Planes((1, 2), 1 << fmt.sub_w, 1 << fmt.sub_h)]
    return [Planes(tuple(range(fmt.num_planes)), 1, 1)]


@dataclass
class RegionView:
    """What the copy stage needs of the frames of one region.

    Args:
        fmt: the clip's format.
        rect: the region.
        factor: clip pixels per working pixel.
        frames: the window's frames.
        holes: the window's holes, whole frame, None when there is nothing to erase.
        ring: where computed values are kept.
        motion: betters the completion of the second pass's motion.
    """

    fmt: PictureFormat
    rect: Rect
    factor: int
    frames: Mapping[int, Frame]
    holes: Mapping[int, Hole | None]
    ring: FrameRing
    motion: MotionFill | None = None
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
        return self.part(n, group, GROWN)

    def part(self, n: int, group: int, bit: int) -> np.ndarray | None:
        """The region's part of one of the hole's masks in a group's pixels."""
        hole = self.holes[n]
        if hole is None:
            return None
        key = (self.rect, group, bit, hole.key)
        found = self.ring.find("mask", key)
        if found is None:
            planes = self.groups[group]
            height, width = self.fmt.height, self.fmt.width
            part = hole.bits[self.rect.top : self.rect.bottom, self.rect.left : self.rect.right]
            part = (part & bit != 0).astype(np.uint8)
            # Beyond the frame nothing is known: neither hole nor picture, so the edge goes on.
            part = np.pad(part, ((0, max(0, self.rect.bottom - height)), (0, max(0, self.rect.right - width))), "edge")
            part = shrink_any(part, planes.sub_y, planes.sub_x)
            # In a tuple: nothing to erase is an answer, too.
            found = self.ring.put("mask", key, (part if part.any() else None,))
        return found[0]

    def of_hole[T](self, kind: str, n: int, group: int, compute: Callable[[np.ndarray], T]) -> T | None:
        """What follows from the hole's shape alone, computed once for all frames that share it; None without a hole."""
        part, hole = self.mask(n, group), self.holes[n]
        if part is None or hole is None:
            return None
        return self.ring.get(kind, (self.rect, group, hole.key), lambda: compute(part))

    def where(self, n: int, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the hole's samples in reading order."""
        found = self.of_hole("where", n, group, np.nonzero)
        if found is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        rows, columns = found
        return rows, columns

    def levels(self, n: int, group: int) -> np.ndarray:
        """The region in a group's pixels, (h, w, C) float32, 8-bit levels."""
        planes = self.groups[group]
        parts = [self._crop(self.frames[n].planes[p], planes.sub_x, planes.sub_y) for p in planes.indices]
        stack = np.empty((*parts[0].shape, len(parts)), np.float32)
        for c, part in enumerate(parts):
            stack[..., c] = part
        return self._to_levels(stack, planes)

    def _shrunk(self, n: int, group: int, cell: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean of what is visible in squares of `cell` luma pixels, (h, w, C) levels, and the visible share."""
        planes = self.groups[group]
        parts = [self._crop(self.frames[n].planes[p], planes.sub_x, planes.sub_y) for p in planes.indices]
        mean, share = shrink_visible(parts, self.mask(n, group), (cell // planes.sub_y, cell // planes.sub_x))
        return self._to_levels(mean, planes), share

    def _to_levels(self, stack: np.ndarray, planes: Planes) -> np.ndarray:
        """Samples (h, w, C) float32 of a group in 8-bit levels, in place."""
        stack *= np.float32(1 / self.fmt.level)
        if self.fmt.floating and planes.indices != (0,) and self.fmt.family == "YUV":
            chroma = slice(0 if planes.indices[0] else 1, None)
            stack[..., chroma] += 128
        return stack

    def luma(self, levels: np.ndarray) -> np.ndarray:
        """(h, w) luma of the first plane group's levels."""
        return levels @ np.array(_LUMA, np.float32) if self.fmt.family == "RGB" else levels[..., 0]

    def basics(self, n: int) -> dict[str, np.ndarray]:
        """Working luma with its visible share ("work", "share"), and the coarse picture with its own ("coarse",
        "valid"), and both of that together, multiplied ("weighted"): (h, w), (H, W, C) and (H, W, 1) float32."""

        def compute() -> dict[str, np.ndarray]:
            shrunk, share = self._shrunk(n, 0, self.factor)
            coarse, valid = shrink_known(shrunk, share, GRID)
            work = np.ascontiguousarray(self.luma(shrunk))
            if len(self.groups) > 1:
                chroma, chroma_valid = self._shrunk(n, 1, self.factor * GRID)
                # Where all chroma of a cell is hidden but some luma is not, the cell counts by its luma.
                if chroma_valid.min() <= 0:
                    completed = push_pull(chroma, np.minimum(chroma_valid * 4, 1))
                    chroma = np.where(chroma_valid[..., None] > 0, chroma, completed)
                coarse = np.concatenate([coarse, chroma], -1)
            valid = valid[..., None]
            weighted = np.concatenate([coarse * valid, valid], -1)
            return {"work": work, "share": share, "coarse": coarse, "valid": valid, "weighted": weighted}

        return self.ring.get("basics", (self.rect, n), compute)

    def work_hole(self, n: int) -> np.ndarray:
        return (self.basics(n)["share"] < 0.5).astype(np.uint8)

    def work_fill(self, n: int) -> np.ndarray:
        """Working luma, holes filled from the frame itself, (h, w) float32."""

        def compute() -> np.ndarray:
            basics, hole = self.basics(n), self.work_hole(n)
            return fill(basics["work"][..., None], hole)[..., 0] if hole.any() else basics["work"]

        return self.ring.get("work_fill", (self.rect, n), compute)

    def texture(self, n: int) -> np.ndarray:
        """Detail of the visible surroundings, working size, (h, w) float32, levels."""
        basics = self.basics(n)
        return self.ring.get("texture", (self.rect, n), lambda: texture_around(basics["work"], basics["share"]))

    def rgb(self, n: int, filled: list[np.ndarray] | None = None) -> np.ndarray:
        """The region as networks take it, (h, w, 3) float32, 0..1.

        Args:
            filled: per plane group (N, C) levels of the hole's samples in reading order; without it the source shows.
        """
        groups = [self.levels(n, g) for g in range(len(self.groups))]
        for g, values in enumerate(filled or ()):
            groups[g][self.where(n, g)] = values
        return RegionColour(self.fmt, self.frames[n].props).to_rgb(groups)

    def from_rgb(self, n: int, rgb: np.ndarray) -> list[np.ndarray]:
        """Per plane group (N, C) levels of the hole's samples, from a region (h, w, 3), 0..1."""
        groups = RegionColour(self.fmt, self.frames[n].props).from_rgb(rgb)
        return [levels[self.where(n, g)] for g, levels in enumerate(groups)]

    # Per pair: flow ------------------------------------------------------------------------------------------------

    def flow(
        self,
        kind: str,
        n: int,
        picture: Callable[[int], np.ndarray],
        known: Callable[[int], np.ndarray] | None = None,
    ) -> np.ndarray:
        """(2, K, h, w, 3) float32 for the pair (n, n + 1): forward and backward, per completion; cells and error.

        `known`: share of the pictures that is no fill of the frame's own, (h, w); the completion is bettered with it.
        """

        def compute() -> np.ndarray:
            first, second = picture(n), picture(n + 1)
            quick = kind == "flow1"
            measured = grid_flow(first, second, GRID, quick), grid_flow(second, first, GRID, quick)
            guards = self._guard(n), self._guard(n + 1)
            forward, backward = (complete_flow(flow, guard) for flow, guard in zip(measured, guards, strict=True))
            if self.motion is not None and known is not None:
                size = guards[0].shape
                pictures = on_grid(first, size), on_grid(second, size)
                valid = self.basics(n)["valid"][..., 0], self.basics(n + 1)["valid"][..., 0]
                pair = Pair(
                    n, self.rect, pictures, measured, (forward, backward), guards, valid, (known(n), known(n + 1))
                )
                forward, backward = self.motion.complete(pair)
            out = np.empty((2, *forward.shape[:-1], 3), np.float32)
            for k in range(forward.shape[0]):
                out[0, k, ..., :2], out[1, k, ..., :2] = forward[k], backward[k]
                out[0, k, ..., 2] = round_trip_error(forward[k], backward[k])
                out[1, k, ..., 2] = round_trip_error(backward[k], forward[k])
            return out

        return self.ring.get(kind, (self.rect, n), compute)

    def _guard(self, n: int) -> np.ndarray:
        return dilate((self.basics(n)["valid"][..., 0] < 1).astype(np.uint8), FLOW_GUARD)

    def first_picture(self, n: int) -> np.ndarray:
        return to_bytes(self.work_fill(n))


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """(h, w) float32 levels -> uint8, what flow and thumbnails are computed on."""
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
