"""Averaging a filled frame with its neighbours along the motion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vswipe.restore.steady import Neighbour, agreement, average, brightness, weigh

HEIGHT, WIDTH = 12, 16


def texture(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 255, (HEIGHT, WIDTH)).astype(np.float32))


def motion(x: float, y: float) -> torch.Tensor:
    return torch.tensor([x, y]).expand(1, HEIGHT, WIDTH, 2)


def test_what_moved_as_told_agrees_fully():
    own = texture()
    other = torch.roll(own, (1, 2), (0, 1))  # down by one, right by two
    weight = agreement(own, other, motion(2, 1))[0]
    assert weight[: HEIGHT - 3, : WIDTH - 4].min() == pytest.approx(1)


def test_what_leaves_the_picture_has_no_weight():
    weight = agreement(texture(), texture(), motion(3, 0))[0]
    assert weight[:, WIDTH - 3 :].max() == 0


def test_what_differs_has_little_weight():
    assert agreement(texture(1), texture(2), motion(0, 0)).mean() < 1e-3
    own = torch.full((HEIGHT, WIDTH), 100.0)
    assert agreement(own, own + 6, motion(0, 0))[0, 5, 5] == pytest.approx(float(np.exp(-1)), rel=1e-5)


def test_mean_by_hand():
    """One point at (4, 3) with value 10; neighbours show 16 and 40 there, with weights 1 and 0.5."""
    facts = [torch.zeros(HEIGHT, WIDTH, 4), torch.zeros(HEIGHT, WIDTH, 4)]
    facts[0][..., 2], facts[1][..., 2] = 1.0, 0.5
    facts[1][..., 0] = 1.0  # cells of two pixels: two pixels to the right
    images = [np.full((2 * HEIGHT, 2 * WIDTH, 1), 16, np.float32), np.zeros((2 * HEIGHT, 2 * WIDTH, 1), np.float32)]
    images[1][3, 6] = 40
    neighbours = [Neighbour(image, fact) for image, fact in zip(images, facts, strict=True)]
    points = torch.tensor([[4.0, 3.0]])
    values, kept = average(
        torch.tensor([[10.0]]), points, (points + 0.5) / 2 - 0.5, torch.tensor([2.0, 2.0]), neighbours, cubic=False
    )
    assert float(values) == pytest.approx((10 + 16 + 0.5 * 40) / 2.5, rel=1e-4)
    assert float(kept) == pytest.approx((1 + 1 + 0.25) / 2.5**2, rel=1e-5)


def test_alone_a_frame_stays_as_it_is():
    values = torch.tensor([[3.0, 4.0]])
    out, kept = average(values, torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(2), [], cubic=True)
    assert torch.equal(out, values)
    assert float(kept) == 1


def test_a_brighter_frame_lifts_its_neighbour():
    """Around the hole the frame is 20 levels brighter: that agrees, and the neighbour is taken as much brighter."""
    own, visible = texture(), torch.ones(HEIGHT, WIDTH)
    visible[4:8, 5:10] = 0
    mine, theirs = (torch.stack([x * visible, visible], -1) for x in (own, own - 20))
    shift = brightness(mine, theirs, motion(0, 0))
    assert shift[0, ..., 0].sub(20).abs().max() < 0.01
    assert agreement(own, own - 20, motion(0, 0), shift[..., 0]).min() > 0.99
    facts = torch.cat([torch.zeros(HEIGHT, WIDTH, 2), torch.ones(HEIGHT, WIDTH, 1), shift[0]], -1)
    image = np.full((HEIGHT, WIDTH, 1), 30, np.float32)
    points = torch.tensor([[6.0, 5.0]])
    values, _ = average(torch.tensor([[50.0]]), points, points, torch.ones(2), [Neighbour(image, facts)], cubic=False)
    assert float(values) == pytest.approx(50, abs=0.1)
    assert brightness(mine, mine, motion(0, 0)).abs().max() == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_the_compiled_loop_weighs_as_torch_does(channels: int):
    rng = np.random.default_rng(channels)
    own = texture()
    other = own + torch.from_numpy(rng.normal(0, 3, (HEIGHT, WIDTH)).astype(np.float32))
    motions = torch.from_numpy(rng.uniform(-0.2, 0.2, (2, HEIGHT, WIDTH, 2)).astype(np.float32))
    motions[1, :4, :, 0] += 2
    motions[0, 8:, 13:] += 5  # out of the picture
    shift = torch.from_numpy(rng.uniform(-1, 1, (2, HEIGHT, WIDTH, channels)).astype(np.float32))
    facts = weigh(own, other, motions, shift)
    weight = agreement(own, other, motions, shift[..., 0])
    assert (facts[..., 2] - weight.amax(0)).abs().max() < 0.02  # OpenCV may round positions to 1/32 cell
    clear = (weight[0] - weight[1]).abs() > 0.05
    best = weight.argmax(0)[clear]
    assert 0.1 < best.float().mean() < 0.9
    rows, columns = clear.nonzero(as_tuple=True)
    assert torch.equal(facts[clear][:, :2], motions[best, rows, columns])
    assert torch.equal(facts[clear][:, 3:], shift[best, rows, columns])
