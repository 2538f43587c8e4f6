"""Comparison of what was found along the flow with the surroundings of a hole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vswipe.restore.compare import DEFAULT, compare

HEIGHT, WIDTH = 24, 32


def grids(shift: float = 0.0, contrast: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A textured picture with a hidden block, the same picture seen elsewhere, and where: half a cell to the right.

    Args:
        shift, contrast: what `other` lacks to look like `own`: own = contrast * other + shift.
    """
    rng = np.random.default_rng(5)
    wide = np.repeat(rng.uniform(100, 180, (HEIGHT, WIDTH // 2 + 1)), 2, axis=1)[:, : WIDTH + 1]
    own_colour = (wide[:, :-1] + wide[:, 1:]) / 2  # what half a cell to the right of each cell looks like
    other_colour = (wide[:, :-1] - shift) / contrast
    valid_own, valid_other = np.ones((HEIGHT, WIDTH)), np.ones((HEIGHT, WIDTH))
    valid_own[10:14, 8:24] = 0
    valid_other[4:8, 4:28] = 0
    own = np.stack([own_colour * (valid_own > 0), valid_own], -1)
    other = np.stack([other_colour * valid_other, valid_other], -1)
    y, x = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")
    position = np.stack([x + 0.5, y], -1)
    return tuple(torch.from_numpy(a[None].astype(np.float32)) for a in (own, other, position))  # type: ignore[return-value]


def test_what_hidden_cells_hold_enters_nothing():
    """Between a visible and a hidden cell the visible one's colour is read: no darkening, no made-up contrast."""
    own, other, position = grids()
    logit, gain, shift = compare(own, other, position, torch.zeros(1, HEIGHT, WIDTH), DEFAULT)[0].split([1, 1, 1], -1)
    assert gain.abs().max() < 0.05
    offset = shift[..., 0] + gain[..., 0] * 140
    assert offset[8:16, 6:26].abs().max() < 3  # half a cell's texture, no more
    perfect = DEFAULT.bias - DEFAULT.path_power * math.log(DEFAULT.path_floor)
    assert logit[20, 10, 0] == pytest.approx(perfect, abs=0.3)


def test_brightness_and_contrast_are_found():
    own, other, position = grids(shift=12.0, contrast=0.8)
    _, gain, shift = compare(own, other, position, torch.zeros(1, HEIGHT, WIDTH), DEFAULT)[0].split([1, 1, 1], -1)
    made_good = other[0, 12, 15, 0] * (1 + gain[12, 15, 0]) + shift[12, 15, 0]
    expected = other[0, 12, 15, 0] * 0.8 + 12
    assert float(made_good) == pytest.approx(float(expected), abs=2.5)
