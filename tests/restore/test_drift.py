"""Drift is measured on what both frames show, and on nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vswipe.restore import drift as drifting
from vswipe.restore.drift import drift, neighbour_step

HEIGHT, WIDTH = 46, 90
SHIFT = (0.7, -0.4)
MARK = np.s_[16:30, 20:70]
WITHIN = np.s_[4:-4, 4:-4]  # what came in at the border is not seen


def textured(seed: int, channels: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH, channels))
    soft = cv2.GaussianBlur(noise, (0, 0), 2).reshape(HEIGHT, WIDTH, channels)
    return (120 + 150 * soft).astype(np.float32)


def shifted(picture: np.ndarray) -> np.ndarray:
    """A picture whose content lies SHIFT cells further."""
    matrix = np.array([[1, 0, SHIFT[0]], [0, 1, SHIFT[1]]], np.float32)
    moved = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved.reshape(picture.shape)


def with_share(picture: np.ndarray, share: np.ndarray, multiplied: bool = False) -> torch.Tensor:
    colour = picture * share if multiplied else picture
    return torch.from_numpy(np.concatenate([colour, share], -1).astype(np.float32))


def identity() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return torch.stack([x, y], -1).float()[None]


def marked() -> np.ndarray:
    share = np.ones((HEIGHT, WIDTH, 1), np.float32)
    share[MARK] = 0
    return share


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("brighter", [0.0, 12.0])
def test_a_shift_is_found_under_a_mark_too(channels: int, brighter: float) -> None:
    picture = textured(channels, channels)
    own, other = with_share(picture, marked()), with_share(shifted(picture) + brighter, np.ones_like(marked()))
    found = drift([own], [other], identity())[0][WITHIN]
    assert (found - torch.tensor(SHIFT)).abs().max() < 0.12


@pytest.mark.parametrize("hidden", ["own", "other"])
def test_what_is_hidden_says_nothing(hidden: str) -> None:
    picture, share, whole = textured(4, 3), marked(), np.ones_like(marked())
    results = []
    for seed in (5, 6):
        here, there = picture.copy(), shifted(picture)
        (here if hidden == "own" else there)[MARK] = textured(seed, 3)[MARK]
        own = with_share(here, share if hidden == "own" else whole)
        results.append(drift([own], [with_share(there, whole if hidden == "own" else share, True)], identity()))
    assert torch.equal(*results)
    assert (results[0][0][WITHIN] - torch.tensor(SHIFT)).abs().max() < 0.15


def test_flat_ground_has_not_moved() -> None:
    rng = np.random.default_rng(7)
    own, other = (with_share(90 + rng.normal(0, 0.3, (HEIGHT, WIDTH, 3)), marked()) for _ in range(2))
    assert drift([own], [other], identity()).abs().max() < 0.1


def test_where_nothing_is_seen_in_common_nothing_moves() -> None:
    share = marked()
    own = with_share(textured(8, 3), share)
    other = with_share(textured(9, 3), 1 - share, multiplied=True)
    assert not drift([own], [other], identity()).any()


def test_each_is_found_alone() -> None:
    picture = textured(10, 3)
    own, other = with_share(picture, marked()), with_share(shifted(picture), np.ones_like(marked()))
    strange = with_share(textured(11, 3), marked())
    together = drift([strange, own], [other, other], identity().expand(2, -1, -1, -1))
    assert torch.equal(together[1], drift([own], [other], identity())[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_other_devices_find_the_same(channels: int) -> None:
    rng = np.random.default_rng(12)
    picture = textured(13, channels)
    share = rng.uniform(-0.2, 3, (HEIGHT, WIDTH, 1)).clip(0, 1)
    own, other = with_share(picture, share), with_share(shifted(picture) + rng.normal(0, 4, picture.shape), marked())
    position = identity() + torch.from_numpy(rng.normal(0, 0.2, (1, HEIGHT, WIDTH, 2)).astype(np.float32))
    ours, theirs = drift([own], [other], position), drifting._drift_tensors(own[None], [other], position)
    # OpenCV may round positions to 1/32 cell.
    assert (ours - theirs).abs().mean() < 0.02
    assert (ours - theirs).abs().max() < 0.1
    assert ours.abs().max() > 0.3


def test_a_step_between_neighbours_says_how_sure_it_is() -> None:
    """Texture and a better fit speak for it; flat ground, and what has nothing in common, do not."""
    share = marked()
    whole = np.ones_like(share)

    def facts(first: np.ndarray, second: np.ndarray, there: np.ndarray = whole) -> np.ndarray:
        own, other = with_share(first, share).numpy(), with_share(second, there, multiplied=True).numpy()
        return neighbour_step(own, other, identity()[0].numpy())[:, 4:-4, 4:-4]

    picture = textured(14, 1)
    moved, flat = facts(picture, shifted(picture)), facts(0 * picture, 0 * picture)
    assert moved.shape == (5, HEIGHT - 8, WIDTH - 8)
    assert np.abs(moved[:2] - np.array(SHIFT)[:, None, None]).max() < 0.12
    assert moved[2].min() > 0.4 > 0.1 > flat[2].max()
    assert moved[3].max() < -1
    assert not flat[3].any()
    assert not facts(picture, picture, 1 - share).any()
