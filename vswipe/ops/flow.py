"""Motion between two frames, and its completion where a mark hides the picture."""

from __future__ import annotations

import threading

import cv2
import numpy as np

from vswipe.ops.compiled import compiled
from vswipe.ops.pyramid import push_pull

_MIN_SIDE = 48  # DIS looks three octaves down with 8 px patches; smaller pictures are padded
_SUPPORT = 8  # grid cells around a region's box that tell its motion
_SAMPLES = 600  # flow vectors per affine fit: more do not change it
_ROUNDS = 6

_local = threading.local()


def dense_flow(first: np.ndarray, second: np.ndarray, quick: bool = False) -> np.ndarray:
    """Motion of every pixel of `first` towards `second`.

    Args:
        first, second: (H, W) uint8.
        quick: the fast preset, a fifth of the time: for a flow that only prepares another.

    Returns:
        (H, W, 2) float32, x then y, pixels: second(p + flow(p)) looks like first(p).

    Dense Inverse Search of Kroeger et al., ECCV 2016, https://arxiv.org/abs/1603.03590, medium preset: the finest scale
    costs four times as much for 0.15 dB, `fast` loses 0.7 dB.
    """
    if not hasattr(_local, "dis"):
        _local.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        _local.quick = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    height, width = first.shape
    pad_y, pad_x = max(0, _MIN_SIDE - height), max(0, _MIN_SIDE - width)
    if pad_y or pad_x:
        first, second = (cv2.copyMakeBorder(x, 0, pad_y, 0, pad_x, cv2.BORDER_REPLICATE) for x in (first, second))
    method = _local.quick if quick else _local.dis
    flow = method.calc(np.ascontiguousarray(first), np.ascontiguousarray(second), None)
    return flow[:height, :width]


def grid_flow(first: np.ndarray, second: np.ndarray, step: int = 2, quick: bool = False) -> np.ndarray:
    """`dense_flow` averaged on a grid `step` px wide, in grid cells."""
    flow = dense_flow(first, second, quick)
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
        if free_y.size < 12:  # nothing around it: the mean of the whole flow is the best guess
            inside = labels[y : y + h, x : x + w] == region
            rest = flow[hole == 0]
            out[y : y + h, x : x + w][inside] = rest.mean(0) if rest.size else 0
            continue
        pick = slice(None, None, max(1, free_y.size // _SAMPLES))
        free_y, free_x = free_y[pick] + top, free_x[pick] + left
        centre_x, centre_y, span = float(x + w / 2), float(y + h / 2), float(max(w, h, 16) / 2)
        basis = np.stack([np.ones(free_x.size), (free_x - centre_x) / span, (free_y - centre_y) / span], 1)
        model = _fit_affine(basis, flow[free_y, free_x].astype(np.float64))
        _move(labels, region, (int(y), int(y + h), int(x), int(x + w)), model, (centre_x, centre_y, span), out)
    return out


@compiled
def _fit_affine(basis: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """(3, 2) float64 affine motion over the basis (N, 3), 1 and normalised x and y, by iteratively reweighted least
    squares of the flow (N, 2)."""
    num = basis.shape[0]
    model = np.zeros((3, 2))
    for c in range(2):
        model[0, c] = np.median(flow[:, c])
    residual = np.empty(num)
    normal, right = np.empty((3, 3)), np.empty((3, 2))
    for _ in range(_ROUNDS):
        for i in range(num):
            square = 0.0
            for c in range(2):
                there = model[0, c] + basis[i, 1] * model[1, c] + basis[i, 2] * model[2, c]
                square += (flow[i, c] - there) ** 2
            residual[i] = np.sqrt(square)
        scale = 1.5 * np.median(residual) + 0.02
        normal[:], right[:] = 0.0, 0.0
        for i in range(num):
            weight = 1 / (1 + (residual[i] / scale) ** 2)
            for a in range(3):
                for b in range(3):
                    normal[a, b] += weight * basis[i, a] * basis[i, b]
                for c in range(2):
                    right[a, c] += weight * basis[i, a] * flow[i, c]
        for a in range(1, 3):  # a faint pull towards pure translation defines the fit when the support is a thin strip
            normal[a, a] += 0.01 * num
        for a in range(3):  # elimination; the matrix is positive definite
            for b in range(a + 1, 3):
                share = normal[b, a] / normal[a, a]
                for k in range(a, 3):
                    normal[b, k] -= share * normal[a, k]
                for c in range(2):
                    right[b, c] -= share * right[a, c]
        for a in range(2, -1, -1):
            for c in range(2):
                value = right[a, c]
                for b in range(a + 1, 3):
                    value -= normal[a, b] * model[b, c]
                model[a, c] = value / normal[a, a]
    return model


@compiled
def _move(
    labels: np.ndarray,
    region: int,
    box: tuple[int, int, int, int],
    model: np.ndarray,
    frame: tuple[float, float, float],
    out: np.ndarray,
) -> None:
    """Writes the motion of an affine model into one region."""
    centre_x, centre_y, span = frame
    for y in range(box[0], box[1]):
        for x in range(box[2], box[3]):
            if labels[y, x] == region:
                right, down = (x - centre_x) / span, (y - centre_y) / span
                for c in range(2):
                    out[y, x, c] = model[0, c] + right * model[1, c] + down * model[2, c]


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
    out = np.empty(forward.shape[:2], np.float32)
    _round_trip(forward, backward, out)
    return out


@compiled
def _round_trip(forward: np.ndarray, backward: np.ndarray, out: np.ndarray) -> None:
    height, width = out.shape
    for y in range(height):
        for x in range(width):
            there_x = min(max(x + forward[y, x, 0], np.float32(0)), np.float32(width - 1))
            there_y = min(max(y + forward[y, x, 1], np.float32(0)), np.float32(height - 1))
            left, top = int(there_x), int(there_y)
            right, below = min(left + 1, width - 1), min(top + 1, height - 1)
            share_x, share_y = there_x - left, there_y - top
            square = 0.0
            for c in range(2):
                upper = backward[top, left, c] + share_x * (backward[top, right, c] - backward[top, left, c])
                lower = backward[below, left, c] + share_x * (backward[below, right, c] - backward[below, left, c])
                square += (forward[y, x, c] + upper + share_y * (lower - upper)) ** 2
            out[y, x] = np.sqrt(square)
