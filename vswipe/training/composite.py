"""Marks with exact opacity, where they stand in each frame, and how they are burnt into 4:2:0 frames."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .codec import Planes

ALPHA_FLOOR = 0.02
"""Opacity up to which a pixel counts as untouched. It is then drawn as untouched, so that the mask is exact."""

# BT.601, limited range, in 8-bit levels from RGB 0..1: what OpenCV assumes for I420 frames.
_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32)
_OFFSET = np.array([16.0, 128.0, 128.0], np.float32)


@dataclass(frozen=True, eq=False)
class Mark:
    """A drawn thing: a line of text, a logo.

    Args:
        pixels: (h, w, 4), float32, red, green, blue and opacity, 0..1, colour multiplied by opacity.
    """

    pixels: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True)
class Placement:
    """A mark in one frame.

    Args:
        mark: its index in the overlay.
        left, top: where its first pixel stands, in luma pixels; fractions move it by less than a pixel.
        opacity: 0..1, multiplies its own.
    """

    mark: int
    left: float
    top: float
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Overlay:
    """What is drawn over a clip: the marks, and for every frame which of them stand where."""

    width: int
    height: int
    marks: tuple[Mark, ...]
    frames: tuple[tuple[Placement, ...], ...]

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Composite:
    """Frames with an overlay burnt in.

    Args:
        planes: Y (T, H, W), U, V, uint8.
        mask: (T, H, W), uint8: 1 where anything was drawn, 0 elsewhere.
        alpha: (T, H, W), float32: opacity, 0..1; 0 outside the mask.
    """

    planes: Planes
    mask: np.ndarray
    alpha: np.ndarray


def rgb_to_ycbcr(rgb: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Y'CbCr in 8-bit levels, limited range, BT.601, of RGB 0..1.

    Args:
        rgb: (..., 3), multiplied by `weight` already.
        weight: (..., 1) opacity the colour is multiplied by; it multiplies the offsets 16 and 128 alike.
    """
    return rgb @ _YCBCR.T + weight * _OFFSET


def draw_frame(overlay: Overlay, t: int) -> tuple[np.ndarray, int, int] | None:
    """The overlay of frame t, on a crop that holds all of it.

    Returns:
        (h, w, 4) float32, colour multiplied by opacity, and the crop's left and top; all four of its borders are even,
        so that it maps to whole chroma samples. None where nothing is drawn.
    """
    boxes = []
    for place in overlay.frames[t]:
        width, height = overlay.marks[place.mark].size
        x, y = int(np.floor(place.left)), int(np.floor(place.top))
        # One pixel more for what a fraction spills over.
        boxes.append((x, y, x + width + 1, y + height + 1))
    if not boxes:
        return None
    left = max(min(b[0] for b in boxes), 0) // 2 * 2
    top = max(min(b[1] for b in boxes), 0) // 2 * 2
    right = min((max(b[2] for b in boxes) + 1) // 2 * 2, overlay.width)
    bottom = min((max(b[3] for b in boxes) + 1) // 2 * 2, overlay.height)
    if right <= left or bottom <= top:
        return None
    canvas = np.zeros((bottom - top, right - left, 4), np.float32)
    for place in overlay.frames[t]:
        _put(canvas, overlay.marks[place.mark].pixels * np.float32(place.opacity), place.left - left, place.top - top)
    canvas[canvas[..., 3] <= ALPHA_FLOOR] = 0.0
    return canvas, left, top


def _put(canvas: np.ndarray, pixels: np.ndarray, left: float, top: float) -> None:
    """Lay pixels over the canvas in place; parts outside are cut off."""
    x, y = int(np.floor(left)), int(np.floor(top))
    dx, dy = left - x, top - y
    if dx or dy:
        shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        size = (pixels.shape[1] + 1, pixels.shape[0] + 1)
        pixels = cv2.warpAffine(pixels, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + pixels.shape[1], canvas.shape[1]), min(y + pixels.shape[0], canvas.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part = pixels[y0 - y : y1 - y, x0 - x : x1 - x]
    under = canvas[y0:y1, x0:x1]
    under *= 1.0 - part[..., 3:]
    under += part


def halve(plane: np.ndarray, siting: str = "center") -> np.ndarray:
    """A plane (H, W) or (H, W, C) at half size, as chroma is made from full-size colour.

    Args:
        siting: "center" averages 2x2, the inverse of what OpenCV does with I420. "left" is the usual siting of
            4:2:0 video: [1, 2, 1] / 4 across, centred on the left column, and the mean of two lines.
    """
    if siting == "left":
        plane = cv2.filter2D(plane, -1, np.array([[0.25, 0.5, 0.25]], np.float32), borderType=cv2.BORDER_REPLICATE)
        columns = plane[:, ::2]
        return 0.5 * (columns[::2] + columns[1::2])
    return cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)


def composite(planes: Planes, overlay: Overlay, siting: str = "center") -> Composite:
    """Burn an overlay into frames, in their own 4:2:0 samples.

    Args:
        planes: the clean frames; they are not changed.
        overlay: of the same size; its first T frames are used.
        siting: see `halve`. With "center" every sample whose pixels are all outside the mask stays as it is; with
            "left" a chroma sample reaches one pixel to the left of its own two.

    Raises:
        ValueError: sizes or lengths do not fit.
    """
    num_frames, height, width = planes[0].shape
    if (overlay.width, overlay.height) != (width, height):
        raise ValueError(f"composite: overlay must be {width}x{height}, got {overlay.width}x{overlay.height}")
    if len(overlay) < num_frames:
        raise ValueError(f"composite: overlay must have {num_frames} frames or more, got {len(overlay)}")
    out = tuple(plane.copy() for plane in planes)
    alpha = np.zeros((num_frames, height, width), np.float32)
    for t in range(num_frames):
        drawn = draw_frame(overlay, t)
        if drawn is None:
            continue
        canvas, left, top = drawn
        h, w = canvas.shape[:2]
        alpha[t, top : top + h, left : left + w] = canvas[..., 3]
        colour = rgb_to_ycbcr(canvas[..., :3], canvas[..., 3:])
        _blend(out[0][t, top : top + h, left : left + w], colour[..., 0], canvas[..., 3])
        # A chroma sample stands for several pixels: its opacity is their mean, its colour the mean of opacity x colour.
        small = halve(np.dstack([colour[..., 1:], canvas[..., 3:]]), siting)
        for plane, channel in ((1, 0), (2, 1)):
            part = out[plane][t, top // 2 : (top + h) // 2, left // 2 : (left + w) // 2]
            _blend(part, small[..., channel], small[..., 2])
    return Composite(out, (alpha > 0).astype(np.uint8), alpha)  # type: ignore[arg-type]


def _blend(under: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """J = a W + (1 - a) I in place; `colour` is a W already."""
    mixed = under * (1.0 - alpha) + colour
    np.copyto(under, np.clip(np.rint(mixed), 0, 255).astype(np.uint8), where=alpha > 0)
