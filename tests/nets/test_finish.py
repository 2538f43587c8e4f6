"""Colour match of a filled hole: a cast goes, texture stays."""

import cv2
import numpy as np
import pytest

from vswipe.nets.finish import ring_mean_match

LEVEL = 1 / 255


@pytest.fixture
def hole() -> np.ndarray:
    mask = np.zeros((80, 120), np.uint8)
    cv2.putText(mask, "text", (15, 55), 0, 1.5, 1, 6)
    return mask


@pytest.fixture
def ground() -> np.ndarray:
    y, x = np.mgrid[:80, :120].astype(np.float32)
    return np.stack([0.6 + 0.002 * x, 0.5 + 0.001 * y, 0.7 - 0.001 * x], 2)


def test_cast_on_plain_ground_goes(hole: np.ndarray, ground: np.ndarray) -> None:
    cast = ground + np.float32([0.03, -0.02, 0.01]) * hole[..., None]
    out = ring_mean_match(cast, hole)
    assert np.array_equal(out[hole == 0], cast[hole == 0])
    assert np.abs((out - ground)[hole > 0].mean(0)).max() < 0.5 * LEVEL
    np.testing.assert_allclose(ring_mean_match(ground, hole), ground, atol=0.5 * LEVEL)


def test_texture_stays(hole: np.ndarray, ground: np.ndarray) -> None:
    noise = np.random.default_rng(5).standard_normal(ground.shape).astype(np.float32)
    truth = np.clip(ground + cv2.GaussianBlur(noise, (0, 0), 2), 0, 1)
    change = (ring_mean_match(truth, hole) - truth)[hole > 0]
    assert np.sqrt((change**2).mean()) < 0.05 * truth[hole > 0].std()


def test_result_does_not_depend_on_what_is_far_away(hole: np.ndarray, ground: np.ndarray) -> None:
    cast = ground + np.float32(0.03) * hole[..., None]
    wide = np.pad(cast, ((40, 40), (50, 50), (0, 0)), "edge")
    out = ring_mean_match(wide, np.pad(hole, ((40, 40), (50, 50))))[40:-40, 50:-50]
    np.testing.assert_allclose(out, ring_mean_match(cast, hole), atol=0.5 * LEVEL)


def test_no_hole_and_nothing_but_hole(ground: np.ndarray) -> None:
    for hole in (np.zeros((80, 120), np.uint8), np.ones((80, 120), np.uint8)):
        assert np.array_equal(ring_mean_match(ground, hole), ground)
