"""Masks frame by frame -> marks with a first and a last frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from .plan import Box, Event, Mask, Part, write_png

# Letters and rows of one text belong together: so much of the frame's height may lie between them.
JOIN_ACROSS, JOIN_DOWN = 0.06, 0.03
SAME_LOOK = 0.85  # overlap of two masks that show the same mark unchanged: edges flicker by a pixel
SAME_MARK = 0.5  # and of one that fades, grows or is coloured word by word; another text in the same place has 0.1-0.4
SAME_PLACE = 0.1  # boxes of a moving mark from one frame to the next


@dataclass
class _Open:
    """A mark that is still there."""

    first: int
    last: int
    box: Box
    mask: Mask  # of the last frame, inside its box
    union: Mask  # of the part at hand, inside `part_box`
    part_box: Box
    part_first: int
    parts: list[Part] = field(default_factory=list)
    agreements: list[float] = field(default_factory=list)

    def close_part(self) -> None:
        self.parts.append(Part(self.part_first, self.last, self.part_box, write_png(self.union)))


class EventFinder:
    """Collects masks in the order of time.

    Args:
        kind: of all marks found.
        height: of the frames, pixels.
        whole: all of a mask is one mark, however far apart its pieces are.
    """

    def __init__(self, kind: str, height: int, *, whole: bool = False) -> None:
        self._kind, self._whole = kind, whole
        across, down = max(1, round(height * JOIN_ACROSS)), max(1, round(height * JOIN_DOWN))
        self._kernel = np.ones((2 * (down // 2) + 1, 2 * (across // 2) + 1), np.uint8)
        self._open: list[_Open] = []
        self._done: list[Event] = []

    def add(self, n: int, mask: Mask) -> None:
        """The mask of frame n: (H, W), above 127 = erase. Frames come in order; one that is left out has no mask."""
        blobs = self._blobs(mask)
        still, unmatched = [], list(self._open)
        for box, piece in blobs:
            scored = [(self._overlap(item, box, piece), k) for k, item in enumerate(unmatched) if item.last == n - 1]
            (agreement, near), k = max(scored, default=((0.0, 0.0), -1))
            wanted = agreement >= SAME_MARK or (self._kind == "dynamic_logo" and near >= SAME_PLACE)
            if k >= 0 and wanted:
                item = unmatched.pop(k)
                self._extend(item, n, box, piece, agreement)
            else:
                item = _Open(n, n, box, piece, piece.copy(), box, n)
            still.append(item)
        for item in unmatched:
            self._finish(item)
        self._open = still

    def finish(self) -> list[Event]:
        """All marks, in order."""
        for item in self._open:
            self._finish(item)
        self._open = []
        return sorted(self._done, key=lambda event: (event.first, event.box))

    def _blobs(self, mask: Mask) -> list[tuple[Box, Mask]]:
        binary = (mask > 127).astype(np.uint8)
        if not binary.any():
            return []
        if self._whole:
            count, labels = 2, binary.astype(np.int32)
        else:
            count, labels = cv2.connectedComponents(cv2.dilate(binary, self._kernel), connectivity=8)
        blobs = []
        for label in range(1, count):
            own = np.where(labels == label, binary, 0)
            left, top, width, height = cv2.boundingRect(own)
            blobs.append(((left, top, width, height), own[top : top + height, left : left + width] * np.uint8(255)))
        return blobs

    @staticmethod
    def _overlap(item: _Open, box: Box, piece: Mask) -> tuple[float, float]:
        """Intersection over union of the masks, and of their boxes."""
        around = _around(item.box, box)
        before, now = _placed(item.mask, item.box, around) > 0, _placed(piece, box, around) > 0
        width = min(item.box[0] + item.box[2], box[0] + box[2]) - max(item.box[0], box[0])
        height = min(item.box[1] + item.box[3], box[1] + box[3]) - max(item.box[1], box[1])
        common = max(0, width) * max(0, height)
        boxes = common / (item.box[2] * item.box[3] + box[2] * box[3] - common)
        return float((before & now).sum() / (before | now).sum()), boxes

    def _extend(self, item: _Open, n: int, box: Box, piece: Mask, agreement: float) -> None:
        item.agreements.append(agreement)
        if agreement >= SAME_LOOK:
            around = _around(item.part_box, box)
            item.union = np.maximum(_placed(item.union, item.part_box, around), _placed(piece, box, around))
            item.part_box = around
        else:
            item.close_part()
            item.union, item.part_box, item.part_first = piece.copy(), box, n
        item.last, item.box, item.mask = n, box, piece

    def _finish(self, item: _Open) -> None:
        item.close_part()
        box = item.parts[0].box
        for part in item.parts[1:]:
            box = _around(box, part.box)
        confidence = float(np.mean(item.agreements)) if item.agreements else 0.0
        self._done.append(Event(self._kind, item.first, item.last, box, confidence, tuple(item.parts)))


def _around(a: Box, b: Box) -> Box:
    left, top = min(a[0], b[0]), min(a[1], b[1])
    return left, top, max(a[0] + a[2], b[0] + b[2]) - left, max(a[1] + a[3], b[1] + b[3]) - top


def _placed(mask: Mask, box: Box, around: Box) -> Mask:
    placed = np.zeros((around[3], around[2]), np.uint8)
    top, left = box[1] - around[1], box[0] - around[0]
    placed[top : top + box[3], left : left + box[2]] = mask
    return placed
