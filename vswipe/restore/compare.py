"""How a frame found along the flow fits the frame to fill: residual, brightness and contrast.

Everything is measured on the coarse grid, over the cells visible in both frames, in boxes around every cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from vswipe.ops.sampling import box_mean, inside, warp
from vswipe.restore import cells

_FADE = 4.0  # mean shift in levels above which the picture is taken to fade
_NOT_ASKED = np.empty((0, 0, 8), np.float32)


@dataclass(frozen=True)
class Tuning:
    """Constants of the copy stage; the optimum is flat around each (docs/design.md)."""

    box: int = 13  # grid cells, side of the comparison box
    wide_box: int = 41  # grid cells, second box for the middle of wide holes
    wide_weight: float = 0.02
    residual_power: float = 2.55
    path_power: float = 0.64
    path_floor: float = 0.05
    bias: float = 1.22
    depth_power: float = 0.51
    texture_power: float = 0.78
    leave: float = 0.03  # share of a frame's points, per direction, for which no further frames are looked at
    shift_penalty: float = 1.5  # levels a copy pays for a residual that its brightness and contrast explain
    look: float = 0.01  # share of a hole a distance must newly show to be looked at
    alike: float = 0.08  # cells: completions that are no further apart than this are looked at once
    compare_each: int = 4  # distance from which a comparison serves two steps
    event: float = 0.1  # share from which the drift is corrected there, too
    register: bool = True
    register_at: tuple[int, ...] = (6, 15, 36, 64)  # distances where drift is corrected
    register_gain: float = 0.05  # logits by which the correction must improve the comparison
    gain_ridge: float = 60.0  # squared levels: flat surroundings tell nothing about contrast


DEFAULT = Tuning()


def compare(own: Sequence[Tensor], others: Sequence[Tensor], position: Tensor, path: Tensor, tuning: Tuning) -> Tensor:
    """What the surroundings say of the picture at `position`.

    Args:
        own: B pictures (h, w, C + 1): colour in levels and visible share.
        others: B pictures (H, W, C + 1): the same, the colour multiplied by the visible share, so that what is read
            between a visible and a hidden cell is the visible one's colour.
        position: (B, h, w, 2) grid cells in the other picture.
        path: (B, h, w) summed round-trip errors, cells.

    Returns:
        (B, h, w, 2 + C): logit, gain - 1, and shift in levels; a copy v becomes v (1 + gain) + shift, without the gain
        for chroma. Each of the batch for itself: what is compared beside it does not change a result.
    """
    if position.device.type != "cpu":
        return _compare_tensors(torch.stack(list(own)), others, position, path, tuning)
    out = torch.empty(*path.shape, own[0].shape[-1] + 1)
    for mine, other, where, way, facts in zip(own, others, position, path, out, strict=True):
        _compare_cells(mine.numpy(), other.numpy(), where.numpy(), way.numpy(), tuning, facts.numpy())
    return out


def _around(parts: np.ndarray, tuning: Tuning) -> np.ndarray:
    """Means in the box, and faintly in a wide one: in the middle of a wide hole the small box sees nothing."""
    out = np.empty_like(parts)
    cells.box_means(parts, tuning.box, tuning.wide_box, tuning.wide_weight, out)
    return out


@cache
def _constants(tuning: Tuning) -> tuple[np.float32, ...]:
    """As `cells.compare_facts` takes them."""
    names = "gain_ridge bias residual_power path_power path_floor shift_penalty"
    return *(np.float32(getattr(tuning, name)) for name in names.split()), np.float32(_FADE)


def _compare_cells(
    own: np.ndarray, other: np.ndarray, position: np.ndarray, path: np.ndarray, tuning: Tuning, facts: np.ndarray
) -> None:
    """`compare` of one picture on the CPU, into `facts`."""
    parts = np.zeros((*path.shape, 8), np.float32)
    cells.compare_parts(own, other, position, parts)
    means, constants = _around(parts, tuning), _constants(tuning)
    if cells.compare_facts(means, path, _NOT_ASKED, constants, facts):
        # In a fade brightness and contrast change, and the copy makes that good: then what remains counts.
        rest = np.zeros_like(parts)
        cells.unexplained(own, other, position, facts, rest)
        cells.compare_facts(means, path, _around(rest, tuning), constants, facts)


def _compare_tensors(own: Tensor, others: Sequence[Tensor], position: Tensor, path: Tensor, tuning: Tuning) -> Tensor:
    """`compare` in torch, for devices that run no compiled loops."""
    found = warp(others, position)
    weight = (own[..., -1] * found[..., -1] * inside(position, others[0]))[..., None]
    image = found[..., :-1] / found[..., -1:].clamp(min=1e-3)
    difference = own[..., :-1] - image
    num = image.shape[-1]
    luma = image[..., :1] * weight
    parts = [
        weight,
        difference.abs().mean(-1, keepdim=True) * weight,
        difference * weight,
        luma,
        luma * image[..., :1],
        luma * difference[..., :1],
    ]

    def around(stack: Tensor) -> Tensor:
        return box_mean(stack, tuning.box) + tuning.wide_weight * box_mean(stack, tuning.wide_box)

    sums = around(torch.cat(parts, -1))
    total = sums[..., :1]
    inverse = 1 / total.clamp(min=1e-6)
    seen = total > 1e-5
    mean = sums * inverse
    residual, shift, centre = mean[..., 1:2], mean[..., 2 : 2 + num] * seen, mean[..., 2 + num : 3 + num]
    variance = (mean[..., -2:-1] - centre**2).clamp(min=0)
    covariance = mean[..., -1:] - centre * shift[..., :1]
    gain = (covariance / (variance + tuning.gain_ridge)).clamp(-0.5, 1.0) * seen
    # Chroma fades with luma, around its own zero; its mean shift already says so.
    shift = torch.cat([shift[..., :1] - gain * centre, shift[..., 1:]], -1)
    fading = sums[..., 2].abs().mean((1, 2)) > _FADE * total[..., 0].mean((1, 2))
    if bool(fading.any()):
        rest = (difference[..., :1] - gain * image[..., :1] - shift[..., :1]).abs() * weight
        explained = torch.minimum(residual, around(rest) * inverse + tuning.shift_penalty)
        residual = torch.where(fading[:, None, None, None], explained, residual)
    residual = torch.where(seen, residual, float(cells.NOT_SEEN))
    logit = (
        tuning.bias
        - tuning.residual_power * torch.log1p(residual)
        - tuning.path_power * torch.log(tuning.path_floor + 2 * path[..., None])
    )
    return torch.cat([logit, gain, shift], -1)
