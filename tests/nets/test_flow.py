"""Learned completion of motion: its description, and what it may do before it has learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vswipe.nets import create
from vswipe.nets.flow import PLANES, STEP_PLANES, X_PLANES, Y_PLANES, describe

SIZE = (24, 40)


def pair() -> tuple[np.ndarray, ...]:
    """Pictures, three motions there and back, guard and visible shares."""
    rng = np.random.default_rng(2)
    first, second = rng.uniform(0, 255, (2, *SIZE)).astype(np.float32)
    there, back = rng.normal(0, 1, (2, 3, *SIZE, 2)).astype(np.float32)
    guard = np.zeros(SIZE, np.uint8)
    guard[8:16, 10:30] = 1
    return first, second, there, back, guard, *rng.uniform(0, 1, (2, *SIZE)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_pair_looks_mirrored(axis: int) -> None:
    first, second, there, back, guard, seen, seen_too = pair()
    step = np.random.default_rng(3).normal(0, 0.5, (STEP_PLANES, *SIZE)).astype(np.float32)
    plain = describe(first, second, there, back, guard, (seen, seen_too), step)
    assert plain.shape == (PLANES + STEP_PLANES, *SIZE)
    assert np.array_equal(plain[:PLANES], describe(first, second, there, back, guard, (seen, seen_too)))

    def turned(picture: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.flip(picture, axis))

    def turned_motion(motion: np.ndarray) -> np.ndarray:
        out = np.ascontiguousarray(np.flip(motion, axis + 1))
        out[..., 1 - axis] *= -1
        return out

    turned_step = np.ascontiguousarray(np.flip(step, axis + 1))
    turned_step[1 - axis] *= -1
    mirrored = describe(turned(first), turned(second), turned_motion(there), turned_motion(back), turned(guard),
                        (turned(seen), turned(seen_too)), turned_step)  # fmt: skip
    expected = np.flip(plain, axis + 1).copy()
    expected[list(Y_PLANES if axis == 0 else X_PLANES)] *= -1
    assert np.abs(mirrored - expected).max() < 0.05  # OpenCV reads on a grid of 1/32 px


def test_untrained_it_adds_nothing_and_sizes_are_checked() -> None:
    net = create("flow")
    with torch.inference_mode():
        added = net(torch.randn(2, PLANES, *SIZE), torch.randn(2, 2, *SIZE), torch.randn(2, 2, *SIZE))
    assert added.shape == (2, 2, *SIZE)
    assert not added.any()
    with pytest.raises(ValueError, match="multiple"):
        net(torch.zeros(1, PLANES, 22, 40), torch.zeros(1, 2, 22, 40), torch.zeros(1, 2, 22, 40))


def test_shares_lead_to_the_other_motions() -> None:
    net = create("flow")
    measured, affine = torch.randn(2, 1, 2, *SIZE)
    net.last.bias.data = torch.tensor([20.0, 0, 0, 0])
    with torch.inference_mode():
        added = net(torch.zeros(1, PLANES, *SIZE), measured, affine)
    assert torch.allclose(added, 1.5 * measured, atol=1e-3)


def test_the_step_is_taken_as_it_was_described() -> None:
    net = create("flow", steps=True)
    first, second, there, back, guard, seen, seen_too = pair()
    step = np.random.default_rng(4).normal(0, 0.5, (STEP_PLANES, *SIZE)).astype(np.float32)
    planes = torch.from_numpy(describe(first, second, there, back, guard, (seen, seen_too), step))[None]
    net.stepped.bias.data[0] = 20.0
    with torch.inference_mode():
        added = net(planes, torch.zeros(1, 2, *SIZE), torch.zeros(1, 2, *SIZE))
    assert torch.allclose(added[0], 1.5 * torch.from_numpy(step[:2]), atol=1e-3)
