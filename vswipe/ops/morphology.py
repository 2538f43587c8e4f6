"""Growing, shrinking and measuring masks."""

from __future__ import annotations

import cv2
import numpy as np

from vswipe.ops.compiled import compiled


@compiled
def places(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what is set in (H, W), in reading order, (N,) int64 both: a faster `np.nonzero`."""
    num = 0
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            num += mask[y, x] != 0
    rows, columns = np.empty(num, np.int64), np.empty(num, np.int64)
    num = 0
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                rows[num], columns[num] = y, x
                num += 1
    return rows, columns


def dilate(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Mask grown by a disc.

    Args:
        mask: (H, W) uint8, 0 or 1.
        pixels: radius of the disc; 0 returns the mask itself.

    Returns:
        (H, W) uint8, 0 or 1.
    """
    if pixels <= 0:
        return mask
    if pixels > 12:  # a large disc costs its area; thresholded distance costs the same for every radius
        return (distance_to(mask) <= pixels).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask, kernel)


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest masked one, float32 pixels; infinite when there is none."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5)


def depth_inside(mask: np.ndarray) -> np.ndarray:
    """Distance of every masked pixel to the nearest unmasked one, float32 pixels; 0 outside."""
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)), np.float32)
    return cv2.distanceTransform(np.ascontiguousarray(mask, dtype=np.uint8), cv2.DIST_L2, 5)


def shrink_any(mask: np.ndarray, factor_y: int, factor_x: int) -> np.ndarray:
    """Smaller mask, set where any pixel of the block is set: the footprint of a subsampled chroma sample.

    Args:
        mask: (H, W) uint8; sides need not be multiples of the factors, the last block is then smaller.
    """
    if factor_y == 1 and factor_x == 1:
        return mask
    height, width = mask.shape
    pad_y, pad_x = -height % factor_y, -width % factor_x
    if pad_y or pad_x:
        mask = np.pad(mask, ((0, pad_y), (0, pad_x)))
    out = mask[0::factor_y]
    for k in range(1, factor_y):
        out = out | mask[k::factor_y]
    columns = out[:, 0::factor_x]
    for k in range(1, factor_x):
        columns = columns | out[:, k::factor_x]
    return np.ascontiguousarray(columns)
