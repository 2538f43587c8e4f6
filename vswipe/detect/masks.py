"""From the lines of a block to masks at full size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vswipe.detect.backing import Backing
from vswipe.detect.subtitle import STROKE, Event
from vswipe.detect.working import WorkingSize

FAINT = 0.2
"""Pooled probability from which pixels connected to a stroke belong to it. At 0.12 masks were 5 % wider for 0.2 % of
the strokes."""


def connected(strokes: np.ndarray) -> np.ndarray:
    """Pooled probabilities (h, w) with those from `FAINT` on, where connected to a stroke, raised to `STROKE`."""
    faint = (strokes >= FAINT).astype(np.uint8)
    _, labels = cv2.connectedComponents(faint, connectivity=8)
    kept = np.unique(labels[strokes >= STROKE])
    inside = np.isin(labels, kept[kept > 0])
    return np.where(inside, strokes * np.float32(STROKE / FAINT), 0).astype(np.float32)


class BlockMasks:
    """The masks of a block at full size, made event by event and kept.

    Args:
        events: of the block.
        size: of the clip.
        dilate: full pixels that masks are grown by.
        backings: plates behind the events.
    """

    def __init__(
        self, events: Sequence[Event], size: WorkingSize, dilate: int = 0, backings: Sequence[Backing] = ()
    ) -> None:
        self.events = events
        self.backings = backings
        self.size = size
        self.dilate = dilate
        self._made: dict[tuple[tuple[int, ...], tuple[int, ...]], np.ndarray] = {}

    def mask(self, n: int) -> np.ndarray | None:
        """(H, W) uint8 at full size, 1 = erase; the same array for frames that show the same lines; None: nothing."""
        shown = tuple(i for i, event in enumerate(self.events) if event.first <= n <= event.last)
        if not shown:
            return None
        behind = tuple(i for i, backing in enumerate(self.backings) if backing.first <= n <= backing.last)
        if (shown, behind) not in self._made:
            self._made[shown, behind] = self._draw(shown, behind)
        return self._made[shown, behind]

    def _draw(self, shown: Sequence[int], behind: Sequence[int]) -> np.ndarray:
        out = np.zeros((self.size.full_height, self.size.full_width), np.uint8)
        sx, sy = self.size.full_width / self.size.width, self.size.full_height / self.size.height
        for i in shown:
            event = self.events[i]
            h, w = event.strokes.shape
            left, top = round(event.left * sx), round(event.top * sy)
            right = min(round((event.left + w) * sx), self.size.full_width)
            bottom = min(round((event.top + h) * sy), self.size.full_height)
            share = np.maximum(connected(event.strokes), event.plate)
            if (right - left, bottom - top) != (w, h):
                share = cv2.resize(share, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)
            part = out[top:bottom, left:right]
            part |= (share >= STROKE).astype(np.uint8)
        for i in behind:
            plate = self.backings[i].plate
            # A working pixel more on each side: the rim of a plate is soft.
            rows = slice(max(0, int((plate.top - 1) * sy)), int(np.ceil((plate.bottom + 1) * sy)))
            out[rows, max(0, int((plate.left - 1) * sx)) : int(np.ceil((plate.right + 1) * sx))] = 1
        if self.dilate:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * self.dilate + 1, 2 * self.dilate + 1))
            out = cv2.dilate(out, kernel)
        return out
