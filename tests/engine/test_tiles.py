"""Tiles: they cover the crop, stay small, and meet without a step."""

import numpy as np
import pytest

from vswipe.engine.tiles import OVERLAP, plan_tiles, tile_weight


@pytest.mark.parametrize("size", [(100, 300), (270, 1920), (1080, 1920), (2160, 3840), (64, 64), (1, 5000)])
def test_tiles_cover_and_are_bounded(size: tuple[int, int]) -> None:
    height, width = size
    tiles = plan_tiles(height, width, 1 << 18)
    covered = np.zeros(size, np.int32)
    for tile in tiles:
        covered[tile.box] += 1
        assert (tile.bottom - tile.top) * (tile.right - tile.left) <= 1 << 18
    assert covered.min() >= 1
    assert len(set(tiles)) == len(tiles)
    if height * width <= 1 << 18:
        assert len(tiles) == 1


def test_shares_add_up_to_one_and_change_slowly() -> None:
    height, width = 300, 900
    tiles = plan_tiles(height, width, 100_000)
    assert len(tiles) > 2
    total = np.zeros((height, width, 1), np.float32)
    for tile in tiles:
        total[tile.box] += tile_weight(tile, height, width)
    assert total.min() > 0
    for tile in tiles:
        share = np.zeros((height + 2, width + 2), np.float32)
        share[1:-1, 1:-1][tile.box] = (tile_weight(tile, height, width) / total[tile.box])[..., 0]
        share[0], share[-1], share[:, 0], share[:, -1] = share[1], share[-2], share[:, 1], share[:, -2]
        for axis in (0, 1):
            assert np.abs(np.diff(share, axis=axis)).max() < 2.5 / OVERLAP


def test_small_bound_leaves_tiles_of_three_overlaps() -> None:
    assert all(t.right - t.left >= 2 * OVERLAP for t in plan_tiles(100, 1000, 1))
