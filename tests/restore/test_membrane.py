"""The smooth fill: exact where Laplace's equation is known, and each picture for itself."""

from __future__ import annotations

import cv2
import numpy as np

from vswipe.restore.membrane import Membrane


def hole() -> np.ndarray:
    out = np.zeros((60, 80), np.uint8)
    cv2.circle(out, (30, 30), 14, 1, -1)
    out[10:14, 50:75] = 1
    return out


def test_planes_are_kept() -> None:
    y, x = np.mgrid[:60, :80].astype(np.float32)
    picture = 2 * x - y + 30
    broken = np.where(hole() > 0, 999, picture)[..., None].astype(np.float32)
    filled = Membrane(hole()).fill(broken)[:, 0]
    assert np.abs(filled - picture[hole() > 0]).max() < 1.5


def test_near_the_converged_solution() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.random((60, 80)).astype(np.float32), (0, 0), 3) * 1000
    exact = np.where(hole() > 0, picture.mean(), picture)
    kernel = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)
    for _ in range(3000):
        exact = np.where(hole() > 0, cv2.filter2D(exact, -1, kernel), picture)
    filled = Membrane(hole()).fill(picture[..., None])[:, 0]
    error = filled - exact[hole() > 0]
    assert np.sqrt((error**2).mean()) < 0.08 * exact[hole() > 0].std()


def test_pictures_do_not_mix() -> None:
    rng = np.random.default_rng(1)
    stack = rng.random((60, 80, 5)).astype(np.float32)
    membrane = Membrane(hole())
    together = membrane.fill(stack)
    assert together.shape == (int(hole().sum()), 5)
    for t in range(5):
        assert np.allclose(membrane.fill(stack[..., t : t + 1])[:, 0], together[:, t], atol=1e-5)


def test_what_is_in_the_hole_is_not_read() -> None:
    rng = np.random.default_rng(2)
    stack = rng.random((60, 80, 1)).astype(np.float32)
    other = stack.copy()
    other[hole() > 0] = 1e6
    assert np.array_equal(Membrane(hole()).fill(stack), Membrane(hole()).fill(other))


def test_no_hole() -> None:
    empty = np.zeros((20, 20), np.uint8)
    assert Membrane(empty).fill(np.zeros((20, 20, 3), np.float32)).shape == (0, 3)
