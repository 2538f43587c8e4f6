"""The rest of a motion, measured on what both frames show: what flow composed over many frames has drifted.

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
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.ops.compiled import single
from vswipe.ops.sampling import inside, warp
from vswipe.restore.cells import LEAST_SEEN
from vswipe.restore.drift_cells import BLOCK, LEAST_TOLD, num_sums, sum_blocks, take_step

_RIDGE = single(1)  # squared levels per cell
_USUAL = (single(2), single(1.5))
"""Levels, and share of the mean difference in the window: what differs by more than both counts less."""


@dataclass(frozen=True)
class Steps:
    """How the rest of a motion is searched for.

    Args:
        windows: sigma in cells, and weight. The widest decides, faintly, in the middle of wide holes.
        count: of the steps.
        longest: cells, of one step.
    """

    windows: tuple[tuple[float, float], ...]
    count: int
    longest: float


PATH = Steps(((7.0, 1.0), (12.0, 0.05)), 4, 1.5)  # drift adds up smoothly
PAIR = Steps(((4.0, 1.0), (12.0, 0.05)), 3, 0.75)  # what the motion between neighbours is off by is small


@cache
def _kernels(steps: Steps) -> list[tuple[np.ndarray, float]]:
    """Per window, over blocks."""
    return [(cv2.getGaussianKernel(round(8 * sigma / BLOCK + 1) | 1, sigma / BLOCK, cv2.CV_32F), weight)
            for sigma, weight in steps.windows]  # fmt: skip


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


def neighbour_step(own: np.ndarray, other: np.ndarray, position: np.ndarray) -> np.ndarray:
    """What the motion between neighbours is off by, so far as the cells say that both frames show, and how sure it is.

    Args:
        own, other, position: one picture each, as `drift` takes them.

    Returns:
        (5, h, w) float32: the step, x and y, cells; logarithms of the least texture in any direction, of what the step
        makes of the difference, and of the difference that is left: 0 where nothing is seen in common.
    """
    search = _Search(own, other, position, PAIR)
    first = last = search.means()
    for _ in range(PAIR.count):
        search.step(last)
        last = search.means()
    channels = own.shape[2] - 1
    (_, before), (texture, after) = (_told(means, channels) for means in (first, last))
    total = last[..., 0]
    facts = np.stack([np.log1p(texture) / 3, 2 * np.log((after + 0.5) / (before + 0.5)), np.log1p(after) / 2 - 1], -1)
    facts *= (total / (total + 1))[..., None]
    return np.moveaxis(search.whole(np.concatenate([search.moved, facts], -1)), 2, 0)


def _told(means: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Least eigenvalue of the gradients' covariance, squared levels, and the mean difference, levels, (blocks) both."""
    mean, each = means / np.maximum(means[..., :1], LEAST_TOLD), 3 * channels
    g, h = mean[..., 1:each:3], mean[..., 2:each:3]
    xx, xy, yy = (mean[..., each + 1 + k] - (a * b).sum(-1) for k, (a, b) in enumerate(((g, g), (g, h), (h, h))))
    least = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.maximum(least, 0), mean[..., each + 6]


class _Search:
    """Steps over one picture on the CPU."""

    def __init__(self, own: np.ndarray, other: np.ndarray, position: np.ndarray, steps: Steps) -> None:
        self.own, self.other, self.position = own, other, position
        self.longest, self.kernels = single(steps.longest), _kernels(steps)
        self.blocks = -(-own.shape[0] // BLOCK), -(-own.shape[1] // BLOCK)
        self.moved = np.zeros((*self.blocks, 2), np.float32)
        self.usual = np.full(self.blocks, np.inf, np.float32)
        self.found = np.empty(own.shape, np.float32)
        self.sums = np.empty((*self.blocks, num_sums(own.shape[2] - 1)), np.float32)

    def means(self) -> np.ndarray:
        """`sum_blocks` of what has been found so far, in windows."""
        sum_blocks(self.own, self.other, self.position, self.moved, self.usual, self.found, self.sums)
        out = np.zeros_like(self.sums)
        for kernel, weight in self.kernels:
            out += weight * cv2.sepFilter2D(self.sums, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
        return out

    def step(self, means: np.ndarray) -> None:
        take_step(means, _RIDGE, self.longest, _USUAL, self.moved, self.usual)

    def whole(self, field: np.ndarray) -> np.ndarray:
        """(h, w, ...) of what is known of blocks."""
        size = self.blocks[1] * BLOCK, self.blocks[0] * BLOCK
        return cv2.resize(field, size, interpolation=cv2.INTER_LINEAR)[: self.own.shape[0], : self.own.shape[1]]


def _drift_cells(own: np.ndarray, other: np.ndarray, position: np.ndarray) -> np.ndarray:
    """`drift` of one picture on the CPU."""
    search = _Search(own, other, position, PATH)
    for _ in range(PATH.count):
        search.step(search.means())
    return search.whole(search.moved)


# In torch, for devices that run no compiled loops -------------------------------------------------------------------


def _drift_tensors(own: Tensor, others: Sequence[Tensor], position: Tensor) -> Tensor:
    height, width = own.shape[1:3]
    blocks = -(-height // BLOCK), -(-width // BLOCK)
    moved = own.new_zeros(len(own), 2, *blocks)
    usual = own.new_full((len(own), *blocks), torch.inf)
    kernels = [(torch.from_numpy(kernel[:, 0]).to(own.device), weight) for kernel, weight in _kernels(PATH)]
    for _ in range(PATH.count):
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
    """(B, parts, blocks), see `sum_blocks`."""
    found = warp(others, position)
    share = own[..., -1] * found[..., -1] * inside(position, others[0])
    image = found[..., :-1] / found[..., -1:].clamp(min=LEAST_SEEN)
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
    """Steps (B, 2, blocks), and which differences are usual, see `take_step`."""
    channels = (means.shape[1] - 7) // 3
    total = means[:, :1]
    mean = means[:, 1:] / total.clamp(min=LEAST_TOLD) * (total > LEAST_TOLD)
    g, h, r = mean[:, : 3 * channels].unflatten(1, (channels, 3)).unbind(2)
    xx, xy, yy, xr, yr, size = mean[:, 3 * channels :].unbind(1)
    xx, yy = xx - (g * g).sum(1) + _RIDGE, yy - (h * h).sum(1) + _RIDGE
    xy, xr, yr = xy - (g * h).sum(1), xr - (g * r).sum(1), yr - (h * r).sum(1)
    step = torch.stack([yy * xr - xy * yr, xx * yr - xy * xr], 1) / (xx * yy - xy * xy)[:, None]
    length = step.square().sum(1, keepdim=True).sqrt()
    return step * (PATH.longest / length.clamp(min=PATH.longest)), _USUAL[0] + _USUAL[1] * size
