"""Programmes for measuring static marks: how marks fade, where they stand, and what is drawn."""

from __future__ import annotations

import numpy as np

from vswipe.training import programmes
from vswipe.training.composite import composite


def test_fades_go_out_and_come_back_four_times() -> None:
    strengths = programmes.fades(448)
    assert strengths.shape == (448,)
    assert strengths[0] == strengths[-1] == 1
    assert np.flatnonzero(np.diff((strengths == 0).astype(int)) == 1).size == 4
    fading = strengths[(strengths > 0) & (strengths < 1)]
    assert fading.size == 8 * programmes.FADE_FRAMES
    assert np.abs(np.diff(strengths)).max() < 0.07


def test_a_fading_mark_is_drawn_at_its_strength() -> None:
    mark = programmes.draw_translucent("white .4", "a")
    strengths = np.array([1.0, 0.5, 0.0])
    overlay = programmes.overlay_of(mark, "a", 3, strengths, which=3)
    shape = (3, programmes.HEIGHT, programmes.WIDTH)
    drawn = composite((np.full(shape, 50, np.uint8), *np.full((2, 3, shape[1] // 2, shape[2] // 2), 128, np.uint8)),
                      overlay)  # fmt: skip
    tops = drawn.alpha.max((1, 2))
    assert np.allclose(tops, [0.4, 0.2, 0], atol=0.01)
    rows, columns = np.nonzero(drawn.alpha[0])
    assert rows.min() > shape[1] // 2
    assert columns.min() > shape[2] // 2


def test_opaque_marks_differ_and_come_again() -> None:
    first, same, other = (programmes.draw_opaque("a", k).pixels for k in (0, 0, 1))
    assert np.array_equal(first, same)
    assert first[..., 3].max() > 0.95
    assert first.shape != other.shape or not np.array_equal(first, other)
