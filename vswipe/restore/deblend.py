"""Dividing a translucent mark out: J = aW + (1 - a)I, so I = (J - aW) / (1 - a).

The opacity a and the light aW that the mark adds are estimated from a clip's own frames, the collection of pictures of
Dekel, Rubinstein, Liu and Freeman, "On the Effectiveness of Visible Watermarks", CVPR 2017 (equation 2). Where their
median of gradients needs hundreds of pictures, a video has a better guess at what is behind the mark: the smooth fill
of its surroundings, B. Over frames with flat surroundings J is regressed on B; the slope is 1 - a, the rest is aW.

Division multiplies the noise by 1 / (1 - a), and a clip without motion says nothing about a; so both the division and
the fill come with a variance, and what is written is their mean by these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vswipe.ops.morphology import shrink_any
from vswipe.restore.mark_errors import ErrorLaw, learn_errors
from vswipe.restore.membrane import Membrane

HARD_ALPHA = 0.9
"""Opacity above which nothing is left to divide."""

HARD_DEVIATION = 12.0
"""Levels by which a division may be wrong; above, the pixel counts as opaque."""

MAX_ALPHA = 0.97
FULL, ABSENT = 0.93, 0.06
"""Strengths from which on a mark counts as there in full, and as not there."""

_TEXTURE = 7  # px, side of the box of the local texture
_PRIOR_ACCEPTED = 1.25  # residual with a common colour over that without
_PRIOR_WEIGHT = 0.05
_PRIOR_STEP = 4  # levels
_MARGIN = 24  # px around a hole
_BATCH = 16  # frames filled at once
_LEARNT_FROM = 0.85  # strength of frames that a mark is learnt from


@dataclass(frozen=True, eq=False)
class PlaneMark:
    """A mark in one plane; arrays of the N pixels of its hole, in the order of `np.flatnonzero(hole)`.

    Args:
        hole: (h, w) uint8, 1 = what is written, inside the mark's box.
        alpha: (N,) float32, opacity, 0..0.97.
        light: (N,) float32, aW in 8-bit levels of the plane's own range (float chroma + 128).
        covariance: (N, 3) float32, of (light, light), (light, -slope) and (slope, slope), see `division_variance`.
        law: how wrong its samples and the fill are.
    """

    hole: np.ndarray
    alpha: np.ndarray
    light: np.ndarray
    covariance: np.ndarray
    law: ErrorLaw

    def division_variance(self, behind: np.ndarray, weight: np.ndarray | float = 0.0) -> np.ndarray:
        """Expected squared error of the division where the picture behind is `behind`, (N, T), levels squared.

        The variance of (light + slope I), slope = 1 - a, and of the noise at this weight (0: over textured ground),
        both through 1 / (1 - a).
        """
        gain = 1 / (1 - self.alpha[:, None])
        c0, c1, c2 = (self.covariance[:, k, None] for k in range(3))
        fit = np.maximum(c0 + 2 * c1 * behind + c2 * behind * behind, 0)
        return gain * gain * (self.law.coding(weight) + fit)


@dataclass(frozen=True, eq=False)
class Mark:
    """A translucent or opaque mark that stands still.

    Args:
        top, left, height, width: its box with surroundings, luma pixels, multiples of the chroma subsampling.
        planes: one entry per plane of the clip.
    """

    top: int
    left: int
    height: int
    width: int
    planes: tuple[PlaneMark, ...]

    def boxes(self) -> list[tuple[slice, slice]]:
        """Rows and columns of the box in every plane."""
        out = []
        for plane in self.planes:
            fy, fx = self.height // plane.hole.shape[0], self.width // plane.hole.shape[1]
            out.append((slice(self.top // fy, (self.top + self.height) // fy),
                        slice(self.left // fx, (self.left + self.width) // fx)))  # fmt: skip
        return out

    @property
    def alpha(self) -> np.ndarray:
        """Opacity over the box, (height, width) float32."""
        out = np.zeros((self.height, self.width), np.float32)
        out[self.planes[0].hole > 0] = self.planes[0].alpha
        return out

    def hard(self) -> np.ndarray:
        """(height, width) uint8, 1 where division cannot bring the picture back, over the box."""
        plane = self.planes[0]
        wrong = plane.division_variance(np.full((1, 1), 128, np.float32))[:, 0]
        out = np.zeros((self.height, self.width), np.uint8)
        out[plane.hole > 0] = (plane.alpha > HARD_ALPHA) | (wrong > HARD_DEVIATION**2)
        return out


class PlaneView:
    """What a plane's frames say around a hole.

    Args:
        hole: (h, w) uint8.
    """

    def __init__(self, hole: np.ndarray) -> None:
        self.hole = hole
        self.membrane = Membrane(hole)
        known = cv2.erode(1 - hole, np.ones((3, 3), np.uint8), borderValue=1).astype(np.float32)
        near = cv2.blur(known, (_TEXTURE, _TEXTURE), borderType=cv2.BORDER_REFLECT_101)
        self._known, self._near = known[..., None], 1 / np.maximum(near, 1e-3)[..., None]
        self._textured = Membrane((near < 1e-3).astype(np.uint8) | hole) if hole.any() else self.membrane
        inside = cv2.distanceTransform(np.pad(hole, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        self._depth = np.sqrt(inside.ravel()[self.membrane.where])[:, None]
        self._chosen = np.flatnonzero(hole.ravel()[self._textured.where])

    def look(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples, fill and weight at the hole's pixels, each (N, T) float32.

        Args:
            pictures: (h, w, T) float32, levels.

        The weight is 1 / (texture around x root of the depth + 1): over flat surroundings the fill is right.
        """
        shown = pictures.reshape(-1, pictures.shape[2])[self.membrane.where]
        behind = self.membrane.fill(pictures)
        power = np.zeros_like(pictures)
        dx = 0.5 * (pictures[:, 2:] - pictures[:, :-2])
        power[:, 1:-1] = dx * dx
        dy = 0.5 * (pictures[2:] - pictures[:-2])
        power[1:-1] += dy * dy
        power *= self._known
        texture = _blurred(power, _TEXTURE) * self._near
        inside = self._textured.fill(texture)[self._chosen]
        return shown, behind, 1 / (np.maximum(inside, 0) * self._depth + 1)


def _blurred(stack: np.ndarray, side: int) -> np.ndarray:
    """Box mean of every picture of (h, w, T)."""
    out = cv2.blur(stack, (side, side), borderType=cv2.BORDER_REFLECT_101)
    return out if out.ndim == 3 else out[..., None]


@dataclass(frozen=True, eq=False)
class Fit:
    """A plane's regression before its errors are known: see `PlaneMark`; `errors` are its residuals (N, T)."""

    alpha: np.ndarray
    light: np.ndarray
    covariance: np.ndarray
    errors: np.ndarray


def fit_plane(shown: np.ndarray, behind: np.ndarray, weight: np.ndarray, hole: np.ndarray, prior: bool = True) -> Fit:
    """Opacity and light of every pixel by weighted least squares, J = light + (1 - a) B.

    Args:
        shown, behind, weight: (N, T), as `PlaneView.look` gives them.
        hole: (h, w) uint8, where the pixels are.
        prior: whether one or two common colours may be assumed where the data allow it.
    """
    total = weight.sum(1)
    m_b, m_j = (weight * behind).sum(1), (weight * shown).sum(1)
    m_bb, m_bj = (weight * behind * behind).sum(1), (weight * behind * shown).sum(1)
    ridge = 1e-3 * total  # levels squared: nothing is known where nothing changes
    variance = m_bb - m_b * m_b / total + ridge
    slope = (m_bj - m_b * m_j / total) / variance
    light = (m_j - slope * m_b) / total
    alpha = 1 - slope
    extra = np.zeros((2, 2, total.size), np.float32)
    if prior:
        colours = _common_colours(shown, behind, weight, hole, light, slope)
        if colours is not None:
            # Two unknowns, x = (light, a): sum w (D - light + a B)^2 + c (light - a W)^2, D = J - B.
            c = _PRIOR_WEIGHT * total
            extra = np.stack([np.stack([c, c * colours]), np.stack([c * colours, c * colours**2])])
            p00, p01, p11 = total + c, -(m_b + c * colours), m_bb + c * colours**2
            r0, r1 = m_j - m_b, -(m_bj - m_bb)
            determinant = np.maximum(p00 * p11 - p01 * p01, 1e-6)
            light, alpha = (r0 * p11 - r1 * p01) / determinant, (r1 * p00 - r0 * p01) / determinant
    clipped = np.clip(alpha, 0, MAX_ALPHA)
    # A clipped opacity takes its light with it: the mean must stay explained.
    light = np.where(clipped == alpha, light, (m_j - (1 - clipped) * m_b) / total)
    errors = shown - light[:, None] - (1 - clipped)[:, None] * behind
    residual = _smooth((weight * errors * errors).mean(1), hole, 3.0)
    root = np.sqrt(weight) * errors
    along = float((root[:, 1:] * root[:, :-1]).sum() / ((root * root).sum() + 1e-6)) if root.shape[1] > 1 else 0.0
    follow = np.clip(along, 0, 0.95)
    more = residual * (1 + follow) / (1 - follow)
    # In terms of slope = 1 - a the prior's cross term changes its sign; its ridge keeps the inverse finite.
    n00, n01, n11 = total + extra[0, 0], m_b + extra[0, 1], m_bb + extra[1, 1] + ridge
    determinant = np.maximum(n00 * n11 - n01 * n01, 1e-6)
    covariance = np.stack([more * n11 / determinant, -more * n01 / determinant, more * n00 / determinant], 1)
    return Fit(*(x.astype(np.float32) for x in (clipped, light, covariance, errors)))


def _smooth(values: np.ndarray, hole: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of neighbouring hole pixels, (N,) or (N, C)."""
    image = np.zeros((*hole.shape, *values.shape[1:]), np.float32)
    image[hole > 0] = values
    weight = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), sigma)
    blurred = cv2.GaussianBlur(image, (0, 0), sigma)
    return (blurred[hole > 0].T / weight[hole > 0]).T


def _common_colours(
    shown: np.ndarray, behind: np.ndarray, weight: np.ndarray, hole: np.ndarray, light: np.ndarray, slope: np.ndarray
) -> np.ndarray | None:
    """The colour W of every pixel, (N,), where one or two for the whole mark explain the data about as well."""
    change = shown - behind
    total, m_b, m_bb = weight.sum(1), (weight * behind).sum(1), (weight * behind * behind).sum(1)
    m_d, m_db, m_dd = ((weight * change * x).sum(1) for x in (np.float32(1), behind, change))
    free = float((weight * (shown - light[:, None] - slope[:, None] * behind) ** 2).sum())
    values = np.arange(0, 257, _PRIOR_STEP, dtype=np.float32)
    top = (m_d[:, None] * values - m_db[:, None]) ** 2
    base = total[:, None] * values**2 - 2 * m_b[:, None] * values + m_bb[:, None]
    errors = np.maximum(m_dd[:, None] - top / np.maximum(base, 1e-6), 0)  # (N, values)
    one = int(errors.sum(0).argmin())
    if errors[:, one].sum() < _PRIOR_ACCEPTED * free:
        return np.full(total.size, values[one], np.float32)
    sample = errors[:: max(1, len(errors) // 2000)]
    pairs = [(np.minimum(sample[:, [i]], sample[:, i + 1 :]).sum(0), i) for i in range(len(values) - 1)]
    _, first = min(pairs, key=lambda pair: float(pair[0].min()))
    second = first + 1 + int(np.minimum(sample[:, [first]], sample[:, first + 1 :]).sum(0).argmin())
    both = errors[:, [first, second]]
    if both.min(1).sum() >= _PRIOR_ACCEPTED * free:
        return None
    nearer = _smooth(both, hole, 1.5).argmin(1)
    return values[np.array([first, second])[nearer]]


def strengths(shown: np.ndarray, behind: np.ndarray, weight: np.ndarray, plane: PlaneMark | Fit) -> np.ndarray:
    """How strongly frames show a mark, (T,): 1 = as learnt, 0 = not at all.

    Args:
        shown, behind, weight: (N, T), as `PlaneView.look` gives them.
        plane: of the same pixels.
    """
    effect = plane.light[:, None] - plane.alpha[:, None] * behind
    top = (weight * effect * (shown - behind)).sum(0)
    return top / ((weight * effect * effect).sum(0) + 1e-3)


def estimate_mark(
    planes: Sequence[np.ndarray], hole: np.ndarray, top: int, left: int, scale: float, shared: int, prior: bool
) -> Mark | None:
    """A mark from the crops of sampled frames.

    Args:
        planes: per plane (h, w, T) float32, levels (float chroma + 128).
        hole: (height, width) uint8, the mark at the size of the first plane: complete, a little too large.
        top, left: where the crops begin, luma pixels.
        scale: full pixels per pixel of a 360-line picture.
        shared: how many of the first planes share one opacity estimate (RGB 3, else 1).
        prior: see `fit_plane`.

    Returns:
        The mark; None where nothing of it was left.
    """
    grow = max(1, round(scale))
    hole = cv2.dilate(hole, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
    frames: np.ndarray = np.ones(planes[0].shape[2], bool)
    for second in (False, True):
        view = PlaneView(hole)
        seen = [_look(view, plane) for plane in planes[:shared]]
        for last in (False, False, True):
            used = frames
            shown, behind, weight = (x[:, used] for x in _stacked(seen))
            first = fit_plane(shown, behind, weight, _repeated(hole, shared), prior and shared == 1)
            if last:
                break
            found = np.mean([strengths(*x, _part(first, k, shared)) for k, x in enumerate(seen)], 0)
            full = float(np.percentile(found[frames], 75))
            better = found > _LEARNT_FROM * max(full, 0.2)
            if (better == frames).all() or better.sum() < 8:
                break
            frames = better
        if second:
            break
        alpha = np.zeros(hole.shape, np.float32)
        alpha[hole > 0] = np.mean([_part(first, k, shared).alpha for k in range(shared)], 0)
        tight = _shrunk(alpha, scale)
        if not tight.any():
            return None
        hole = cv2.dilate(tight, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
    out = []
    for k, plane in enumerate(planes):
        if k < shared:
            out.append(_plane_mark(hole, _part(first, k, shared), seen[k][2][:, used]))
            continue
        alpha = np.zeros(hole.shape, np.float32)
        alpha[hole > 0] = _part(first, 0, shared).alpha
        out.append(_chroma_mark(plane[..., used], hole, alpha))
    return Mark(top, left, hole.shape[0], hole.shape[1], tuple(out))


def _look(view: PlaneView, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All frames of a plane, some at a time: what is in between takes several times the room of the answer."""
    parts = [view.look(np.ascontiguousarray(plane[..., i : i + _BATCH])) for i in range(0, plane.shape[2], _BATCH)]
    return tuple(np.concatenate(part, axis=1) for part in zip(*parts, strict=True))  # type: ignore[return-value]


def _stacked(seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.concatenate(part) for part in zip(*seen, strict=True))  # type: ignore[return-value]


def _repeated(hole: np.ndarray, shared: int) -> np.ndarray:
    return np.concatenate([hole] * shared)


def _part(fit: Fit, k: int, shared: int) -> Fit:
    count = len(fit.alpha) // shared
    part = slice(k * count, (k + 1) * count)
    return Fit(fit.alpha[part], fit.light[part], fit.covariance[part], fit.errors[part])


def _plane_mark(hole: np.ndarray, fit: Fit, weight: np.ndarray) -> PlaneMark:
    return PlaneMark(hole, fit.alpha, fit.light, fit.covariance, learn_errors(fit.errors, weight, fit.alpha))


def _shrunk(alpha: np.ndarray, scale: float) -> np.ndarray:
    """The mark itself inside a hole that was too large: (H, W) uint8."""
    smooth = cv2.GaussianBlur(alpha, (0, 0), 0.8 * max(scale, 1.0))
    mask = (smooth > 0.05).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = np.zeros(count, np.uint8)
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= 12 * scale * scale
    return keep[labels]


def _chroma_mark(plane: np.ndarray, hole: np.ndarray, alpha: np.ndarray) -> PlaneMark:
    """A plane whose opacity is the first one's, averaged: only its light is fitted."""
    fy, fx = hole.shape[0] // plane.shape[0], hole.shape[1] // plane.shape[1]
    small = shrink_any(hole, fy, fx)
    view = PlaneView(small)
    shown, behind, weight = _look(view, plane)
    opacity = cv2.resize(alpha, plane.shape[1::-1], interpolation=cv2.INTER_AREA)[small > 0]
    total = weight.sum(1)
    light = (weight * (shown - (1 - opacity)[:, None] * behind)).sum(1) / total
    errors = shown - light[:, None] - (1 - opacity)[:, None] * behind
    residual = _smooth((weight * errors * errors).mean(1), small, 3.0).astype(np.float32)
    zero = np.zeros_like(residual)
    covariance = np.stack([residual / total, zero, zero], 1).astype(np.float32)
    law = learn_errors(errors, weight, opacity)
    return PlaneMark(small, opacity.astype(np.float32), light.astype(np.float32), covariance, law)


def faded(plane: PlaneMark, strength: float) -> PlaneMark:
    """The mark at a part of its strength, 0..1."""
    return replace(plane, alpha=plane.alpha * np.float32(strength), light=plane.light * np.float32(strength))


def divide(
    plane: PlaneMark, shown: np.ndarray, behind: np.ndarray, weight: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """What is behind a mark, (N, T) float32: the division and the fill, averaged by their variances.

    Args:
        plane: at the frames' strength.
        shown, behind, weight: (N, T), as `PlaneView.look` gives them.
        limits: smallest and largest possible sample, levels; what lies outside was clipped.
    """
    gain = 1 / (1 - plane.alpha[:, None])
    divided = (shown - plane.light[:, None]) * gain
    inside = np.clip(divided, *limits)
    beyond = divided - inside
    by_division = plane.division_variance(inside, weight) + beyond * beyond
    by_fill = plane.law.filling(weight)
    return (inside * by_fill + behind * by_division) / (by_fill + by_division)
