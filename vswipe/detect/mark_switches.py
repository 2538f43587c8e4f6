"""Places where something comes or goes from one frame to the next: how marks that blink or jump give themselves away.

What moves changes from frame to frame to frame; what is switched changes once. Of the two frames beside a switch the
one with the sharper edge along the outline of the change is the one that shows the mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.mark_look import Planes

_JUMP = 14.0  # levels by which a pixel must change more than in the frames before and after
_LEAST, _MOST = 0.0006, 0.05  # share of the picture that a mark covers
_QUIET = 0.12  # share of the picture that may change at once; more is a cut or a flash


@dataclass(frozen=True, eq=False)
class Candidate:
    """Something that may be a mark.

    Args:
        n: a frame that shows it.
        left, top: of the mask's crop, working pixels.
        mask: (h, w) uint8.
        sharpness: levels per pixel along its outline, more than without it.
    """

    n: int
    left: int
    top: int
    mask: np.ndarray
    sharpness: float


def jump(before: np.ndarray, first: np.ndarray, second: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How much more each pixel changes between two frames than before and after, (H, W) float32, levels.

    Args:
        before, first, second, after: (H, W, 3) float32, consecutive frames.
    """

    def change(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return cv2.blur(np.abs(a - b).max(axis=2), (3, 3))

    around = np.maximum(change(before, first), change(second, after))
    # What moves fast leaves its change a few pixels further on.
    return change(first, second) - 1.5 * cv2.dilate(around, np.ones((5, 5), np.uint8))


def switches(levels: Mapping[int, np.ndarray], gradients: Mapping[int, np.ndarray]) -> list[Candidate]:
    """Compact things that come or go at once.

    Args:
        levels: (H, W, 3) float32 by frame number; only runs of four consecutive frames are looked at.
        gradients: (H, W, 2) float32 of the same frames.
    """
    found = []
    for n in sorted(levels):
        if not all(k in levels for k in (n - 1, n + 1, n + 2)):
            continue
        change = jump(levels[n - 1], levels[n], levels[n + 1], levels[n + 2])
        strong = (change > _JUMP).astype(np.uint8)
        if strong.mean() > _QUIET:
            continue
        joined = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        for region in range(1, count):
            x, y, w, h, _ = stats[region]
            inside = (labels[y : y + h, x : x + w] == region) & (strong[y : y + h, x : x + w] > 0)
            area = int(inside.sum())
            if not _LEAST * strong.size <= area or w * h > _MOST * strong.size or area < 0.15 * w * h:
                continue
            mask = cv2.copyMakeBorder(inside.astype(np.uint8), 2, 2, 2, 2, cv2.BORDER_CONSTANT)
            found.append(_oriented(n, x - 2, y - 2, mask, gradients))
    return [c for c in found if c.sharpness > 1.5]


def _oriented(n: int, left: int, top: int, mask: np.ndarray, gradients: Mapping[int, np.ndarray]) -> Candidate:
    """The candidate in the frame of n and n + 1 that shows it."""
    square = np.ones((3, 3), np.uint8)
    outline = (cv2.dilate(mask, square) > 0) & (cv2.erode(mask, square, borderValue=0) == 0)
    edge = []
    for k in (n, n + 1):
        height, width = gradients[k].shape[:2]
        y0, x0 = max(top, 0), max(left, 0)
        part = gradients[k][y0 : min(top + mask.shape[0], height), x0 : min(left + mask.shape[1], width)]
        seen = outline[y0 - top :, x0 - left :][: part.shape[0], : part.shape[1]]
        edge.append(float(np.linalg.norm(part[seen], axis=1).mean()) if seen.any() else 0.0)
    return Candidate(n if edge[0] > edge[1] else n + 1, left, top, mask, abs(edge[0] - edge[1]))


def crop_of(planes: Planes, candidate: Candidate) -> Sequence[slice]:
    """Rows and columns of a candidate."""
    h, w = candidate.mask.shape
    return slice(candidate.top, candidate.top + h), slice(candidate.left, candidate.left + w)
