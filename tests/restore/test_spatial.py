"""The spatial fill: exact on flat pictures, better than Telea across an edge, and blind to what the hole holds."""

import cv2
import numpy as np
import pytest

from vswipe.restore.spatial import fill, texture_around


def bars(height: int = 90, width: int = 120) -> np.ndarray:
    """Slanted soft bars, (H, W, 1) levels."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return (120 + 60 * np.sin((x + 0.6 * y) / 7))[..., None]


def stroke(height: int = 90, width: int = 120) -> np.ndarray:
    hole = np.zeros((height, width), np.uint8)
    cv2.line(hole, (10, 45), (110, 52), 1, 6)
    return hole


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_flat_pictures_stay_flat(scale: int, channels: int) -> None:
    image = np.full((90, 120, channels), 77, np.float32)
    image[stroke() > 0] = 255
    assert np.abs(fill(image, stroke(), scale) - 77).max() < 0.6


@pytest.mark.parametrize("scale", [1, 2])
def test_edges_cross_the_hole(scale: int) -> None:
    image, hole = bars(), stroke()
    telea = cv2.inpaint(image.astype(np.uint8), hole, 5, cv2.INPAINT_TELEA)[..., None]
    ours = np.abs(fill(image, hole, scale) - image)[hole > 0]
    assert ours.mean() < 0.7 * np.abs(telea - image)[hole > 0].mean()


def test_known_pixels_stay_and_hidden_ones_are_not_read() -> None:
    image, hole = bars(), stroke()
    loud = image.copy()
    loud[hole > 0] = 255
    result = fill(loud, hole)
    assert np.array_equal(result[hole == 0], image[hole == 0])
    assert np.array_equal(result, fill(np.where(hole[..., None] > 0, 0, image).astype(np.float32), hole))


def test_everything_hidden_is_finite() -> None:
    assert np.isfinite(fill(bars(20, 20), np.ones((20, 20), np.uint8))).all()


def test_texture_is_that_of_the_known_surroundings():
    """A hole's content is not read: flat on the left is flat, rough on the right is rough, whatever is hidden."""
    rng = np.random.default_rng(3)
    luma = np.full((64, 96), 90, np.float32)
    luma[:, 48:] += rng.choice([-20, 20], (64, 48)).astype(np.float32)
    known = np.ones((64, 96), np.float32)
    known[24:40, 8:24] = known[24:40, 72:88] = 0
    loud = np.where(known > 0, luma, 255).astype(np.float32)
    texture = texture_around(loud, known)
    assert np.array_equal(texture, texture_around(np.where(known > 0, luma, 0).astype(np.float32), known))
    assert texture[32, 12] < 0.5
    assert 15 < texture[32, 80] < 25
