"""Large crops in overlapping tiles, so that a network's memory is bounded whatever the picture's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OVERLAP = 64  # px; what lies deeper in a tile than half of it is hardly different from tile to tile


@dataclass(frozen=True)
class Tile:
    """Half-open part of a crop, in pixels."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def box(self) -> tuple[slice, slice]:
        """For indexing an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def plan_tiles(height: int, width: int, max_pixels: int, overlap: int = OVERLAP) -> list[Tile]:
    """Tiles that cover a crop, none much larger than `max_pixels`; they depend on nothing else.

    Args:
        height, width: of the crop.
        max_pixels: wanted bound on a tile's area; tiles stay at least three overlaps long.
        overlap: pixels that neighbours share.
    """
    rows = columns = 1
    while True:
        tall, wide = _length(height, rows, overlap), _length(width, columns, overlap)
        if tall * wide <= max_pixels:
            break
        can_tall, can_wide = tall > 3 * overlap, wide > 3 * overlap
        if not can_tall and not can_wide:
            break
        if can_wide and (wide >= tall or not can_tall):
            columns += 1
        else:
            rows += 1
    tops, lefts = _starts(height, tall, rows), _starts(width, wide, columns)
    return [Tile(y, x, y + tall, x + wide) for y in tops for x in lefts]


def _length(total: int, count: int, overlap: int) -> int:
    return min(total, -(-(total + (count - 1) * overlap) // count))


def _starts(total: int, length: int, count: int) -> list[int]:
    return [0] if count == 1 else [round(i * (total - length) / (count - 1)) for i in range(count)]


def tile_weight(tile: Tile, height: int, width: int, overlap: int = OVERLAP) -> np.ndarray:
    """Share of a tile in each of its pixels, (h, w, 1) float32 > 0, before the shares are made to add up to 1."""

    def ramp(first: int, last: int, total: int) -> np.ndarray:
        position = np.arange(first, last, dtype=np.float32) + 0.5
        rise = np.full_like(position, overlap) if first == 0 else position - first
        fall = np.full_like(position, overlap) if last == total else last - position
        return np.minimum(np.minimum(rise, fall) / overlap, 1)

    rows, columns = ramp(tile.top, tile.bottom, height), ramp(tile.left, tile.right, width)
    return (rows[:, None] * columns[None])[..., None]
