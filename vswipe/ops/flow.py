"""Motion between two frames, and its completion where a mark hides the picture."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from vswipe.ops.pyramid import push_pull

_MIN_SIDE = 48  # DIS looks three octaves down with 8 px patches; smaller pictures are padded
_SUPPORT = 8  # grid cells around a region's box that tell its motion
_SAMPLES = 600  # flow vectors per affine fit: more do not change it
_ROUNDS = 6

_local = threading.local()


def dense_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Motion of every pixel of `first` towards `second`.

    Args:
        first, second: (H, W) uint8.

    Returns:
        (H, W, 2) float32, x then y, pixels: second(p + flow(p)) looks like first(p).

    Dense Inverse Search of Kroeger et al., ECCV 2016, https://arxiv.org/abs/1603.03590, medium preset: the finest scale
    costs four times as much for 0.15 dB, `fast` loses 0.7 dB.
    """
    if not hasattr(_local, "dis"):
        _local.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return _padded_flow(_local.dis, first, second)


def _padded_flow(method: cv2.DISOpticalFlow, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    height, width = first.shape
    pad_y, pad_x = max(0, _MIN_SIDE - height), max(0, _MIN_SIDE - width)
    if pad_y or pad_x:
        first, second = (cv2.copyMakeBorder(x, 0, pad_y, 0, pad_x, cv2.BORDER_REPLICATE) for x in (first, second))
    flow = method.calc(np.ascontiguousarray(first), np.ascontiguousarray(second), None)
    return flow[:height, :width]


def fine_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`dense_flow` carried to the finest scale: for small pictures that are nearly aligned already."""
    if not hasattr(_local, "fine"):
        _local.fine = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        _local.fine.setFinestScale(0)
    return _padded_flow(_local.fine, first, second)


def grid_flow(first: np.ndarray, second: np.ndarray, step: int = 2) -> np.ndarray:
    """`dense_flow` averaged on a grid `step` px wide, in grid cells."""
    flow = dense_flow(first, second)
    size = (flow.shape[1] // step, flow.shape[0] // step)
    return cv2.resize(flow, size, interpolation=cv2.INTER_AREA) / step


def affine_completion(flow: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Flow whose values inside each region of the hole follow one robust affine motion of the region's surroundings.

    Args:
        flow: (H, W, 2) float32.
        hole: (H, W) uint8, 1 where the flow cannot be trusted.

    Returns:
        (H, W, 2) float32; outside the hole the flow itself.

    Cauchy weights from the median motion on, scale 1.5 times the median residual: at most half of the surroundings may
    belong to something else.
    """
    out = flow.copy()
    height, width = hole.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hole, connectivity=8)
    for region in range(1, count):
        x, y, w, h, _ = stats[region]
        top, bottom = max(0, y - _SUPPORT), min(height, y + h + _SUPPORT)
        left, right = max(0, x - _SUPPORT), min(width, x + w + _SUPPORT)
        free_y, free_x = np.nonzero(hole[top:bottom, left:right] == 0)
        inside = labels[y : y + h, x : x + w] == region
        if free_y.size < 12:  # nothing around it: the mean of the whole flow is the best guess
            rest = flow[hole == 0]
            out[y : y + h, x : x + w][inside] = rest.mean(0) if rest.size else 0
            continue
        pick = slice(None, None, max(1, free_y.size // _SAMPLES))
        free_y, free_x = free_y[pick] + top, free_x[pick] + left
        centre = np.array([x + w / 2, y + h / 2], np.float32)
        span = max(w, h, 16) / 2
        model = _fit_affine(free_x, free_y, flow[free_y, free_x], centre, span)
        in_y, in_x = np.nonzero(inside)
        basis = _basis(in_x + x, in_y + y, centre, span)
        out[y : y + h, x : x + w][inside] = basis @ model
    return out


def _basis(x: np.ndarray, y: np.ndarray, centre: np.ndarray, span: float) -> np.ndarray:
    ones = np.ones(x.shape, np.float32)
    return np.stack([ones, (x - centre[0]) / span, (y - centre[1]) / span], 1).astype(np.float32)


def _fit_affine(x: np.ndarray, y: np.ndarray, flow: np.ndarray, centre: np.ndarray, span: float) -> np.ndarray:
    """(3, 2) affine motion over the normalised basis (1, x, y), by iteratively reweighted least squares."""
    basis = _basis(x, y, centre, span)
    model = np.zeros((3, 2), np.float32)
    model[0] = np.median(flow, axis=0)
    # A faint pull towards pure translation keeps the fit defined when the support is a thin strip.
    ridge = np.diag([0.0, 0.01, 0.01]).astype(np.float32) * len(x)
    for _ in range(_ROUNDS):
        residual = np.linalg.norm(flow - basis @ model, axis=1)
        scale = 1.5 * np.median(residual) + 0.02
        weight = (1 / (1 + (residual / scale) ** 2))[:, None]
        normal = basis.T @ (weight * basis) + ridge
        model = np.linalg.solve(normal, basis.T @ (weight * flow))
    return model


def complete_flow(flow: np.ndarray, guard: np.ndarray) -> np.ndarray:
    """Both completions of one flow inside the guarded hole.

    Args:
        flow: (H, W, 2) float32.
        guard: (H, W) uint8, hole grown by the distance in which a mark disturbs the flow.

    Returns:
        (2, H, W, 2): diffused from outside, and affine per region. Neither wins on every clip: affine gains on camera
        motion, diffusion on articulated motion.
    """
    if not guard.any():
        return np.stack([flow, flow])
    return np.stack([push_pull(flow, 1 - guard.astype(np.float32)), affine_completion(flow, guard)])


def round_trip_error(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """How far each pixel lands from home after going forward and back, (H, W) float32, in the flow's unit.

    Args:
        forward, backward: (H, W, 2) float32, flow from A to B and from B to A.
    """
    height, width = forward.shape[:2]
    grid_x, grid_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    back = cv2.remap(
        backward, forward[..., 0] + grid_x, forward[..., 1] + grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.linalg.norm(forward + back, axis=2)
