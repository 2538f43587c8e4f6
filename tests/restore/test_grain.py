"""Grain is measured where it is, and put back only where it is missing."""

import numpy as np
import pytest

from vswipe.restore.grain import add_grain, grain_around


def noisy(sigma: float) -> np.ndarray:
    ramp = np.linspace(20, 200, 200, dtype=np.float32)[None, :].repeat(120, 0)
    return ramp + np.random.default_rng(0).standard_normal(ramp.shape).astype(np.float32) * sigma


@pytest.mark.parametrize("sigma", [0.0, 2.0, 8.0])
def test_deviation_is_measured_despite_the_picture_and_the_hole(sigma: float) -> None:
    plane = noisy(sigma)
    plane[:, 150:] += 60  # an edge in the ring
    hole = np.zeros(plane.shape, np.uint8)
    hole[50:70, 60:140] = 1
    plane[hole > 0] = 255
    assert grain_around(plane, hole) == pytest.approx(sigma, abs=0.1 + 0.1 * sigma)


def test_nothing_to_measure_is_zero() -> None:
    assert grain_around(noisy(3), np.ones((120, 200), np.uint8)) == 0


def test_copied_values_stay_and_smooth_ones_get_the_deviation() -> None:
    values = np.full((20000, 1), 100, np.float32)
    smooth = np.repeat([0.0, 1.0], 10000)
    out = add_grain(values, np.array([5.0]), smooth, (3, 0))
    assert np.array_equal(out[:10000], values[:10000])
    assert out[10000:].std() == pytest.approx(5, rel=0.05)
    assert np.array_equal(out, add_grain(values, np.array([5.0]), smooth, (3, 0)))
    assert not np.array_equal(out, add_grain(values, np.array([5.0]), smooth, (4, 0)))
