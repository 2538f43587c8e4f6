"""Opaque marks: what keeps its brightness while scene after scene passes around it.

The regression of `static_evidence` needs different backgrounds behind a pixel, which an opaque mark hides: it sees only
the mark's edges, and half of what changes there. What it cannot be mistaken for is told by the surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

MIN_SCENES = 5
_FIXED = 7.0  # levels between the 10th and the 90th percentile over scenes: coding leaves 2 to 4
_MOVING = 25.0  # levels, the same for the surroundings
_RING = 11  # px
_MIN_AREA = 40  # px
_MAX_SHARE = 0.1  # of the picture


def fixed_patches(lumas: Sequence[np.ndarray], scenes: np.ndarray) -> list[np.ndarray]:
    """Patches (H, W) uint8 that look the same in all scenes and whose surroundings do not.

    Args:
        lumas: frames (H, W) uint8 at working size.
        scenes: (T,), frames with the same number look alike.
    """
    _, first = np.unique(scenes, return_index=True)
    if len(first) < MIN_SCENES:
        return []
    shown = [cv2.GaussianBlur(lumas[int(t)], (0, 0), 0.7) for t in first]
    low, high = np.percentile(np.stack(shown), (10, 90), axis=0).astype(np.float32)
    spread = high - low
    fixed = cv2.morphologyEx((spread < _FIXED).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    joined = cv2.morphologyEx(fixed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    out = []
    for k in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[k])
        if area < _MIN_AREA or area > _MAX_SHARE * fixed.size:
            continue
        rows, columns = slice(max(y - _RING, 0), y + h + _RING), slice(max(x - _RING, 0), x + w + _RING)
        own = (labels[rows, columns] == k).astype(np.uint8)
        # Two pixels beside it are its soft edge.
        ring = cv2.dilate(own, np.ones((_RING, _RING), np.uint8)) - cv2.dilate(own, np.ones((5, 5), np.uint8))
        if not ring.any() or np.percentile(spread[rows, columns][ring > 0], 25) < _MOVING:
            continue
        patch = np.zeros_like(fixed)
        patch[rows, columns] = cv2.dilate(own & fixed[rows, columns], np.ones((3, 3), np.uint8))
        out.append(patch)
    return out
