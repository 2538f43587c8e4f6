"""TextSeg and the description it sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vswipe.nets.textseg import RADIUS, TextSeg, describe, load_textseg, median


def window(change: int | None = None) -> list[np.ndarray]:
    """25 equal grey planes; from frame `change` on 100 levels brighter."""
    planes = [np.full((16, 16), 60, np.uint8) for _ in range(2 * RADIUS + 1)]
    for n, plane in enumerate(planes):
        if change is not None and n >= change:
            plane += 100
    return planes


@pytest.mark.parametrize("count", [3, 5, 9])
def test_median(count: int) -> None:
    random = np.random.default_rng(count)
    planes = [random.integers(0, 256, (20, 30), dtype=np.uint8) for _ in range(count)]
    assert np.array_equal(median(planes), np.median(np.stack(planes), axis=0))


def test_median_refuses_other_numbers() -> None:
    with pytest.raises(ValueError, match=r"^median: planes must be 3, 5 or 9, got 4$"):
        median([np.zeros((2, 2), np.uint8)] * 4)


def test_description_of_a_still_picture() -> None:
    plane = describe(window())[:, 0, 0]
    assert plane.tolist() == [60, 60, 60, 128, 0, 128, 0, 252, 252]


def test_description_tells_when_a_pixel_changed() -> None:
    # Changed three frames before the middle: two earlier frames are as it is now.
    plane = describe(window(change=RADIUS - 2))[:, 0, 0]
    assert plane[0] == 160
    assert plane[1] == 60
    assert plane[2] == 160
    assert plane[7] == 2 * 21
    assert plane[8] == 252
    # Of the nine far frames five are bright, so is the median; four are 100 levels off it: 4 * 100 / 9 * 4 saturates.
    assert plane[3] == 128
    assert plane[4] == 178


def test_description_refuses_another_window() -> None:
    with pytest.raises(ValueError, match=r"^describe: luma must be 25 planes, got 3$"):
        describe(window()[:3])


def inputs(height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.rand(2, 9, height, width), torch.rand(2, 2, height // 2, width // 2)


def test_shapes_and_size() -> None:
    net = TextSeg().eval()
    strokes, box = net(*inputs())
    assert strokes.shape == (2, 1, 32, 48)
    assert box.shape == (2, 1, 16, 24)
    assert sum(p.numel() for p in net.parameters()) < 400_000


def test_size_must_fit() -> None:
    with pytest.raises(ValueError, match=r"^TextSeg: height and width must be multiples of 16, got 48x40$"):
        TextSeg()(*inputs(40, 48))


def test_fused_is_the_same() -> None:
    torch.manual_seed(1)
    net = TextSeg()
    for _ in range(3):
        net(*inputs())  # so that the running means are not the initial ones
    net.eval()
    with torch.no_grad():
        for a, b in zip(net(*inputs()), net.fused()(*inputs()), strict=True):
            assert torch.allclose(a, b, atol=1e-4)


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("vswipe.nets.weights.places", lambda: [tmp_path])
    with pytest.raises(ValueError, match=r"^textseg: weights textseg_v1.safetensors must be installed, got none; "):
        load_textseg()
    with pytest.raises(ValueError, match=r"^textseg: weights must be a file"):
        load_textseg(tmp_path / "none.safetensors")
