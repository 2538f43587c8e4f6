"""Two plain fills of a hole from its own frame: what a network weighs against the one that follows edges.

No fixed blend of the three is better than the edge-directed fill alone; choosing between them pixel by pixel is.
"""

from __future__ import annotations

import cv2
import numpy as np

from vswipe.ops.pyramid import push_pull

_ROUNDS = 24  # from a push-pull start; 60 change the fill of strokes by less than a tenth of a level
_TELEA_RADIUS = 3
_KERNEL = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)


def membrane(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The smoothest surface over the hole: Laplace's equation, from a push-pull start.

    Args:
        image: (H, W) float32; what it says inside the hole is not read.
        hole: (H, W) bool.

    Returns:
        (H, W) float32.
    """
    start = push_pull(image, 1 - hole.astype(np.float32))
    out = np.where(hole, start, image).astype(np.float32)
    for _ in range(_ROUNDS):
        np.copyto(out, cv2.filter2D(out, -1, _KERNEL, borderType=cv2.BORDER_REFLECT_101), where=hole)
    return out


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The marching fill of Telea, J. Graphics Tools 2004; arguments as for `membrane`, in 8-bit levels."""
    levels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return cv2.inpaint(levels, hole.astype(np.uint8), _TELEA_RADIUS, cv2.INPAINT_TELEA).astype(np.float32)


def plain_fills(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """(2, H, W) float32: `membrane` and `telea` inside the hole, the picture outside."""
    return np.stack([membrane(image, hole), np.where(hole, telea(image, hole), image)])
