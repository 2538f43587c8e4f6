"""Motion and its completion: known motions come out, holes take the motion around them."""

import cv2
import numpy as np
import pytest

from vswipe.ops.flow import affine_completion, complete_flow, dense_flow, grid_flow, round_trip_error


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def affine_field(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([0.02 * x + 1.5, -0.01 * y + 0.5], -1).astype(np.float32)


def test_dense_flow_finds_a_shift() -> None:
    big = texture(120, 200)
    flow = dense_flow(big[10:90, 20:160], big[7:87, 15:155])
    assert np.median(flow.reshape(-1, 2), axis=0) == pytest.approx([5, 3], abs=0.1)


@pytest.mark.parametrize("size", [(4, 4), (20, 300), (33, 17)])
def test_small_pictures_work(size: tuple[int, int]) -> None:
    assert dense_flow(texture(*size), texture(*size)).shape == (*size, 2)


def test_grid_flow_is_in_cells() -> None:
    big = texture(120, 200)
    flow = grid_flow(big[10:90, 20:160], big[10:90, 16:156])
    assert flow.shape == (40, 70, 2)
    assert np.median(flow[..., 0]) == pytest.approx(2, abs=0.05)


def test_affine_completion_continues_an_affine_motion() -> None:
    truth = affine_field(60, 90)
    hole = np.zeros((60, 90), np.uint8)
    hole[20:40, 30:60] = 1
    broken = truth.copy()
    broken[hole > 0] = 99
    done = affine_completion(broken, hole)
    assert np.abs(done - truth).max() < 0.05


def test_affine_completion_survives_outliers() -> None:
    truth = affine_field(60, 90)
    hole = np.zeros((60, 90), np.uint8)
    hole[20:40, 30:60] = 1
    broken = truth.copy()
    broken[hole > 0] = 99
    broken[12:20, 30:50] = -8  # something else moves above the hole
    assert np.abs(affine_completion(broken, hole) - truth)[hole > 0].max() < 0.3


def test_completions_keep_what_is_known_and_survive_a_full_hole() -> None:
    flow = affine_field(40, 40)
    hole = np.zeros((40, 40), np.uint8)
    hole[10:20, 10:20] = 1
    for done in complete_flow(flow, hole):
        assert np.array_equal(done[hole == 0], flow[hole == 0])
    assert np.isfinite(complete_flow(flow, np.ones((40, 40), np.uint8))).all()


def test_round_trip_error_is_zero_for_inverse_flows() -> None:
    forward = np.zeros((20, 30, 2), np.float32)
    forward[..., 0] = 2
    assert round_trip_error(forward, -forward).max() == 0
    assert round_trip_error(forward, forward).min() == pytest.approx(4)
