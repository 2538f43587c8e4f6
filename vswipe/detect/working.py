"""Frames at the size the detectors work at: 8-bit luma and chroma, at most about 360 lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.nets.textseg import MULTIPLE

SHORT_SIDE = 360
"""Pixels of the short side at which text of 3 to 10 % of the height has the sizes the network was trained with."""

_LARGER = 1.1  # pictures up to a tenth larger are taken as they are: resizing would blur more than it helps


@dataclass(frozen=True)
class WorkingSize:
    """The working size of a clip.

    Args:
        full_width, full_height: of the clip, pixels.
        width, height: at work, even.
    """

    full_width: int
    full_height: int
    width: int
    height: int

    @classmethod
    def of(cls, width: int, height: int) -> WorkingSize:
        """The working size of a clip of this size."""
        short = min(width, height)
        if short <= SHORT_SIDE * _LARGER:
            # An odd row or column has no chroma of its own in the description.
            return cls(width, height, max(width // 2 * 2, 2), max(height // 2 * 2, 2))
        scale = SHORT_SIDE / short
        return cls(width, height, round(width * scale / 2) * 2, round(height * scale / 2) * 2)

    @property
    def scale(self) -> float:
        """Full pixels per working pixel."""
        return self.full_height / self.height

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width that the network takes."""
        return -(-self.height // MULTIPLE) * MULTIPLE, -(-self.width // MULTIPLE) * MULTIPLE


@dataclass(frozen=True, eq=False)
class WorkingFrame:
    """A frame at working size, padded to what the network takes by repeating its last row and column.

    Args:
        luma: (H, W) uint8.
        chroma: (2, H/2, W/2) uint8.
        cuts: the properties _SceneChangePrev and _SceneChangeNext, None where the frame has none.
    """

    luma: np.ndarray
    chroma: np.ndarray
    cuts: tuple[int | None, int | None] = (None, None)


# BT.709, limited range, in 8-bit levels from RGB 0..255.
_FROM_RGB = np.array([[0.1826, 0.6142, 0.0620], [-0.1006, -0.3386, 0.4392], [0.4392, -0.3989, -0.0403]], np.float32)


def working_frame(planes: Sequence[np.ndarray], family: str, level: float, size: WorkingSize) -> WorkingFrame:
    """A frame at working size.

    Args:
        planes: (H, W) arrays in the clip's sample type.
        family: "GRAY", "RGB" or "YUV".
        level: one 8-bit level in the clip's unit.
        size: of the clip.
    """
    whole, half = (size.width, size.height), (size.width // 2, size.height // 2)
    floating = np.issubdtype(planes[0].dtype, np.floating)
    if family == "GRAY":
        luma = _byte(_resized(planes[0], whole), level)
        chroma = [np.full((half[1], half[0]), 128, np.uint8)] * 2
    elif family == "RGB":
        rgb = np.stack([_resized(plane, whole) for plane in planes], -1).astype(np.float32) / np.float32(level)
        ycc = rgb @ _FROM_RGB.T + np.array([16, 128, 128], np.float32)
        luma = _byte(ycc[..., 0], 1.0)
        small = cv2.resize(ycc[..., 1:], half, interpolation=cv2.INTER_AREA)
        chroma = [_byte(small[..., 0], 1.0), _byte(small[..., 1], 1.0)]
    else:
        luma = _byte(_resized(planes[0], whole), level)
        middle = 128.0 if floating else 0.0  # float chroma is stored around zero
        chroma = [_byte(_resized(plane, half), level, middle) for plane in planes[1:]]
    rows, columns = size.padded[0] - size.height, size.padded[1] - size.width
    return WorkingFrame(
        cv2.copyMakeBorder(luma, 0, rows, 0, columns, cv2.BORDER_REPLICATE),
        np.stack([cv2.copyMakeBorder(c, 0, rows // 2, 0, columns // 2, cv2.BORDER_REPLICATE) for c in chroma]),
    )


def _resized(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if plane.dtype == np.float16:
        plane = plane.astype(np.float32)
    width, height = size
    if abs(plane.shape[0] - height) <= 1 and abs(plane.shape[1] - width) <= 1:
        return (
            plane[:height, :width]
            if plane.shape[0] >= height and plane.shape[1] >= width
            else cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
        )
    smaller = plane.shape[0] >= height
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _byte(plane: np.ndarray, level: float, offset: float = 0.0) -> np.ndarray:
    if plane.dtype == np.uint8 and level == 1.0:
        return np.ascontiguousarray(plane)
    return np.clip(np.rint(plane.astype(np.float32) / np.float32(level) + offset), 0, 255).astype(np.uint8)
