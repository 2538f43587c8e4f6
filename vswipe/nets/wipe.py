"""vswipe's own network: it sees the aligned copies with their confidences and says how far to trust each, and what is
still missing.

It works where copying decides: on a grid of blocks (one pixel up to 400 lines, 4x4 pixels at 1080), on a crop around
the hole. Per block it gives corrections of the copies' logits, relative to the fill from the frame itself, and a
residual: a share of two plainer fills in place of the one from the frame itself, and a rest that is bounded by how much
the candidates are in doubt. All are zero in the untrained network, which so is the copy stage itself.

A small U-Net (Ronneberger et al., MICCAI 2015, https://arxiv.org/abs/1505.04597) with dilated residual convolutions at
its bottom. Everything it sees is divided by the local contrast, so that it does the same in dark and in bright scenes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.nets._blocks import DilatedUNet, scaled, silent
from vswipe.nets.spec import Spec

NUM_COPIES = 4
"""Candidates from other frames: two directions, two completions of the flow."""
EXCHANGED = (2, 3, 0, 1)
"""The candidates when past and future change places."""
OF_COPIES = ("values", "logits", "rim", "rimmed")
"""Which fields of `Found` have the candidates for channels."""
MULTIPLE = 4

NUM_FILLS = 2
"""Plain fills that the one from the frame itself is weighed against (`restore.fills`)."""

_PLANES = 10 + 3 * NUM_COPIES + NUM_FILLS
_RIM_PLANES = 3 * NUM_COPIES
_WIDTHS = (24, 40)
_BOTTOM = 64  # 56: wrong gradients of dilated convolutions in bf16 (oneDNN, channels last)
_DILATIONS = (1, 2, 4, 8)  # over and over
_LARGEST_LOGIT = 4.0  # of a correction: e^4 turns any mix of two over
_LARGEST_DOUBT = 24.0  # levels
_SURE = 1.0  # levels that even an undoubted pixel may be moved by
_LARGEST_SHARE = 1.5  # of a plain fill; beyond 1 it leads away from the other one
_CHROMA_DOUBT = 0.5  # chroma varies less than luma
_REACH = 1.5  # local contrasts that the generative part may move a pixel by: between the two sides of an edge
_MEND = 2.0  # mean errors of the copies beside a pixel that it may be moved by
_NO_LOGIT = -12.0  # stands for a candidate that is not there
_CONTRAST_FLOOR = 3.0  # levels
_STATISTICS = 8  # side of the cells that mean and contrast are taken over; box filters took half of the time
_CLIP = 5.0
_RIM_CELL, _RIM_NEAR, _RIM_FAR, _RIM_FAINT = 4, 3, 9, 0.02
"""Side of the cells that the rim's errors are gathered in, cells of the box around each, and of a second one that only
counts where the first is empty, by its weight."""


@dataclass
class Found:
    """What the copy stage found, on a grid of blocks; 8-bit levels.

    Args:
        hole: (B, 1, H, W), 1 where a block holds hidden pixels.
        picture: (B, 3, H, W) Y, Cb, Cr; inside the hole the copy stage's mix.
        values: (B, M, H, W) the copies' luma.
        logits: (B, M, H, W), -inf where there is no copy.
        spatial: (B, 1, H, W) luma of the fill from the frame itself.
        own: (B, 1, H, W) its logit.
        texture: (B, 1, H, W) levels, detail of the visible surroundings.
        fills: (B, 2, H, W) luma of the plain fills.
        rim: (B, M, H, W) luma that each copy has for visible blocks beside the hole (`restore.propagate.Rim`).
        rimmed: (B, M, H, W), 1 where it has one.

        Only `picture` is read outside the hole; the others must be finite there, but for logits.
    """

    hole: Tensor
    picture: Tensor
    values: Tensor
    logits: Tensor
    spatial: Tensor
    own: Tensor
    texture: Tensor
    fills: Tensor
    rim: Tensor
    rimmed: Tensor


class Wipe(DilatedUNet):
    """Corrections of what copying decided.

    Args:
        width: multiplies all channel counts.
        bottom: channels at a quarter of the resolution, where most of the layers are.
        depth: dilated convolutions there; four reach 60 blocks far.
        generate: has the generative part: a second residual for what no frame shows.
        rim: sees how well the copies fit what is visible beside the hole, and has a third residual of that size.
    """

    spec = Spec("wipe", radius=0, reference_stride=1, multiple_of=(MULTIPLE, MULTIPLE), kind="fusion")

    def __init__(
        self, width: float = 1, bottom: int = _BOTTOM, depth: int = 3, generate: bool = False, rim: bool = False
    ) -> None:
        a, b, c = (scaled(channels, width) for channels in (*_WIDTHS, bottom))
        dilations = [_DILATIONS[i % len(_DILATIONS)] for i in range(depth)]
        super().__init__(_PLANES + rim * _RIM_PLANES, (a, b, c), dilations, NUM_COPIES + 3 + NUM_FILLS)
        self.options = {"width": width, "bottom": bottom, "depth": depth, "generate": generate, "rim": rim}
        self.generated = silent(a, 3) if generate else None
        self.mended = silent(a, 3) if rim else None

    def forward(self, found: Found) -> tuple[Tensor, Tensor]:
        """Corrections for every block of the hole, 0 elsewhere.

        Args:
            found: H and W multiples of 4.

        Returns:
            (B, M, H, W) to add to the copies' logits, and (B, 3, H, W) to add to the mix, levels.

        Raises:
            ValueError: sizes do not fit.
        """
        planes, doubt, contrast = describe(found)
        fit = None
        if self.mended is not None:
            more, fit = describe_rim(found, contrast)
            planes = torch.cat([planes, more], 1)
        self.spec.check_size(*planes.shape[-2:])
        features = self.features(planes)
        x = self.last(features).float()
        logits = _LARGEST_LOGIT * torch.tanh(x[:, :NUM_COPIES] / _LARGEST_LOGIT)
        residual = _by_plane(doubt) * torch.tanh(x[:, NUM_COPIES : NUM_COPIES + 3])
        alone = own_share(found, logits)
        shares = _LARGEST_SHARE * torch.tanh(x[:, NUM_COPIES + 3 :] / _LARGEST_SHARE)
        instead = alone * (shares * (found.fills - found.spatial)).sum(1, keepdim=True)
        residual = torch.cat([residual[:, :1] + instead, residual[:, 1:]], 1)
        if self.generated is not None:
            reach = _by_plane(_REACH * contrast)
            residual = residual + alone * reach * torch.tanh(self.generated(features).float())
        if self.mended is not None and fit is not None:
            residual = residual + _by_plane(_MEND * fit) * torch.tanh(self.mended(features).float())
        return logits * found.hole, residual * found.hole


def own_share(found: Found, logits: Tensor) -> Tensor:
    """(B, 1, H, W): the weight of the fill from the frame itself, the copies' logits corrected by (B, M, H, W)."""
    return torch.softmax(torch.cat([found.logits + logits, found.own], 1), 1)[:, -1:]


def describe(found: Found) -> tuple[Tensor, Tensor, Tensor]:
    """What the network sees (B, 24, H, W), by how many levels a pixel may be moved (B, 1, H, W), and the contrast
    around it, levels (B, 1, H, W)."""
    hole, base = found.hole, found.picture
    mean, contrast = _statistics(base)
    weights = torch.softmax(torch.cat([found.logits, found.own], 1), 1)
    there = torch.isfinite(found.logits)
    every = torch.cat([torch.where(there, found.values, base[:, :1]), found.spatial], 1) - base[:, :1]
    spread = (weights * every**2).sum(1, keepdim=True).sqrt()
    doubt = _SURE + spread + 2 * weights[:, -1:] * found.texture.clamp(max=_LARGEST_DOUBT)
    inside = torch.cat(
        [
            4 * spread / contrast,
            found.own / 2,
            torch.log1p(found.texture) / 2,
            every / doubt,
            (found.fills - base[:, :1]) / doubt,
            2 * weights,
            torch.where(there, found.logits.clamp(min=_NO_LOGIT), _NO_LOGIT) / 4,
        ],
        1,
    )
    planes = torch.cat([hole, 1.5 * (base - mean) / contrast, inside * hole, torch.log(contrast / 10)], 1)
    return planes.clamp(-_CLIP, _CLIP), doubt.clamp(max=_LARGEST_DOUBT), contrast


def describe_rim(found: Found, contrast: Tensor) -> tuple[Tensor, Tensor]:
    """What the visible surroundings say of the copies: per copy its error beside the hole, and around every block the
    mean of these and of their sizes (B, 12, H, W); and the last, under the copies' weights, levels (B, 1, H, W)."""
    height, width = found.hole.shape[-2:]
    num = found.rim.shape[1]
    error = torch.where(found.rimmed > 0, found.rim - found.picture[:, :1], 0.0)
    cells = F.avg_pool2d(torch.cat([error, error.abs(), found.rimmed], 1), _RIM_CELL, ceil_mode=True)
    near, far = (F.avg_pool2d(cells, size, 1, size // 2) for size in (_RIM_NEAR, _RIM_FAR))
    both = near + _RIM_FAINT * far
    mean = both[:, : 2 * num] / both[:, 2 * num :].clamp(min=1e-6).repeat(1, 2, 1, 1)
    size = (_RIM_CELL * cells.shape[-2], _RIM_CELL * cells.shape[-1])
    mean = F.interpolate(mean, size=size, mode="bilinear", align_corners=False)[..., :height, :width]
    weights = torch.softmax(torch.cat([found.logits, found.own], 1), 1)[:, :-1]
    fit = (weights * mean[:, num:]).sum(1, keepdim=True).clamp(max=_LARGEST_DOUBT) * found.hole
    planes = torch.cat([2 * error, 4 * mean * found.hole], 1) / contrast
    return planes.clamp(-_CLIP, _CLIP), fit


def _by_plane(levels: Tensor) -> Tensor:
    """(B, 3, H, W): what luma (B, 1, H, W) may be moved by, and chroma."""
    return torch.cat([levels, _CHROMA_DOUBT * levels, _CHROMA_DOUBT * levels], 1)


def _statistics(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, 3, H, W) and contrast of luma (B, 1, H, W) around every pixel: of coarse cells, read between them."""
    height, width = picture.shape[-2:]
    side = _STATISTICS
    # Whole cells: what a cell at the border lacks repeats it.
    padded = F.pad(picture, (0, -width % side, 0, -height % side), mode="replicate")
    both = F.avg_pool2d(torch.cat([padded, padded[:, :1] ** 2], 1), side)
    both = F.avg_pool2d(F.pad(both, (1, 1, 1, 1), mode="replicate"), 3, 1)
    mean, variance = both[:, :3], (both[:, 3:] - both[:, :1] ** 2).clamp(min=0)
    coarse = torch.cat([mean, variance.sqrt() + _CONTRAST_FLOOR], 1)
    fine = F.interpolate(coarse, size=padded.shape[-2:], mode="bilinear", align_corners=False)
    fine = fine[..., :height, :width]
    return fine[:, :3], fine[:, 3:]
