"""Opaque marks: what keeps its brightness while scene after scene, or one that moves all over, passes around it.

The regression of `static_evidence` needs different backgrounds behind a pixel, which an opaque mark hides: it sees only
the mark's edges, and half of what changes there. What it cannot be mistaken for is told by the surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from vswipe.detect.static_evidence import Evidence

MIN_SCENES = 5
_FIXED = 7.0  # levels between the 10th and the 90th percentile over scenes: coding leaves 2 to 4
_MOVING = 25.0  # levels, the same for the surroundings
_RING = 11  # px
_MIN_AREA = 40  # px
_MAX_SHARE = 0.1  # of the picture

# In one shot: a dark coat, too, stays dark while it moves, and what stands in a still scene stays where it is.
_MIN_STATES = 5  # different backgrounds, around a mark and of what counts as seen to move
_STILL_SHARE = 0.02  # of the picture may have edges that were not seen to move: 0.1 and more where the camera stands
_SHOT_MOVING = 20.0  # levels
_EDGE = 1.2  # of the broad statistic, which is 0.1 to 0.5 where what is flat merely overlaps itself
_EDGE_SHARE = 0.65  # of a mark's outline has such an edge; 0.25 at most of others where the camera moves
_SHOT_AREA = 100  # px


def fixed_patches(lumas: Sequence[np.ndarray], scenes: np.ndarray) -> list[np.ndarray]:
    """Patches (H, W) uint8 that look the same in all scenes and whose surroundings do not.

    Args:
        lumas: frames (H, W) uint8 at working size.
        scenes: (T,), frames with the same number look alike.
    """
    _, first = np.unique(scenes, return_index=True)
    if len(first) < MIN_SCENES:
        return []
    spread = _spread([lumas[int(t)] for t in first])
    return [patch for patch, _ in _patches(spread, _MIN_AREA, _MOVING)]


def fixed_in_shot(lumas: Sequence[np.ndarray], evidence: Evidence) -> list[np.ndarray]:
    """Patches (H, W) uint8 that stay the same within an outline that stays, alone in the picture: the camera moves.

    Args:
        lumas: frames (H, W) uint8 at working size, of one shot or of few.
        evidence: of the same frames.
    """
    if ((evidence.states < _MIN_STATES) & (evidence.size > 1)).mean() > _STILL_SHARE:
        return []
    out = []
    for patch, own in _patches(_spread(lumas), _SHOT_AREA, _SHOT_MOVING):
        outline = (cv2.dilate(own, np.ones((5, 5), np.uint8)) > cv2.erode(own, np.ones((3, 3), np.uint8))).nonzero()
        seen = float(np.median(evidence.states[outline])) >= _MIN_STATES
        if seen and (evidence.broad[outline] > _EDGE).mean() >= _EDGE_SHARE:
            out.append(patch)
    return out


def _spread(lumas: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W) float32, levels between the 10th and the 90th percentile over the frames."""
    shown = [cv2.GaussianBlur(luma, (0, 0), 0.7) for luma in lumas]
    low, high = np.percentile(np.stack(shown), (10, 90), axis=0).astype(np.float32)
    return high - low


def _patches(spread: np.ndarray, least: int, moving: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Where little is spread while much is around it: the patch, (H, W) uint8, and its part without soft edges."""
    fixed = cv2.morphologyEx((spread < _FIXED).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    joined = cv2.morphologyEx(fixed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    for k in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[k])
        if area < least or area > _MAX_SHARE * fixed.size:
            continue
        place = np.s_[max(y - _RING, 0) : y + h + _RING, max(x - _RING, 0) : x + w + _RING]
        own = (labels[place] == k).astype(np.uint8)
        # Two pixels beside it are its soft edge.
        ring = cv2.dilate(own, np.ones((_RING, _RING), np.uint8)) - cv2.dilate(own, np.ones((5, 5), np.uint8))
        if not ring.any() or np.percentile(spread[place][ring > 0], 25) < moving:
            continue
        patch, core = np.zeros_like(fixed), np.zeros_like(fixed)
        patch[place] = cv2.dilate(own & fixed[place], np.ones((3, 3), np.uint8))
        core[place] = own
        yield patch, core
