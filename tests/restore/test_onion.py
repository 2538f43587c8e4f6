"""What no frame shows, filled from what was copied beside it."""

import numpy as np
import pytest

from vswipe.restore import onion
from vswipe.restore.onion import KNOWN, peel
from vswipe.restore.spatial import fill

HOLE = np.s_[20:60, 16:80]


def picture() -> np.ndarray:
    """A dark block with a bright middle on grey ground; all of the block lies in the hole."""
    image = np.full((80, 96, 1), 128, np.float32)
    image[HOLE] = 40
    image[20:60, 40:56] = 220
    return image


def setting(copied_rows: int, share: float = 0.95) -> tuple[np.ndarray, ...]:
    """Image, hole, shown, copied and spatial, of which the first rows of the hole were copied."""
    truth = picture()
    hole = np.zeros(truth.shape[:2], np.uint8)
    hole[HOLE] = 1
    image = np.where(hole[..., None] > 0, 0, truth).astype(np.float32)
    copied = np.zeros(hole.shape, np.float32)
    copied[20 : 20 + copied_rows, 16:80] = share
    inside = hole > 0
    spatial = fill(image, hole)[inside]
    return image, hole, (copied[..., None] * truth)[inside], copied[inside], spatial


def test_the_rest_goes_on_from_the_copies() -> None:
    image, hole, shown, copied, spatial = setting(30)
    truth = picture()[hole > 0]
    near = np.zeros(hole.shape, bool)
    near[50:55, 20:76] = True
    rest = near[hole > 0]
    before, after = (np.abs(x - truth)[rest].mean() for x in (spatial, peel(image, hole, shown, copied, spatial)))
    assert before > 60
    assert after < before / 2


def test_known_samples_keep_their_fill() -> None:
    image, hole, shown, copied, spatial = setting(30)
    out = peel(image, hole, shown, copied, spatial)
    assert out.shape == spatial.shape
    assert np.array_equal(out[copied >= KNOWN], spatial[copied >= KNOWN])
    assert (out[copied < KNOWN] != spatial[copied < KNOWN]).mean() > 0.9


@pytest.mark.parametrize("rows", [0, 40])
def test_all_or_nothing_copied_changes_nothing(rows: int) -> None:
    image, hole, shown, copied, spatial = setting(rows)
    assert peel(image, hole, shown, copied, spatial) is spatial


def test_what_is_trusted_most_is_known_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-trusted copies are mixed with the fill, which a layer before has bettered: they come nearer, too."""
    image, hole, shown, copied, spatial = setting(20)
    truth = picture()[hole > 0]
    half = np.zeros(hole.shape, bool)
    half[30:40, 20:76] = True  # copied, but only by 0.6
    half = half[hole > 0]
    shown, copied = np.where(half[:, None], 0.6 * truth, shown), np.where(half, np.float32(0.6), copied)
    errors = []
    for layers in ((0.5,), onion.LAYERS):
        monkeypatch.setattr(onion, "LAYERS", layers)
        out = peel(image, hole, shown, copied, spatial)
        mixed = shown + (1 - copied)[:, None] * out
        errors.append(np.abs(mixed - truth)[half].mean())
    assert errors[1] < 0.7 * errors[0]


def test_the_input_is_left_alone() -> None:
    given = setting(30)
    copies = [array.copy() for array in given]
    peel(*given)
    assert all(np.array_equal(a, b) for a, b in zip(given, copies, strict=True))
