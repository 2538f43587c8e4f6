"""Reading pictures at positions between pixels, on the CPU through OpenCV and elsewhere through torch.

Both ways agree to within OpenCV's 1/32 px position grid. Pictures are channels last, (..., H, W, C): one sample then
lies in one cache line.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.ops.compiled import compiled

Picture = np.ndarray | Tensor  # (H, W, C): an array on the CPU, of any sample type; a float32 tensor on a device

MAX_ROWS = 32000  # cv2.remap takes neither pictures nor maps with a side above 32767
_LINE = 256  # points are laid out in lines of this length for cv2.remap


def warp(images: Tensor | Sequence[Tensor], positions: Tensor) -> Tensor:
    """Bilinear samples of a stack of pictures, positions outside are moved to the border.

    Args:
        images: (B, H, W, C) float32, or B pictures (H, W, C) of one size.
        positions: (B, h, w, 2) float32, x then y, in pixels of `images`.

    Returns:
        (B, h, w, C) float32. Each picture's samples depend on nothing else in the stack.

    Raises:
        ValueError: shapes do not fit together.

    Bilinear sampler of Jaderberg et al., NeurIPS 2015, section 3.3, https://arxiv.org/abs/1506.02025
    """
    num, shape = len(images), images[0].shape
    if len(shape) != 3 or positions.ndim != 4 or positions.shape[-1] != 2 or num != positions.shape[0]:
        raise ValueError(
            "warp: images must be (B, H, W, C) and positions (B, h, w, 2), "
            f"got {(num, *shape)} and {tuple(positions.shape)}"
        )
    if positions.device.type != "cpu":
        whole = images if isinstance(images, Tensor) else torch.stack(list(images))
        return _grid_sample(whole, positions, "bilinear")
    out = np.empty((*positions.shape[:3], shape[2]), np.float32)
    maps, height = positions.contiguous().numpy(), positions.shape[1]
    together = max(1, MAX_ROWS // height)
    first = 0
    while first < num:
        last, image = first + 1, images[first]
        while last < min(num, first + together) and images[last] is image:  # one call where a picture comes in a row
            last += 1
        where = maps[first:last].reshape((last - first) * height, -1, 2)
        out[first:last] = _remap(image.numpy(), where, cv2.INTER_LINEAR).reshape(out[first:last].shape)
        first = last
    return torch.from_numpy(out)


def inside(position: Tensor, picture: Tensor) -> Tensor:
    """1.0 where a position (B, h, w, 2) lies in a picture of this size (H, W, ...), else 0.0."""
    height, width = picture.shape[:2]
    return (
        (position[..., 0] >= 0)
        & (position[..., 0] <= width - 1)
        & (position[..., 1] >= 0)
        & (position[..., 1] <= height - 1)
    ).float()


def sample_points(image: Picture, points: Tensor, cubic: bool = False, outside: float | None = None) -> Tensor:
    """Samples of one picture at a list of points.

    Args:
        image: (H, W, C) of any sample type; an array stays on the CPU, a float32 tensor on its device.
        points: (N, 2) float32, x then y, in pixels.
        cubic: 4x4 cubic kernel (a = -0.75) instead of 2x2 linear.
        outside: value of everything outside the picture; None: the border goes on.

    Returns:
        (N, C) float32 on the device of `points`, in the unit of `image`.

    Raises:
        ValueError: points are not (N, 2).
    """
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"sample_points: points must be (N, 2), got {tuple(points.shape)}")
    num = points.shape[0]
    if isinstance(image, Tensor) and image.device.type != "cpu":
        mode = "bicubic" if cubic else "bilinear"
        if outside is None:
            return _grid_sample(image[None], points[None, None], mode)[0, 0]
        return _grid_sample(image[None] - outside, points[None, None], mode, "zeros")[0, 0] + outside
    array = image.numpy() if isinstance(image, Tensor) else image
    channels = array.shape[2]
    if num == 0:
        return torch.empty((0, channels))
    lines = -(-num // _LINE)
    maps = np.zeros((lines, _LINE, 2), np.float32)
    maps.reshape(-1, 2)[:num] = points.numpy()
    kernel = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    parts = [_remap(array, maps[k : k + MAX_ROWS], kernel, outside) for k in range(0, lines, MAX_ROWS)]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return torch.from_numpy(whole.reshape(-1, channels)[:num].astype(np.float32, copy=False))


@compiled
def read_between(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N, C) float32 bilinear samples of (H, W, C) float32 at (N,) positions in pixels; outside the border goes on."""
    height, width, channels = image.shape
    out = np.empty((x.size, channels), np.float32)
    for p in range(x.size):
        column, row = min(max(float(x[p]), 0.0), width - 1.0), min(max(float(y[p]), 0.0), height - 1.0)
        left, top = int(column), int(row)
        right, below = min(left + 1, width - 1), min(top + 1, height - 1)
        across, down = np.float32(column - left), np.float32(row - top)
        for c in range(channels):
            upper = image[top, left, c] + across * (image[top, right, c] - image[top, left, c])
            lower = image[below, left, c] + across * (image[below, right, c] - image[below, left, c])
            out[p, c] = upper + down * (lower - upper)
    return out


def _grid_sample(images: Tensor, positions: Tensor, mode: str, padding: str = "border") -> Tensor:
    """`warp` in torch, for devices OpenCV does not know."""
    height, width = images.shape[1:3]
    size = torch.tensor([max(width - 1, 1), max(height - 1, 1)], device=images.device, dtype=images.dtype)
    grid = positions.to(images.dtype) * (2 / size) - 1
    out = F.grid_sample(images.permute(0, 3, 1, 2), grid, mode=mode, padding_mode=padding, align_corners=True)
    return out.permute(0, 2, 3, 1)


def _box_pool(images: Tensor, size: int) -> Tensor:
    """`box_mean` in torch: sums along rows, then columns, so that a wide box costs its side and not its area."""
    planes = images.permute(0, 3, 1, 2)
    half = size // 2
    planes = F.avg_pool2d(F.pad(planes, (half, half, 0, 0)), (1, size), 1)
    return F.avg_pool2d(F.pad(planes, (0, 0, half, half)), (size, 1), 1).permute(0, 2, 3, 1)


def _remap(image: np.ndarray, maps: np.ndarray, kernel: int, outside: float | None = None) -> np.ndarray:
    """cv2.remap for any number of channels, channel axis kept."""
    if image.dtype == np.float16:
        image = image.astype(np.float32)
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    parts = []
    for first in range(0, image.shape[2], 4):
        part = image[..., first : first + 4]
        if part.shape[2] != image.shape[2]:
            part = np.ascontiguousarray(part)
        out = cv2.remap(part, maps, None, kernel, borderMode=border, borderValue=(outside or 0.0,) * 4)
        parts.append(out[..., None] if out.ndim == 2 else out)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def box_mean(images: Tensor, size: int) -> Tensor:
    """Mean over a size x size box around every pixel, zeros outside the picture.

    Args:
        images: (B, H, W, C) float32.
        size: odd side of the box in pixels.

    Returns:
        (B, H, W, C) float32.
    """
    if images.device.type != "cpu":
        return _box_pool(images, size)
    out = torch.empty(images.shape)
    source, target = images.contiguous().numpy(), out.numpy()
    for b in range(images.shape[0]):
        target[b] = cv2.boxFilter(source[b], -1, (size, size), borderType=cv2.BORDER_CONSTANT).reshape(target[b].shape)
    return out
