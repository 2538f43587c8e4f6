"""Regions hold every masked pixel with context, do not overlap, and stay the same from line to line."""

import numpy as np
import pytest

from vswipe.engine.region import Rect, occupied_cells, plan_regions


def planned(mask: np.ndarray, context: int = 20, align: int = 4) -> list[Rect]:
    return plan_regions([occupied_cells(mask)], *mask.shape, context, align)


@pytest.mark.parametrize("size", [(360, 640), (361, 639), (1080, 1920), (17, 23), (1, 1)])
def test_every_masked_pixel_is_in_exactly_one_region(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros(size, np.uint8)
    for _ in range(4):
        mask[rng.integers(size[0]), rng.integers(size[1])] = 1
    count = np.zeros(size, int)
    for r in planned(mask):
        assert r.width % 4 == 0
        assert r.height % 4 == 0
        count[r.top : r.bottom, r.left : r.right] += 1
    assert (count[mask > 0] == 1).all()
    assert count.max() == 1


def test_context_is_kept_around_a_hole() -> None:
    mask = np.zeros((360, 640), np.uint8)
    mask[180:190, 300:320] = 1
    (rect,) = planned(mask, context=40)
    assert rect.top <= 140
    assert rect.bottom >= 230
    assert rect.left <= 260
    assert rect.right >= 360


def test_corners_are_separate_regions_and_a_full_mask_is_one() -> None:
    mask = np.zeros((360, 640), np.uint8)
    mask[20:30, 20:40] = mask[330:340, 600:620] = 1
    assert len(planned(mask)) == 2
    assert planned(np.ones((360, 640), np.uint8)) == [Rect(0, 0, 640, 360)]
    assert planned(np.zeros((360, 640), np.uint8)) == []


def test_lines_of_different_length_share_a_region() -> None:
    short, long = np.zeros((360, 640), np.uint8), np.zeros((360, 640), np.uint8)
    short[320:335, 140:500] = 1
    long[320:335, 60:580] = 1
    assert planned(short) == planned(long)
