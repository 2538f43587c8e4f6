"""What stays fixed on the picture while the picture behind it changes: the statistics of the static-mark detector.

A mark J = aW + (1 - a)I adds a gradient that is affine in the brightness l behind it: g = grad(aW) - l grad(a). Over
frames whose backgrounds really differ, the luma gradient of every pixel is regressed on the local brightness; what a
mark leaves is explained, what a changing background does is not. The brightness term shows mid-grey marks, whose mean
gradient is nothing, and the restriction to different backgrounds keeps still scenes from looking like marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

CELL = 4
"""Working pixels on each side of a cell, the unit in which backgrounds are told apart."""

MAX_STATES = 32
_CUT = 0.35  # correlation of whole frames, one sample after the other, below which there is a cut between them
_STATE_DISTANCE = 1.5  # levels outside the other frame's envelope from which on a background is a new one
_SAME_SCENE = 0.5  # correlation of whole frames from which on exposure and shadows are taken out first
_RIDGE = 0.15  # on the brightness slope, as a share of the total weight, brightness in units of 64 levels
_FLAT = 4.0  # gradient energy added to every weight's denominator: flat ground must not rule alone


@dataclass(frozen=True, eq=False)
class Evidence:
    """Pooled statistics at working size, (H, W) float32 unless said.

    Args:
        states: number of different backgrounds seen.
        broad, fine: explained over unexplained gradient energy, pooled over 2.5 and 1 px; about 0.4 where nothing is.
        size: root of the explained energy, levels per pixel.
        constant, slope: (2, H, W), the gradient that stays, as constant + slope * brightness; see `brightness`.
        spread: (2,), mean and deviation of that brightness over all pixels and backgrounds.
    """

    states: np.ndarray
    broad: np.ndarray
    fine: np.ndarray
    size: np.ndarray
    constant: np.ndarray
    slope: np.ndarray
    spread: tuple[float, float]


class Backgrounds:
    """Which of a clip's sampled frames show each place a different background.

    Args:
        lumas: frames (H, W) uint8 at working size, in order.

    Attributes:
        scenes: (T,) int, frames with the same number look alike.

    The distance of two frames at a cell is how far the one lies outside the other's local minimum and maximum: it
    forgives shifts of 4 to 8 pixels, so that slow motion and shake are not new backgrounds.
    """

    def __init__(self, lumas: Sequence[np.ndarray]) -> None:
        height, width = (side // CELL for side in lumas[0].shape)
        self._small = [
            cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) for luma in lumas
        ]
        box = np.ones((3, 3), np.uint8)
        self._low = [cv2.erode(s, box) for s in self._small]
        self._high = [cv2.dilate(s, box) for s in self._small]
        tiny = np.stack([cv2.resize(s, (32, 18), interpolation=cv2.INTER_AREA).ravel() for s in self._small])
        tiny -= np.median(tiny, 1, keepdims=True)
        # Nothing small and bright, as a mark on a dark scene, may rule the comparison.
        limit = 1.5 * np.abs(tiny).mean(1, keepdims=True) + 1e-3
        tiny = np.clip(tiny, -limit, limit)
        tiny /= np.linalg.norm(tiny, axis=1, keepdims=True) + 1e-6
        similar = tiny @ tiny.T
        self._alike = similar > _SAME_SCENE
        self.scenes = self._clusters(np.diag(similar, 1) < _CUT)
        self._apart: dict[tuple[int, int], np.ndarray] = {}

    def states(self, numbers: Sequence[int]) -> np.ndarray:
        """Which of these frames show each cell a background not seen before, (T, H/4, W/4) bool."""
        height, width = self._small[0].shape
        kept = np.zeros((len(numbers), height, width), bool)
        count = np.zeros((height, width), np.int32)
        for i, t in enumerate(numbers):
            new = count < MAX_STATES
            for j in range(i):
                compared = kept[j] & new
                if compared.any():
                    new &= ~compared | self._differ(t, numbers[j])
            kept[i] = new
            count += new
        return _borrow(kept)

    def _differ(self, t: int, s: int) -> np.ndarray:
        if (t, s) not in self._apart:
            shown = self._small[t]
            if self._alike[t, s]:
                # Exposure, flicker and a passing shadow are not new backgrounds.
                shown = shown - cv2.blur(shown - self._small[s], (7, 7))
            outside = cv2.max(cv2.max(self._low[s] - shown, shown - self._high[s]), 0.0)
            self._apart[t, s] = cv2.blur(outside, (3, 3)) > _STATE_DISTANCE
        return self._apart[t, s]

    def _clusters(self, cuts: np.ndarray) -> np.ndarray:
        """Scenes: a shot whose picture slowly becomes another one is still one, and a scene may come again."""
        out = np.zeros(len(self._small), int)
        first: list[int] = []
        for t in range(len(out)):
            if t > 0 and not cuts[t - 1]:
                out[t] = out[t - 1]
                continue
            same = [k for k, s in enumerate(first) if self._alike[t, s]]
            out[t] = same[0] if same else len(first)
            if not same:
                first.append(t)
        return out


def _borrow(kept: np.ndarray) -> np.ndarray:
    """Every cell with the list of the best of its 3x3 neighbours: the edge of an opaque mark sees half a background."""
    count = kept.sum(0)
    _, height, width = kept.shape
    best, rows, columns = count.copy(), *np.indices((height, width))
    source_row, source_column = rows.copy(), columns.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)
            better = count[y, x] > best
            best = np.where(better, count[y, x], best)
            source_row, source_column = np.where(better, y, source_row), np.where(better, x, source_column)
    return kept[:, source_row, source_column]


def gather_evidence(lumas: Sequence[np.ndarray], states: np.ndarray) -> Evidence:
    """The statistics of all pixels.

    Args:
        lumas: frames (H, W) uint8 at working size.
        states: as `Backgrounds.states` gives them, for the same frames.
    """
    height, width = lumas[0].shape
    one, first, second, energy = (np.zeros((height, width), np.float32) for _ in range(4))
    gradient, product = np.zeros((2, height, width), np.float32), np.zeros((2, height, width), np.float32)
    for luma, state in zip(lumas, states, strict=True):
        if not state.any():
            continue
        frame = luma.astype(np.float32)
        g, level = local_gradient(frame), brightness(frame)
        power = g[0] * g[0] + g[1] * g[1]
        shown = cv2.resize(state.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        weight = shown * flatness(power)
        weighted = weight * level
        one += weight
        first += weighted
        second += weighted * level
        energy += weight * power
        gradient += weight * g
        product += weighted * g
    ridged = second + np.float32(_RIDGE) * one
    determinant = np.maximum(one * ridged - first * first, 1e-9)
    constant = (ridged * gradient - first * product) / determinant
    slope = (one * product - first * gradient) / determinant
    explained = np.maximum((constant * gradient + slope * product).sum(0), 0)
    seen = cv2.resize(states.sum(0).astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    rest = np.maximum(energy - explained, 0) / np.maximum(seen - 2, 1)
    broad, fine = (cv2.GaussianBlur(explained / 2, (0, 0), s) / (cv2.GaussianBlur(rest, (0, 0), s) + np.float32(1e-6))
                   for s in (2.5, 1.0))  # fmt: skip
    total = float(one.sum()) + 1e-6
    mean = float(first.sum()) / total
    spread = mean, float(np.sqrt(max(float(second.sum()) / total - mean * mean, 0)))
    return Evidence(seen, broad, fine, np.sqrt(explained / (one + np.float32(1e-6))), constant, slope, spread)


def brightness(frame: np.ndarray) -> np.ndarray:
    """Local brightness of a frame (H, W) float32, in units of 64 levels around 128."""
    return (cv2.GaussianBlur(frame, (0, 0), 3) - np.float32(128)) / np.float32(64)


def flatness(power: np.ndarray) -> np.ndarray:
    """Weight of every pixel by the gradient energy around it: over busy ground nothing can be seen."""
    return 1 / (cv2.blur(power, (13, 13)) + np.float32(_FLAT))


def local_gradient(frame: np.ndarray) -> np.ndarray:
    """(2, H, W) levels per pixel, x then y, of a frame (H, W) float32."""
    smooth = cv2.GaussianBlur(frame, (0, 0), 0.7)
    return np.stack([cv2.Sobel(smooth, cv2.CV_32F, x, 1 - x, scale=1 / 8) for x in (1, 0)])
