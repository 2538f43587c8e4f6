"""Growing, measuring and shrinking masks."""

import numpy as np
import pytest

from vswipe.ops.morphology import depth_inside, dilate, distance_to, places, shrink_any


def dot(size: int = 41) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[size // 2, size // 2] = 1
    return mask


@pytest.mark.parametrize("pixels", [0, 1, 3, 15])
def test_dilate_reaches_exactly_so_far(pixels: int) -> None:
    row = np.nonzero(dilate(dot(), pixels)[20])[0]
    assert (row.min(), row.max()) == (20 - pixels, 20 + pixels)


def test_distances() -> None:
    assert distance_to(dot())[20, 25] == pytest.approx(5, abs=0.1)
    assert np.isinf(distance_to(np.zeros((4, 4), np.uint8))).all()
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    assert depth_inside(mask)[4, 4] == pytest.approx(3, abs=0.1)
    assert depth_inside(np.ones((4, 6), np.uint8)).min() > 0


def test_chroma_footprint_of_odd_sizes() -> None:
    mask = np.zeros((5, 7), np.uint8)
    mask[4, 6] = mask[1, 2] = 1
    small = shrink_any(mask, 2, 2)
    assert small.shape == (3, 4)
    assert np.argwhere(small).tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_places_are_those_of_nonzero(share: float) -> None:
    mask = (np.random.default_rng(1).random((13, 21)) < share).astype(np.uint8)
    for ours, theirs in zip(places(mask), np.nonzero(mask), strict=True):
        assert np.array_equal(ours, theirs)
        assert ours.dtype == np.int64
