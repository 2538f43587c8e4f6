"""What flow composed over many frames has drifted: the rest of the motion, measured on what both frames show.

Flow between neighbours is wrong near a mark by a few hundredths of a cell, and over a line's length that adds up. The
frame to fill and the one that was found show a good part of the same things, beside the mark and between its strokes.
On these cells alone the rest is found by weighted Gauss-Newton steps (Lucas and Kanade, IJCAI 1981): a cell that either
frame hides says nothing, so that nothing is believed of what stands in a hole, and no guard around one is needed.
Within a window around every block of cells

    (cov(g, g) + ridge) step = cov(g, r),

with the gradients g of all channels and what remains of their difference r. Covariances and not products: how much
brighter one frame is does not enter. Flat surroundings leave the ridge alone, and so no step.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.ops.compiled import single
from vswipe.ops.sampling import inside, warp
from vswipe.restore import cells

BLOCK = cells.DRIFT_BLOCK
_STEPS = 4
_RIDGE = single(1)  # squared levels per cell
_LONGEST = single(1.5)  # cells, of one step
_WINDOWS = ((7.0, 1.0), (12.0, 0.05))
"""Sigma in cells and weight. Drift adds up smoothly; the wide window decides in the middle of wide holes."""
_USUAL = (single(2), single(1.5))
"""Levels, and share of the mean difference in the window: what differs by more than both counts less."""


def drift(own: Sequence[Tensor], others: Sequence[Tensor], position: Tensor) -> Tensor:
    """What is to be added to positions so that the pictures found there lie on the frame's own.

    Args:
        own: B pictures (h, w, C + 1): colour in levels and visible share.
        others: B pictures (H, W, C + 1): the same, the colour multiplied by the share.
        position: (B, h, w, 2) cells in the other picture.

    Returns:
        (B, h, w, 2) cells. Each of the batch for itself.
    """
    if position.device.type != "cpu":
        return _drift_tensors(torch.stack(list(own)), others, position)
    out = torch.empty_like(position)
    for mine, other, where, result in zip(own, others, position, out, strict=True):
        result[:] = torch.from_numpy(_drift_cells(mine.numpy(), other.numpy(), where.numpy()))
    return out


def _kernels() -> list[tuple[np.ndarray, float]]:
    """Per window, over blocks."""
    return [(cv2.getGaussianKernel(round(8 * sigma / BLOCK + 1) | 1, sigma / BLOCK, cv2.CV_32F), weight)
            for sigma, weight in _WINDOWS]  # fmt: skip


def _drift_cells(own: np.ndarray, other: np.ndarray, position: np.ndarray) -> np.ndarray:
    """`drift` of one picture on the CPU."""
    height, width, channels = own.shape[0], own.shape[1], own.shape[2] - 1
    blocks = -(-height // BLOCK), -(-width // BLOCK)
    found, moved = np.empty(own.shape, np.float32), np.zeros((*blocks, 2), np.float32)
    usual = np.full(blocks, np.inf, np.float32)
    sums = np.empty((*blocks, cells.drift_parts(channels)), np.float32)
    for _ in range(_STEPS):
        cells.drift_sums(own, other, position, moved, usual, found, sums)
        means = sum(weight * cv2.sepFilter2D(sums, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
                    for kernel, weight in _kernels())  # fmt: skip
        cells.drift_step(means, _RIDGE, _LONGEST, _USUAL, moved, usual)
    whole = cv2.resize(moved, (blocks[1] * BLOCK, blocks[0] * BLOCK), interpolation=cv2.INTER_LINEAR)
    return whole[:height, :width]


# In torch, for devices that run no compiled loops -------------------------------------------------------------------


def _drift_tensors(own: Tensor, others: Sequence[Tensor], position: Tensor) -> Tensor:
    height, width = own.shape[1:3]
    blocks = -(-height // BLOCK), -(-width // BLOCK)
    moved = own.new_zeros(len(own), 2, *blocks)
    usual = own.new_full((len(own), *blocks), torch.inf)
    kernels = [(torch.from_numpy(kernel[:, 0]).to(own.device), weight) for kernel, weight in _kernels()]
    for _ in range(_STEPS):
        sums = _sums(own, others, position + _whole(moved, height, width), usual)
        means = sum(weight * _blurred(sums, kernel) for kernel, weight in kernels)
        assert isinstance(means, Tensor)
        step, usual = _step(means)
        moved = moved + step
    return _whole(moved, height, width)


def _whole(moved: Tensor, height: int, width: int) -> Tensor:
    """(B, 2, blocks) -> (B, h, w, 2)."""
    return F.interpolate(moved, scale_factor=BLOCK, mode="bilinear")[..., :height, :width].permute(0, 2, 3, 1)


def _sums(own: Tensor, others: Sequence[Tensor], position: Tensor, usual: Tensor) -> Tensor:
    """(B, parts, blocks), see `cells.drift_sums`."""
    found = warp(others, position)
    share = own[..., -1] * found[..., -1] * inside(position, others[0])
    image = found[..., :-1] / found[..., -1:].clamp(min=cells.LEAST_SEEN)
    height, width = share.shape[1:]
    weight = F.pad(-F.max_pool2d(-share[:, None], 3, 1)[:, 0], (1, 1, 1, 1))
    mean = (image + own[..., :-1]) / 2
    across, down = torch.zeros_like(mean), torch.zeros_like(mean)
    across[:, :, 1:-1] = (mean[:, :, 2:] - mean[:, :, :-2]) / 2
    down[:, 1:-1] = (mean[:, 2:] - mean[:, :-2]) / 2
    rest = own[..., :-1] - image
    size = rest.abs().mean(-1)
    limit = usual.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)[:, :height, :width]
    weight = weight / (1 + (size / limit) ** 2)
    single = torch.stack([across, down, rest], -1).flatten(-2)
    pairs = [(a * b).sum(-1) for a, b in ((across, across), (across, down), (down, down), (across, rest), (down, rest))]
    parts = torch.cat([torch.ones_like(weight)[..., None], single, torch.stack([*pairs, size], -1)], -1)
    parts = (parts * weight[..., None]).permute(0, 3, 1, 2)
    parts = F.pad(parts, (0, -width % BLOCK, 0, -height % BLOCK))
    return F.avg_pool2d(parts, BLOCK) * BLOCK**2


def _blurred(sums: Tensor, kernel: Tensor) -> Tensor:
    half, num = kernel.numel() // 2, sums.shape[1]
    across, down = (kernel.view(shape).expand(num, -1, -1, -1) for shape in ((1, 1, 1, -1), (1, 1, -1, 1)))
    return F.conv2d(F.conv2d(sums, across, padding=(0, half), groups=num), down, padding=(half, 0), groups=num)


def _step(means: Tensor) -> tuple[Tensor, Tensor]:
    """Steps (B, 2, blocks), and which differences are usual, see `cells.drift_step`."""
    channels = (means.shape[1] - 7) // 3
    total = means[:, :1]
    mean = means[:, 1:] / total.clamp(min=cells.LEAST_TOLD) * (total > cells.LEAST_TOLD)
    g, h, r = mean[:, : 3 * channels].unflatten(1, (channels, 3)).unbind(2)
    xx, xy, yy, xr, yr, size = mean[:, 3 * channels :].unbind(1)
    xx, yy = xx - (g * g).sum(1) + _RIDGE, yy - (h * h).sum(1) + _RIDGE
    xy, xr, yr = xy - (g * h).sum(1), xr - (g * r).sum(1), yr - (h * r).sum(1)
    step = torch.stack([yy * xr - xy * yr, xx * yr - xy * xr], 1) / (xx * yy - xy * xy)[:, None]
    length = step.square().sum(1, keepdim=True).sqrt()
    return step * (_LONGEST / length.clamp(min=_LONGEST)), _USUAL[0] + _USUAL[1] * size
