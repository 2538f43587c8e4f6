"""Averages of known pixels, and smooth completion from them."""

import numpy as np
import pytest

from vswipe.ops.pyramid import push_pull, shrink_known, shrink_visible


def test_shrink_counts_known_pixels_only() -> None:
    image = np.array([[10, 200], [30, 200]], np.float32)
    known = np.array([[1, 0], [1, 0]], np.float32)
    small, weight = shrink_known(image, known, 2)
    assert small.item() == pytest.approx(20)
    assert weight.item() == pytest.approx(0.5)


def test_shrink_by_different_factors() -> None:
    small, weight = shrink_known(np.ones((4, 6, 2), np.float32), np.ones((4, 6), np.float32), (2, 3))
    assert small.shape == (2, 2, 2)
    assert weight.shape == (2, 2)


@pytest.mark.parametrize("shape", [(33, 47), (33, 47, 3), (1, 9), (2, 2)])
def test_push_pull_keeps_known_and_continues_a_constant(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 7, np.float32)
    known = np.zeros(shape[:2], np.float32)
    known[0, 0] = 1
    image[known == 0] = 200
    assert np.allclose(push_pull(image, known), 7, atol=1e-3)


def test_push_pull_of_nothing_is_zero() -> None:
    assert not push_pull(np.ones((8, 8), np.float32), np.zeros((8, 8), np.float32)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_planes_of_any_type_are_shrunk_as_floats_are(dtype: type) -> None:
    rng = np.random.default_rng(3)
    planes = [(rng.random((12, 24)) * 200).astype(dtype) for _ in range(2)]
    hidden = (rng.random((12, 24)) < 0.7).astype(np.uint8)
    hidden[:4, :6] = 1
    small, weight = shrink_visible(planes, hidden, (4, 6))
    known = 1 - hidden.astype(np.float32)
    expected, share = shrink_known(np.stack(planes, -1).astype(np.float32), known, (4, 6))
    assert np.allclose(small, expected, atol=1e-3)
    assert np.allclose(weight, share)
    assert weight[0, 0] == 0
    assert not small[0, 0].any()
    whole, all_of_it = shrink_visible(planes, None, (4, 6))
    assert whole[0, 0, 1] == pytest.approx(float(planes[1][:4, :6].astype(np.float32).mean()), abs=1e-3)
    assert (all_of_it == 1).all()
