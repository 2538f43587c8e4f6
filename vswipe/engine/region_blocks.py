"""How one region's hidden pixels are followed: in which blocks, past which masks, and what they are sampled from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vswipe.engine.hole import GROWN, UNSAFE
from vswipe.engine.region_output import cached
from vswipe.engine.region_view import GRID, RegionView
from vswipe.ops.morphology import shrink_any
from vswipe.ops.sampling import Picture
from vswipe.restore.propagate import Group, Layer, RimPoints, Target
from vswipe.restore.search import HIDDEN

RIM = 3  # blocks beside the hole in which copies are compared with what is visible


@dataclass
class RegionBlocks:
    """The blocks of one region.

    Args:
        view: the region's pictures and masks.
        device: torch device.
    """

    view: RegionView
    device: torch.device

    def on_device(self, image: np.ndarray) -> Picture:
        """Pictures to sample stay arrays on the CPU, where OpenCV reads any sample type, and become float elsewhere."""
        if self.device.type == "cpu":
            return image
        return torch.from_numpy(image.astype(np.float32)).to(self.device)

    @property
    def traced(self) -> range:
        """The plane groups whose pixels are followed."""
        return range(1 if self.together else len(self.view.groups))

    def groups(self) -> list[Group]:
        """What is followed and what is sampled. Not kept here: each refers back to this object, and a circle would hold
        the window's frames until the collector comes by."""
        return [self._group(g) for g in self.traced]

    def target(self, n: int, rim: bool = False) -> Target:
        """What is to be found for frame n; with `rim` beside its hole, too."""
        points = [self.points(self.view.mask(n, g), self.side) for g in self.traced]
        return Target(n, points, self._rim(n)[0] if rim and self.view.mask(n, 0) is not None else None)

    def rim(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the visible blocks beside frame n's hole."""
        return self._rim(n)[1]

    def _rim(self, n: int) -> tuple[RimPoints, tuple[np.ndarray, np.ndarray]]:
        def beside(hole: np.ndarray) -> tuple[RimPoints, tuple[np.ndarray, np.ndarray]]:
            blocks = shrink_any(hole, self.side, self.side)
            distance, label = cv2.distanceTransformWithLabels(
                1 - blocks.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
            )
            rows, columns = np.nonzero((distance > 0) & (distance < RIM + 0.5))
            number = np.zeros(int(label.max()) + 1, np.int64)  # of every label's hidden block
            own = np.nonzero(blocks)
            number[label[own]] = np.arange(own[0].size)
            leader = number[label[rows, columns]]
            away = np.stack([columns - own[1][leader], rows - own[0][leader]], 1).astype(np.float32) * self.side
            points = RimPoints(*(torch.from_numpy(x).to(self.device) for x in (leader, away)))
            return points, (rows, columns)

        found = self.view.of_hole("rim", n, 0, beside)
        assert found is not None  # called for frames with a hole
        return found

    def points(self, hole: np.ndarray | None, block: int = 1) -> Tensor:
        """Centres of the blocks that hold hidden pixels, (N, 2), x then y."""
        if hole is None:
            return torch.zeros((0, 2), device=self.device)
        rows, columns = np.nonzero(shrink_any(hole, block, block))
        centres = np.stack([columns, rows], 1).astype(np.float32) * block + (block - 1) / 2
        return torch.from_numpy(centres).to(self.device)

    @property
    def side(self) -> int:
        """In large pictures 2x2 luma pixels share one motion and one decision, 4x4 where they fill half a grid cell: so
        many times fewer points to follow."""
        if self.view.factor >= 4 and self.view.factor * GRID % 4 == 0:
            return 4
        return 2 if self.view.factor > 1 else 1

    @property
    def together(self) -> bool:
        """Whether a followed block holds whole samples of every plane, so that one trace serves them all."""
        return self.side > 1 or len(self.view.groups) == 1

    def places(self, n: int, group: int) -> tuple[Tensor, Tensor]:
        """The block of each of a hole's samples, and its place in it, (N,) both."""
        planes, block = self.view.groups[group], self.side
        luma = self.view.mask(n, 0)

        def places(hole: np.ndarray) -> tuple[Tensor, Tensor]:
            wide = high = block
            traced = hole
            if self.together:
                assert luma is not None  # every plane's hole comes from luma's
                traced, wide, high = luma, block // planes.sub_x, block // planes.sub_y
            blocks = shrink_any(traced, block, block)
            number = np.cumsum(blocks.ravel(), dtype=np.int64).reshape(blocks.shape) - 1
            rows, columns = np.nonzero(hole)
            index = torch.from_numpy(number[rows // high, columns // wide]).to(self.device)
            return index, torch.from_numpy(rows % high * wide + columns % wide).to(self.device)

        found = self.view.of_hole("places", n, group, places)
        assert found is not None
        return found

    def _layer(self, index: int, relative_to: int) -> Layer:
        """Planes of one size, sampled for points in the pixels of another size."""
        planes, base = self.view.groups[index], self.view.groups[relative_to]

        def images(n: int) -> list[Picture]:
            return [self.on_device(self.view.frames[n].planes[p][..., None]) for p in planes.indices]

        first = 0 if index == 0 else 1
        chroma = self.view.fmt.floating and self.view.fmt.family == "YUV"
        return Layer(
            cached(images),
            self.view.fmt.level,
            tuple(128.0 if chroma and p > 0 else 0.0 for p in planes.indices),
            slice(first, first + len(planes.indices)),
            planes.sub_x // base.sub_x,
            planes.sub_y // base.sub_y,
            cubic=index == 0,
        )

    def _group(self, index: int) -> Group:
        planes = self.view.groups[index]
        cell = self.view.factor * GRID
        height, width = self.view.fmt.plane_shape(planes.indices[0])
        top, left = self.view.rect.top // planes.sub_y, self.view.rect.left // planes.sub_x
        nothing = np.zeros((self.view.rect.height // planes.sub_y, self.view.rect.width // planes.sub_x, 1), np.uint16)
        nothing[max(0, height - top) :] = HIDDEN  # what reaches over the frame shows nothing
        nothing[:, max(0, width - left) :] = HIDDEN

        kept: dict[bytes | None, Picture] = {}  # by hole: frames with the same mask share one

        def mask(n: int) -> Picture:
            whole = self.view.holes[n]
            hole = self.view.part(n, index, UNSAFE if index == 0 else GROWN)
            key = None if hole is None or whole is None else whole.key
            if key not in kept:
                if hole is not None and self.together and len(self.view.groups) > 1:
                    hole = hole | self._under_chroma(n, hole.shape)
                hidden = nothing if hole is None else nothing | (hole * np.uint16(HIDDEN))[..., None]
                if self.side > 1:
                    # A block's own pixels, and the chroma samples that are read between: both reach half a block.
                    hidden = cv2.dilate(hidden, np.ones((self.side + 1, self.side + 1), np.uint8))[..., None]
                kept[key] = self.on_device(hidden)
            return kept[key]

        layers = range(len(self.view.groups)) if self.together else [index]
        return Group(
            cell / planes.sub_x,
            cell / planes.sub_y,
            left,
            top,
            mask,
            tuple(self._layer(k, index) for k in layers),
            self.side,
        )

    def _under_chroma(self, n: int, shape: tuple[int, int]) -> np.ndarray:
        """Luma pixels under hidden chroma samples, (h, w) uint8."""
        planes = self.view.groups[1]
        hole = self.view.mask(n, 1)
        if hole is None:
            return np.zeros(shape, np.uint8)
        return np.repeat(np.repeat(hole, planes.sub_y, 0), planes.sub_x, 1)
