"""Scenes of animation that training draws for itself."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vswipe.training import wipe_data
from vswipe.training.cartoon_scenes import Cel, cartoon_scene

WHITE = np.full(3, 255, np.float32)


def test_the_same_seed_draws_the_same() -> None:
    first, second = (cartoon_scene(np.random.default_rng(3), 2, (160, 96)) for _ in range(2))
    assert [plane.shape for plane in first] == [(2, 96, 160), (2, 48, 80), (2, 48, 80)]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)


def test_scenes_are_flat_with_hard_edges_and_move() -> None:
    """As animation is: between edges nothing, and edges as steep as in no film."""
    flat, steep, moved = [], [], []
    for seed in range(8):
        luma = cartoon_scene(np.random.default_rng(seed), 8)[0].astype(np.float32)
        soft = cv2.GaussianBlur(luma[0], (0, 0), 1.0)  # some scenes have grain
        across = np.abs(np.diff(soft, axis=1))
        flat.append(np.mean(across < 1.5))
        steep.append(np.mean(across > 10))
        moved.append(np.mean(np.abs(luma[7] - luma[0]) > 8))
    assert np.median(flat) > 0.75
    assert np.median(steep) > 0.005
    assert np.median(moved) > 0.01


def test_a_shade_stays_on_its_shape() -> None:
    cel = Cel.clear(40, 40)
    cel.fill(np.array([[5.0, 5.0], [20.0, 5.0], [20.0, 20.0], [5.0, 20.0]]), WHITE)
    part = cel.alpha.copy()
    cel.fill(np.array([[10.0, 10.0], [35.0, 10.0], [35.0, 35.0], [10.0, 35.0]]), 0.5 * WHITE, part)
    assert cel.alpha[30, 30] == 0
    assert cel.colour[15, 15, 0] == 127.5
    assert cel.colour[7, 7, 0] == 255


def test_windows_and_single_frames_are_of_cartoons_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wipe_data, "PHOTO_SHARE", 0.0)
    monkeypatch.setattr(wipe_data, "CARTOON_SHARE", 1.0)
    monkeypatch.setattr(wipe_data, "FRAMES", 6)
    monkeypatch.setattr(wipe_data, "SIZE", (160, 96))
    window = wipe_data.draw_window(np.random.default_rng(1), 29, [], [Path("none.jpg")])
    assert window.name.partition("_")[2] == "cartoon-scene-d"
    assert window.truth[0].shape == (6, 96, 160)
    monkeypatch.setattr(wipe_data, "STILL_PHOTO_SHARE", 0.0)
    monkeypatch.setattr(wipe_data, "STILL_CARTOON_SHARE", 1.0)
    monkeypatch.setattr(wipe_data, "STILLS", 2)
    name, samples = wipe_data.make_stills(4, [], [Path("none.jpg")])
    assert name == "still_cartoon-scene-e"
    assert samples
