"""Grain for pixels that no other frame gave: measured around the hole, drawn anew for every frame.

Copies bring the grain of the frame they come from; a spatial fill has none and shows as a smooth patch in grainy film.
"""

from __future__ import annotations

import cv2
import numpy as np

from vswipe.ops.morphology import dilate

_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_GAIN = 6.0  # standard deviation of the operator's answer to white noise of deviation 1
_NORMAL_MEDIAN = 0.6745  # median of |x| for a standard normal x


def grain_around(plane: np.ndarray, hole: np.ndarray, reach: int = 16) -> float:
    """Standard deviation of the noise around a hole, in the unit of `plane`.

    Args:
        plane: (H, W) float32.
        hole: (H, W) uint8, 1 = hidden; pixels next to it are not read.
        reach: width of the ring that is measured, pixels.

    Returns:
        0 when there is no pixel to measure.

    Immerkaer, Fast noise variance estimation, CVIU 1996, with a median instead of the mean, so that edges and texture
    in the ring count little.
    """
    ring = (dilate(hole, reach) > 0) & (dilate(hole, 2) == 0)
    ring[[0, -1]] = ring[:, [0, -1]] = False
    if not ring.any():
        return 0.0
    answer = cv2.filter2D(plane, -1, _LAPLACIAN)[ring]
    return float(np.median(np.abs(answer)) / _NORMAL_MEDIAN / _GAIN)


def add_grain(values: np.ndarray, sigma: np.ndarray, smooth: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """Values with noise of the given deviation where they are smooth.

    Args:
        values: (N, C). sigma: (C,) in the unit of `values`.
        smooth: (N,) 0..1, share of each value that has no grain of its own.
        seed: the same seed gives the same grain: frame number and plane, so that a frame is the same after any seek.

    Returns:
        (N, C) float32.

    The mean of independent grains keeps the squares of the shares, so a half-smooth value lacks the square root of half
    the variance.
    """
    noise = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).standard_normal(
        values.shape, np.float32
    )
    return values + noise * sigma.astype(np.float32) * np.sqrt(smooth.astype(np.float32))[:, None]
