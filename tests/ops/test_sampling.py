"""Reading pictures between pixels: exact values, borders, and agreement of the OpenCV and the torch way."""

import numpy as np
import pytest
import torch

from vswipe.ops import sampling
from vswipe.ops.sampling import box_mean, sample_points, warp


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 20, 30, 5, generator=torch.Generator().manual_seed(1)) * 255


def identity(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], -1).float()


def test_warp_at_own_positions_is_the_picture(images: torch.Tensor) -> None:
    assert torch.equal(warp(images, identity(20, 30).expand(3, -1, -1, -1)), images)


def test_warp_between_two_pixels_is_their_mean() -> None:
    ramp = torch.arange(8.0).view(1, 1, 8, 1).expand(1, 4, 8, 1).contiguous()
    assert warp(ramp, torch.tensor([[[[2.5, 1.0]]]])).item() == pytest.approx(2.5)


def test_warp_never_reads_the_next_picture_of_the_stack() -> None:
    stack = torch.stack([torch.zeros(6, 6, 1), torch.full((6, 6, 1), 255.0)])
    below = torch.full((2, 1, 1, 2), 50.0)
    assert warp(stack, below).flatten().tolist() == [0.0, 255.0]


def test_warp_agrees_with_torch(images: torch.Tensor) -> None:
    smooth = torch.nn.functional.avg_pool2d(images.permute(0, 3, 1, 2), 7, 1, 3).permute(0, 2, 3, 1).contiguous()
    positions = torch.rand(3, 11, 9, 2, generator=torch.Generator().manual_seed(2)) * 40 - 5
    # OpenCV rounds positions to 1/32 px.
    assert torch.allclose(warp(smooth, positions), sampling._grid_sample(smooth, positions, "bilinear"), atol=2.0)


def test_warp_refuses_shapes_that_do_not_fit(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"warp: images must be \(B, H, W, C\)"):
        warp(images, torch.zeros(2, 4, 4, 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_points_keep_the_unit_of_every_sample_type(dtype: type) -> None:
    image = np.arange(48, dtype=dtype).reshape(6, 8, 1)
    points = torch.tensor([[3.0, 2.0], [7.0, 5.0]])
    assert sample_points(image, points)[:, 0].tolist() == [19.0, 47.0]
    assert sample_points(image, points, cubic=True)[:, 0].tolist() == [19.0, 47.0]


def test_points_may_be_none_at_all() -> None:
    assert sample_points(np.zeros((4, 4, 3), np.uint8), torch.zeros(0, 2)).shape == (0, 3)


def test_cubic_points_agree_with_torch(images: torch.Tensor) -> None:
    smooth = torch.nn.functional.avg_pool2d(images[:1].permute(0, 3, 1, 2), 7, 1, 3).permute(0, 2, 3, 1).contiguous()
    points = torch.rand(40, 2, generator=torch.Generator().manual_seed(3)) * 15 + 2
    ours = sample_points(smooth[0].numpy(), points, cubic=True)
    assert torch.allclose(ours, sampling._grid_sample(smooth, points[None, None], "bicubic")[0, 0], atol=2.0)


def test_points_must_be_pairs() -> None:
    with pytest.raises(ValueError, match=r"sample_points: points must be \(N, 2\), got \(3, 4\)"):
        sample_points(np.zeros((4, 4, 1), np.uint8), torch.zeros(3, 4))


def test_box_mean_counts_zeros_outside(images: torch.Tensor) -> None:
    ones = torch.ones(1, 9, 9, 2)
    mean = box_mean(ones, 3)
    assert mean[0, 4, 4, 0] == pytest.approx(1)
    assert mean[0, 0, 0, 0] == pytest.approx(4 / 9)
    assert torch.allclose(box_mean(images, 7), sampling._box_pool(images, 7), atol=1e-3)
