"""Estimating a translucent mark and dividing it out, on drawn flat and textured backgrounds."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from vswipe.restore.deblend import (
    MAX_ALPHA,
    Mark,
    PlaneView,
    divide,
    estimate_mark,
    faded,
    strengths,
)

SIDE, COUNT = 64, 40


@cache
def clean() -> np.ndarray:
    """(64, 64, 40) float32, smooth pictures of different brightness."""
    out = []
    for k in range(COUNT):
        rng = np.random.default_rng(k)
        noise = cv2.GaussianBlur(rng.random((SIDE, SIDE)).astype(np.float32), (0, 0), 8)
        low = float(rng.uniform(20, 120))
        out.append(cv2.normalize(noise, None, low, low + 60, cv2.NORM_MINMAX))
    return np.stack(out, -1)


def opacity(alpha: float) -> np.ndarray:
    out = np.zeros((SIDE, SIDE), np.float32)
    out[24:40, 22:44] = alpha
    return cv2.GaussianBlur(out, (0, 0), 1)


def burnt(alpha: float, value: float, strength: np.ndarray | None = None) -> np.ndarray:
    a = opacity(alpha)[..., None] * (1 if strength is None else strength)
    return np.rint((1 - a) * clean() + a * value).astype(np.float32)


def estimate(stack: np.ndarray, planes: int = 1) -> Mark | None:
    hole = (opacity(1.0) > 0.02).astype(np.uint8)
    half = [cv2.resize(stack, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)] * (planes - 1)
    return estimate_mark([stack, *half], hole, 10, 20, 1.0, 1, True)


@pytest.mark.parametrize(("alpha", "value"), [(0.25, 235), (0.5, 128), (0.6, 16)])
def test_opacity_and_division(alpha: float, value: float) -> None:
    stack = burnt(alpha, value)
    mark = estimate(stack)
    assert mark is not None
    assert (mark.top, mark.left, mark.height, mark.width) == (10, 20, SIDE, SIDE)
    assert np.abs(mark.alpha - opacity(alpha)).max() < 0.06
    assert not mark.hard().any()
    plane = mark.planes[0]
    back = divide(plane, *PlaneView(plane.hole).look(stack), (0, 255))
    error = back - clean()[plane.hole > 0]
    assert np.sqrt((error**2).mean()) < 2.5


def test_chroma_shares_the_opacity() -> None:
    mark = estimate(burnt(0.5, 200), planes=3)
    assert mark is not None
    small = cv2.resize(opacity(0.5), (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    plane = mark.planes[1]
    assert plane.hole.shape == small.shape
    assert np.abs(plane.alpha - small[plane.hole > 0]).max() < 0.06
    assert np.abs(plane.light - 200 * small[plane.hole > 0]).max() < 8
    assert mark.boxes()[1] == (slice(5, 5 + SIDE // 2), slice(10, 10 + SIDE // 2))


def test_opaque_is_hard() -> None:
    mark = estimate(burnt(1.0, 235))
    assert mark is not None
    assert mark.alpha.max() == np.float32(MAX_ALPHA)
    drawn = opacity(1.0) > 0.97
    assert mark.hard()[drawn].mean() > 0.95


def test_a_mark_that_fades_is_learnt_where_it_is_full() -> None:
    strength = np.ones(COUNT, np.float32)
    strength[:6] = np.linspace(0, 0.8, 6)
    strength[20:26] = 0
    stack = burnt(0.5, 235, strength)
    mark = estimate(stack)
    assert mark is not None
    assert np.abs(mark.alpha - opacity(0.5)).max() < 0.06
    plane = mark.planes[0]
    seen = PlaneView(plane.hole).look(stack)
    found = strengths(*seen, plane)
    assert np.abs(found - strength).max() < 0.15
    back = divide(faded(plane, 0.64), *(x[:, 4:5] for x in seen), (0, 255))[:, 0]
    assert np.sqrt(((back - clean()[plane.hole > 0][:, 4]) ** 2).mean()) < 4


def test_a_still_clip_is_filled_and_not_divided() -> None:
    stack = np.repeat(burnt(0.5, 235)[..., :1], 20, axis=2)
    mark = estimate(stack)
    if mark is not None:
        plane = mark.planes[0]
        shown, behind, weight = PlaneView(plane.hole).look(stack)
        back = divide(plane, shown, behind, weight, (0, 255))
        # The opacity cannot be known; whatever was taken, the smooth fill bounds the harm.
        assert np.abs(back - behind).mean() < 0.5 * np.abs(shown - behind).mean() + 1
