"""Filling unknown samples from the known ones around them by pyramids, and averaging only what is known."""

from __future__ import annotations

import cv2
import numpy as np


def shrink_known(image: np.ndarray, known: np.ndarray, factor: int | tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Area average of the known pixels only.

    Args:
        image: (H, W) or (H, W, C) float32; H and W multiples of the factor.
        known: (H, W) float32, 0..1, weight of each pixel.
        factor: how many times smaller, one number or (vertical, horizontal).

    Returns:
        The smaller image (0 where nothing is known), and its share of known area, 0..1.
    """
    fy, fx = (factor, factor) if isinstance(factor, int) else factor
    if fy == 1 and fx == 1:
        return image * (known if image.ndim == 2 else known[..., None]), known
    size = (image.shape[1] // fx, image.shape[0] // fy)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    product = image * known if image.ndim == 2 else image * known[..., None]
    total = cv2.resize(product, size, interpolation=cv2.INTER_AREA)
    inverse = 1 / np.maximum(weight, 1e-6)
    return total * (inverse if total.ndim == 2 else inverse[..., None]), weight


def push_pull(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Smooth completion of the unknown pixels: a normalised pyramid down, bilinear up.

    Args:
        image: (H, W) or (H, W, C) float32.
        known: (H, W) float32, 1 = keep, 0 = replace, between: blend.

    Returns:
        Same shape; zeros when nothing at all is known.

    Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4 (pull, push).
    """
    height, width = image.shape[:2]
    if min(height, width) <= 2:
        weight = known if image.ndim == 2 else known[..., None]
        total = float(known.sum())
        mean = (image * weight).sum((0, 1)) / total if total > 0 else np.float32(0)
        return (weight * image + (1 - weight) * mean).astype(np.float32)
    pad = ((0, height % 2), (0, width % 2))
    odd = height % 2 or width % 2
    padded = np.pad(image, (*pad, *((0, 0),) * (image.ndim - 2)), "edge") if odd else image
    weights = np.pad(known, pad) if odd else known
    small, weight = shrink_known(padded, weights, 2)
    # A parent with one known child is known enough: only the direction to the hole matters.
    low = push_pull(small, np.minimum(weight * 4, 1))
    up = cv2.resize(low, (padded.shape[1], padded.shape[0]), interpolation=cv2.INTER_LINEAR)[:height, :width]
    if up.ndim < image.ndim:
        up = up[..., None]
    weight = known if image.ndim == 2 else known[..., None]
    return weight * image + (1 - weight) * up
