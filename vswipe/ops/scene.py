"""Telling a cut from motion between two frames."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.ops.flow import dense_flow
from vswipe.ops.pyramid import push_pull

_WIDTH, _HEIGHT = 96, 54
_LARGE = 12.0  # mean difference in levels below which two frames belong together
_EXPLAINED = 7.0  # and the same once motion is allowed for


@dataclass(frozen=True)
class Thumbnail:
    """What the cut test keeps of a frame.

    Args:
        picture: (54, 96) uint8, masked pixels replaced by their surroundings.
        visible: (54, 96) bool, cells without masked pixels.
    """

    picture: np.ndarray
    visible: np.ndarray


def visible_cells(mask: np.ndarray | None) -> np.ndarray:
    """(54, 96) bool, cells of a thumbnail without masked pixels.

    Args:
        mask: (H, W) uint8, 1 = hidden, or None.
    """
    if mask is None:
        return np.ones((_HEIGHT, _WIDTH), bool)
    return cv2.resize(mask.astype(np.float32), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA) < 0.01


def thumbnail(luma: np.ndarray, visible: np.ndarray) -> Thumbnail:
    """Area average of a luma plane.

    Args:
        luma: (H, W) uint8 or float32, 8-bit levels.
        visible: what `visible_cells` says. A line of text that comes or goes must not look like a cut.
    """
    picture = cv2.resize(luma, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    if not visible.all():
        picture = push_pull(picture.astype(np.float32), visible.astype(np.float32))
    return Thumbnail(np.clip(np.rint(picture), 0, 255).astype(np.uint8), visible)


def is_cut(before: Thumbnail | None, first: Thumbnail, second: Thumbnail, after: Thumbnail | None) -> bool:
    """Whether a new shot begins between `first` and `second`.

    Args:
        before, first, second, after: four consecutive frames; None beyond the clip.

    A camera jerk changes as many pixels as a cut, but its motion explains them; flicker and flashes change the frames
    around as well. Only what is large, unexplained and single is a cut.
    """
    plain = _difference(first, second)
    if plain < _LARGE:
        return False
    flow = dense_flow(first.picture, second.picture)
    x, y = np.meshgrid(np.arange(_WIDTH, dtype=np.float32), np.arange(_HEIGHT, dtype=np.float32))
    moved = cv2.remap(
        second.picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    explained = _difference(first, Thumbnail(moved, second.visible))
    around = [_difference(a, b) for a, b in ((before, first), (second, after)) if a is not None and b is not None]
    return explained > _EXPLAINED and plain > 2 * max(around, default=0.0) + 4


def _difference(first: Thumbnail, second: Thumbnail) -> float:
    """Mean difference in levels over the cells visible in both; over all cells when there are too few."""
    both = first.visible & second.visible
    difference = cv2.absdiff(first.picture, second.picture)
    return float(difference[both].mean()) if both.mean() > 0.05 else float(difference.mean())
