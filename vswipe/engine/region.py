"""Mask -> regions: the parts of the picture that are worked on, with context around the hole.

Subtitles cover a tenth of a frame: working on a region instead of the frame gives more speed than any architecture.
Edges are snapped to a coarse raster, and wide regions to the full width, so that a region stays the same from line to
line and what was computed for it can be used again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

_CELL_SHARE = 64  # cells along the short side when looking for masked pixels
_ROW_STEPS = 16  # region edges snap to 1/16 of the height
_COLUMN_STEPS = 8  # and 1/8 of the width
_WHOLE = 0.7  # above this share of the frame one region for everything is cheaper


@dataclass(frozen=True)
class Rect:
    """Half-open rectangle in luma pixels; may reach over the right and bottom edge by less than the alignment."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def touches(self, other: Rect) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def join(self, other: Rect) -> Rect:
        return Rect(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def occupied_cells(mask: np.ndarray) -> np.ndarray:
    """Which cells of a coarse raster hold a masked pixel, (rows, columns) uint8."""
    cell = cell_size(*mask.shape)
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % cell), (0, -width % cell)))
    rows = padded.reshape(-1, cell, padded.shape[1]).max(1)
    return rows.reshape(rows.shape[0], -1, cell).max(2)


def cell_size(height: int, width: int) -> int:
    """Side of a raster cell in pixels."""
    return max(4, min(height, width) // _CELL_SHARE)


def plan_regions(cells: Iterable[np.ndarray], height: int, width: int, context: int, align: int) -> list[Rect]:
    """Disjoint regions that hold every masked pixel of the given frames, with context.

    Args:
        cells: `occupied_cells` of each frame.
        height, width: frame size.
        context: pixels around the mask that a region must hold.
        align: region sides are multiples of this; must be a multiple of the chroma subsampling.

    Returns:
        Regions in reading order; empty when nothing is masked.
    """
    union: np.ndarray | None = None
    for one in cells:
        union = one if union is None else np.maximum(union, one)
    if union is None or not union.any():
        return []
    cell = cell_size(height, width)
    reach = -(-context // cell)
    grown = cv2.dilate(union, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    rects = [
        _snap(Rect(x * cell, y * cell, (x + w) * cell, (y + h) * cell), height, width, align)
        for x, y, w, h, _ in stats[1:count].tolist()
    ]
    rects = _merge(rects)
    whole = Rect(0, 0, -(-width // align) * align, -(-height // align) * align)
    if sum(r.width * r.height for r in rects) > _WHOLE * whole.width * whole.height:
        return [whole]
    return sorted(rects, key=lambda r: (r.top, r.left))


def _snap(rect: Rect, height: int, width: int, align: int) -> Rect:
    """Outwards to the raster of region edges, wide regions to the full width."""
    row = max(align, height // _ROW_STEPS // align * align)
    column = max(align, width // _COLUMN_STEPS // align * align)
    top, bottom = rect.top // row * row, -(-rect.bottom // row) * row
    left, right = rect.left // column * column, -(-rect.right // column) * column
    if right - left > width // 2:
        left, right = 0, width
    full_width, full_height = -(-width // align) * align, -(-height // align) * align
    if right >= width:
        right = full_width
    if bottom >= height:
        bottom = full_height
    return Rect(left, top, right, bottom)


def _merge(rects: list[Rect]) -> list[Rect]:
    """Joins overlapping rectangles until none overlap."""
    done = False
    while not done:
        done = True
        for i in range(len(rects)):
            for j in range(i + 1, len(rects)):
                if rects[i].touches(rects[j]):
                    joined = rects[i].join(rects[j])
                    rects = [r for k, r in enumerate(rects) if k not in (i, j)] + [joined]
                    done = False
                    break
            if not done:
                break
    return rects
