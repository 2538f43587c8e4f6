"""What a frame's mask becomes: where to write, what must not be sampled, and how the result fades into the source."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.engine.region import occupied_cells
from vswipe.engine.settings import Settings
from vswipe.ops.morphology import dilate, distance_to

GROWN, UNSAFE = 1, 2


@dataclass(frozen=True)
class Hole:
    """The hole of one frame.

    Args:
        key: what it was made from; frames with the same mask share one hole.
        bits: (H, W) uint8, GROWN and UNSAFE, together because a window keeps a hundred of them. GROWN = written: the
            marked pixels within the wanted regions, dilated. UNSAFE = no other frame may take its pixels from here with
            a 4x4 kernel whose inner 2x2 pixels are not grown: the hole, and every neighbour of a marked pixel.
        alpha: (H, W) float32, share of the result in what is written; None = all of it.
        cells: the hole on a coarse raster, for planning regions.
    """

    key: bytes
    bits: np.ndarray
    alpha: np.ndarray | None
    cells: np.ndarray

    @property
    def grown(self) -> np.ndarray:
        """(H, W) uint8, 1 = written."""
        return self.bits & GROWN


def make_hole(key: bytes, mask: np.ndarray | None, settings: Settings) -> Hole | None:
    """The hole that a mask and the settings make; None when nothing is to be erased.

    Args:
        key: names the mask.
        mask: (H, W) uint8, 1 = erase, or None.
        settings: `regions`, `dilate` and `feather` are read.
    """
    if mask is None:
        return None
    marked = mask
    if settings.regions:
        marked = np.zeros_like(mask)
        for left, top, width, height in settings.regions:
            box = np.s_[top : top + height, left : left + width]
            marked[box] = mask[box]
    if not marked.any():
        return None
    grown = dilate(marked, settings.dilate)
    unsafe = cv2.dilate(marked, np.ones((3, 3), np.uint8)) | grown
    alpha = None
    feather = min(settings.feather, settings.dilate)
    if feather:
        # Full strength on the mark itself and on what the feather does not reach, then a ramp to the hole's border.
        outside = distance_to(marked) - (settings.dilate - feather)
        alpha = np.clip(1 - outside / (feather + 1), 0, 1).astype(np.float32)
    return Hole(key, grown * np.uint8(GROWN) | unsafe * np.uint8(UNSAFE), alpha, occupied_cells(grown))
