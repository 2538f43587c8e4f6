"""Levels to RGB and back."""

from __future__ import annotations

import numpy as np
import pytest

from vswipe.engine.colour import RegionColour
from vswipe.engine.picture import PictureFormat


def levels(fmt: PictureFormat, seed: int = 0) -> list[np.ndarray]:
    """Smooth colour that stays inside RGB."""
    rng = np.random.default_rng(seed)
    main = np.full((16, 24, 1), rng.uniform(80, 150), np.float32)
    if fmt.family != "YUV":
        return [np.repeat(main, fmt.num_planes, 2)]
    chroma = np.full((16 >> fmt.sub_h, 24 >> fmt.sub_w, 2), 128, np.float32) + rng.uniform(-20, 20, 2)
    if fmt.sub_w or fmt.sub_h:
        return [main, chroma.astype(np.float32)]
    return [np.dstack([main, chroma]).astype(np.float32)]


@pytest.mark.parametrize(
    ("family", "sub_w", "sub_h"), [("GRAY", 0, 0), ("RGB", 0, 0), ("YUV", 0, 0), ("YUV", 1, 0), ("YUV", 1, 1)]
)
@pytest.mark.parametrize("props", [{}, {"_Matrix": 1, "_Range": 1}, {"_Matrix": 9, "_ColorRange": 1}])
def test_there_and_back(family: str, sub_w: int, sub_h: int, props: dict[str, int]) -> None:
    fmt = PictureFormat(24, 16, family, 8, False, sub_w, sub_h)
    colour, groups = RegionColour(fmt, props), levels(fmt)
    for before, after in zip(groups, colour.from_rgb(colour.to_rgb(groups)), strict=True):
        assert after.shape == before.shape
        assert np.abs(after - before).max() < 0.01


def test_white_and_red_of_limited_601():
    colour = RegionColour(PictureFormat(24, 16, "YUV", 8), {"_Matrix": 6})
    white = np.broadcast_to(np.array([235, 128, 128], np.float32), (16, 24, 3))
    assert np.abs(colour.to_rgb([white.copy()]) - 1).max() < 1e-4
    (red,) = colour.from_rgb(np.broadcast_to(np.array([1, 0, 0], np.float32), (16, 24, 3)))
    assert np.abs(red[0, 0] - [81.5, 90.2, 240]).max() < 0.1
