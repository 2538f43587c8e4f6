"""Text that belongs to the scene: put into perspective, and carried by the motion under it."""

from __future__ import annotations

import cv2
import numpy as np

_LEAST_MOTION = 0.06  # pixels a frame below which the scene counts as still, and a sign on it would be a subtitle


def warped(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """A mark (h, w, 4) seen from the side; often nearly straight, as posters and shop signs are."""
    h, w = pixels.shape[:2]
    strength = float(rng.choice([0.02, 0.1, 0.22]))
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    moved = corners + rng.uniform(-strength, strength, (4, 2)).astype(np.float32) * np.array([0.5 * w, h], np.float32)
    angle = float(rng.choice([0.0, rng.uniform(-0.3, 0.3)]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    moved = (moved - moved.mean(0)) @ turn.T
    moved -= moved.min(0)
    size = np.ceil(moved.max(0)).astype(int) + 1
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.warpPerspective(pixels, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_AREA)


def sign_path(rng: np.random.Generator, luma: np.ndarray, x: float, y: float) -> np.ndarray:
    """Where something at (x, y) of the first frame goes.

    Args:
        rng: for the path where the scene is still.
        luma: (T, H, W) uint8.
        x, y: luma pixels.

    Returns:
        (T, 3): shift right, shift down, and scale, relative to the first frame.
    """
    num_frames, height, width = luma.shape
    path = np.zeros((num_frames, 3))
    path[:, 2] = 1.0
    factor = 0.5
    flow_of = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    small = [cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for frame in luma]
    reach = max(8, round(0.08 * min(width, height)))
    at = np.array([x, y])
    for n in range(1, num_frames):
        flow = flow_of.calc(small[n - 1], small[n], None)
        rows, columns = flow.shape[:2]
        cx = int(np.clip(at[0] * factor, 0, columns - 1))
        cy = int(np.clip(at[1] * factor, 0, rows - 1))
        around = flow[max(cy - reach, 0) : cy + reach, max(cx - reach, 0) : cx + reach].reshape(-1, 2)
        step = np.median(around, axis=0) / factor
        at = at + step
        path[n, :2] = at - (x, y)
    moved = np.abs(np.diff(path[:, :2], axis=0)).sum(1)
    window = np.convolve(moved, np.ones(25) / 25, "same") if num_frames > 25 else moved
    if num_frames > 1 and np.quantile(window, 0.1) < _LEAST_MOTION:
        speed = float(np.exp(rng.uniform(np.log(0.25), np.log(5.0))))
        angle = float(rng.uniform(0, 2 * np.pi))
        grow = float(rng.choice([0.0, rng.uniform(-0.004, 0.004)]))
        t = np.arange(num_frames)
        shake = np.cumsum(rng.normal(0, 0.15 * speed, (num_frames, 2)), axis=0)
        path[:, :2] = np.outer(t, speed * np.array([np.cos(angle), np.sin(angle)])) + shake
        path[:, 2] = np.exp(grow * t)
    return path
