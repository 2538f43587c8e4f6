"""Things that travel over the picture on straight paths of their own, against the scene's motion.

Flow tells them from the scene; laid over each other along their path they stay sharp, as no part of a scene does that
only happens to move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.mark_look import Planes, crop
from vswipe.ops.flow import dense_flow

STEP = 4
"""Frames over which motion is measured: a mark of half a pixel per frame then moves two."""

HALF = 8
"""Frames on each side that are laid over each other."""

_APART = 1.2  # pixels in STEP frames by which its motion differs from the scene's
_STRAIGHT = 0.9  # pixels in STEP frames by which it may bend
_LEAST, _MOST = 0.0005, 0.06  # share of the picture
_KEPT = 8  # best of each frame
_BORDER = 8  # pixels around a region that are laid over each other with it
_STABLE = 4.0  # standard deviation, levels, of what stays the same
_EDGE = 3.0  # levels per pixel from which a gradient is an edge


@dataclass(frozen=True, eq=False)
class Mover:
    """Something that moves on its own.

    Args:
        n: the frame it was found in.
        left, top: of the mask's crop there, working pixels.
        mask: (h, w) uint8.
        velocity: x and y, pixels per frame.
        sharp: 0..1, share of the edges that stay the same along the path.
        weight: number of such edge pixels.
    """

    n: int
    left: float
    top: float
    mask: np.ndarray
    velocity: tuple[float, float]
    sharp: float
    weight: float

    def place(self, n: int) -> tuple[float, float]:
        """Left and top in another frame, if it goes on as it does."""
        return self.left + (n - self.n) * self.velocity[0], self.top + (n - self.n) * self.velocity[1]


def movers(n: int, lumas: Mapping[int, np.ndarray], planes: Callable[[int], Planes]) -> list[Mover]:
    """What moves straight and on its own around frame n, the surest first.

    Args:
        n: a frame with `HALF` frames on each side at hand.
        lumas: (H, W) uint8.
        planes: of a frame.
    """
    forward, backward = dense_flow(lumas[n], lumas[n + STEP]), dense_flow(lumas[n], lumas[n - STEP])
    apart = np.linalg.norm(forward - _scene_motion(forward), axis=2)
    bent = np.linalg.norm(forward + backward, axis=2)
    own = ((apart > _APART) & (bent < _STRAIGHT)).astype(np.uint8)
    own = cv2.morphologyEx(own, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    found = []
    for region in range(1, count):
        x, y, w, h, area = stats[region]
        if not _LEAST * own.size <= area <= _MOST * own.size:
            continue
        inside = labels[y : y + h, x : x + w] == region
        motion = forward[y : y + h, x : x + w][inside]
        middle = np.median(motion, axis=0)
        if np.median(np.linalg.norm(motion - middle, axis=1)) > 0.7:
            continue
        mask = cv2.copyMakeBorder(inside.astype(np.uint8), _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_CONSTANT)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        found.append((area, x - _BORDER, y - _BORDER, mask, middle / STEP))
    found.sort(key=lambda f: -f[0])
    numbers = [n + d for d in range(-HALF, HALF + 1, STEP // 2)]
    stack = {k: planes(k) for k in numbers} if found else {}
    out = [_weighed(n, float(x), float(y), mask, velocity, stack) for _, x, y, mask, velocity in found[: 2 * _KEPT]]
    return sorted((m for m in out if m.sharp > 0.3), key=lambda m: -m.weight * m.sharp)[:_KEPT]


def _scene_motion(flow: np.ndarray) -> np.ndarray:
    """The scene's motion: the median of a wide surrounding, (H, W, 2)."""
    height, width = flow.shape[:2]
    cell = max(4, round(min(height, width) / 45))
    small = cv2.resize(flow, (width // cell, height // cell), interpolation=cv2.INTER_AREA)
    # 255 steps over the range of the flow: the wide median is made for bytes, and this is finer than what is asked.
    reach = float(np.abs(small).max()) + 1e-3
    levels = np.clip(np.rint(small / reach * 127 + 128), 0, 255).astype(np.uint8)
    size = min(31, (min(small.shape[:2]) * 3 // 4) | 1)
    wide = [cv2.medianBlur(np.ascontiguousarray(levels[..., c]), size) for c in (0, 1)]
    motion = (np.dstack(wide).astype(np.float32) - 128) / 127 * reach
    return cv2.resize(motion, (width, height), interpolation=cv2.INTER_LINEAR)


def _weighed(n: int, left: float, top: float, mask: np.ndarray, velocity: np.ndarray,
             stack: Mapping[int, Planes]) -> Mover:  # fmt: skip
    """The mover with the velocity that keeps it sharpest, and how sharp it stays."""
    best: tuple[float, float, np.ndarray] | None = None
    size = mask.shape[0], mask.shape[1]
    region = cv2.dilate(mask, np.ones((7, 7), np.uint8)) > 0
    for dx, dy in ((0.0, 0.0), (0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)):
        speed = velocity + np.array([dx, dy])
        parts = [(p, left + (k - n) * speed[0], top + (k - n) * speed[1]) for k, p in stack.items()]
        luma = np.stack([crop(p.levels[..., 0], x, y, size) for p, x, y in parts])
        slope = np.stack([crop(p.gradients, x, y, size) for p, x, y in parts])
        stable = luma.std(axis=0) < _STABLE
        edges = (np.linalg.norm(slope, axis=3).mean(axis=0) > _EDGE) & region
        kept = (np.linalg.norm(slope.mean(axis=0), axis=2) > _EDGE) & stable & region
        weight, sharp = float(kept.sum()), float(kept.sum()) / (float(edges.sum()) + 20.0)
        if best is None or weight * sharp > best[0] * best[1]:
            best = weight, sharp, speed
    assert best is not None
    return Mover(n, left, top, mask, (float(best[2][0]), float(best[2][1])), best[1], best[0])
