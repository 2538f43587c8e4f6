"""auto-STTN: an STTN that takes no mask, sees the text in its 640x120 strips itself and paints it over.

The generator of the published `detext_trial.pth` and `infer_model.pth`, written anew; with default options parameters,
names and arithmetic are theirs. Network: Zeng et al., ECCV 2020, https://arxiv.org/abs/2007.10247.

Our own says where it sees a mark, text or logo, takes these pixels away and completes them from the others, and adds a
residual. So that it learns two things it can be told apart: where marks are (`seen`, a loss of its own), and what the
completion lacks. While it learns the completion is soft and smooth, with a gradient; a trained one decides pixel by
pixel and fills along edges, which is 0.4 to 2 dB better on held-out windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vswipe.nets._blocks import SLOPE, local_contrast
from vswipe.nets.spec import Spec
from vswipe.nets.sttn import PATCHES, Pairs, Transformer
from vswipe.restore import spatial

DIVISIONS: Pairs = ((2, 2), (5, 5), (6, 16), (10, 32))  # of a 160x30 map: 80x15, 32x6, 10x5 and 5x3 cells


PRIOR = -4.0  # logit of a mark in an untrained network: 2 pixels of 100
_DECIDED = 0.6  # probability from which a trained network fills a pixel: 0.5 eats into the surroundings of letters
_LEAST = 1e-3  # a cell of which less is known takes its colour from around it


def complete(frames: Tensor, known: Tensor) -> Tensor:
    """Smooth completion of what is not known, with a gradient to both.

    Args:
        frames: (N, C, H, W).
        known: (N, 1, H, W), 1 = keep, 0 = replace, between: blend.

    Returns:
        Like `frames`.

    Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4 (pull, push).
    """
    height, width = frames.shape[-2:]
    if min(height, width) <= 2:
        total = (frames * known).sum((2, 3), keepdim=True)
        around = total / known.sum((2, 3), keepdim=True).clamp_min(_LEAST)
    else:
        odd = (0, width % 2, 0, height % 2)
        padded, weights = (F.pad(frames, odd), F.pad(known, odd)) if any(odd) else (frames, known)
        weight = F.avg_pool2d(weights, 2)
        small = F.avg_pool2d(padded * weights, 2) / weight.clamp_min(_LEAST)
        # A parent with one known child is known enough: only the direction to the hole matters.
        low = complete(small, (4 * weight).clamp_max(1))
        around = F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
    return known * frames + (1 - known) * around


def fill(frames: Tensor, hole: Tensor) -> Tensor:
    """Frames filled along their edges, each from itself (`restore.spatial.fill`), without a gradient.

    Args:
        frames: (N, 3, H, W), 0..1.
        hole: (N, 1, H, W) bool; a frame that is all hole stays as it is.
    """
    out = frames.clone()
    for n, where in enumerate(hole[:, 0].cpu().numpy().astype(np.uint8)):
        if where.any() and not where.all():
            picture = (frames[n].permute(1, 2, 0) * 255).cpu().numpy()
            filled = spatial.fill(np.ascontiguousarray(picture, np.float32), where)
            out[n] = torch.from_numpy(filled).to(frames).permute(2, 0, 1) / 255
    return out


class EraserHead(nn.Module):
    """Full-resolution end of our own: where marks are, and what to add to the completed picture.

    Args:
        channels_in: of the decoder's features, at full resolution.
        channels: inside the head.
    """

    def __init__(self, channels_in: int, channels: int = 32) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels_in + 7, channels, 3, padding=1)
        self.middle = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.last = nn.Conv2d(channels, 4, 3, padding=1)

    def start_at_zero(self) -> None:
        """To be called after any initialisation of the whole network."""
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Residual (N, 3, H, W) and logit of a mark (N, 1, H, W), for features (N, C, H, W) and frames (N, 3, H, W)."""
        mean, contrast = local_contrast(frames)
        # Text is as much a matter of plain brightness as of standing out.
        x = torch.cat([features, *(y.to(features.dtype) for y in
                                   ((frames - mean) / contrast, frames * 2 - 1, contrast * 4))], 1)  # fmt: skip
        x = F.leaky_relu(self.enter(x), SLOPE)
        x = x + F.leaky_relu(self.middle(x), SLOPE)
        x = self.last(x).float()
        return x[:, :3] * contrast, x[:, 3:] + PRIOR


class AutoSTTN(Transformer):
    """Mask-free Spatial-Temporal Transformer Network.

    Args:
        own: see marks in a head of full resolution, complete what they hide, predict a residual on that, and use
            patches of fixed size.
        width: multiplier of all channel counts.
        depth: transformer blocks.
    """

    def __init__(self, own: bool = False, width: float = 1.0, depth: int = 8) -> None:
        spec = Spec("autosttn", 20, 5, (32, 64) if own else (120, 640), mask_free=True, kind="window", window=10)
        super().__init__(spec, 3, width, depth, None if own else DIVISIONS, PATCHES if own else None,
                         head=EraserHead if own else None)  # fmt: skip
        self.own = own
        self.options: dict[str, Any] = {"own": own, "width": width, "depth": depth}

    def encode(self, frames: Tensor, masks: Tensor | None = None, base: Tensor | None = None) -> Tensor:
        """Frames (B, T, 3, H, W), each on its own -> features (B, T, C, H/4, W/4). The mask is not looked at."""
        return self.encoder((frames * 2 - 1).flatten(0, 1)).unflatten(0, frames.shape[:2])

    def transform(self, features: Tensor, masks: Tensor | None = None) -> Tensor:
        """Features (B, T, C, H/4, W/4) of all frames of a window, after they have looked at each other."""
        return self.blocks(features, None)

    def render(
        self, features: Tensor, frames: Tensor, masks: Tensor | None = None, base: Tensor | None = None
    ) -> Tensor:
        """Frames without their text, from their transformed features; any of the window's frames."""
        return self._render(features, frames)[0]

    def erase(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, T, 3, H, W) without their marks, and the logit of a mark (B, T, 1, H, W); of our own network."""
        if not self.own:
            raise ValueError("autosttn: own must be True to say where marks are, got False")
        picture, seen = self._render(self.transform(self.encode(frames)), frames)
        assert seen is not None
        return picture, seen

    def forward(self, frames: Tensor, masks: Tensor | None = None, base: Tensor | None = None) -> Tensor:
        """See `create`; `masks` and `base` are not looked at."""
        if frames.dim() != 5 or frames.shape[2] != 3:
            raise ValueError(f"autosttn: frames must be (B, T, 3, H, W), got {tuple(frames.shape)}")
        self.spec.check_size(*frames.shape[-2:])
        return self.render(self.transform(self.encode(frames)), frames)

    def _render(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        x = self.decoder(features.flatten(0, 1))
        if not self.own:
            return ((torch.tanh(x) + 1) / 2).unflatten(0, frames.shape[:2]).clamp(0, 1), None
        flat = frames.flatten(0, 1)
        residual, seen = self.head(x, flat)
        if not self.training:
            filled = fill(flat.float(), torch.sigmoid(seen) > _DECIDED)
            # The residual is in units of contrast, which the mark itself had raised: a haze over flat ground.
            share = local_contrast(filled)[1] / local_contrast(flat.float())[1]
            picture = filled + residual * share.clamp(max=1)
            return picture.unflatten(0, frames.shape[:2]).clamp(0, 1), seen.unflatten(0, frames.shape[:2])
        # Untrained nothing is taken away at all, and the network gives its input.
        nothing = torch.sigmoid(seen.new_tensor(PRIOR))
        hidden = (torch.sigmoid(seen) - nothing) / (1 - nothing)
        # The square keeps what little is left of a bright letter out of its surroundings.
        known = (1 - hidden.clamp(0, 1)) ** 2
        with torch.autocast(frames.device.type, enabled=False):
            picture = complete(flat.float(), known) + residual
        return picture.unflatten(0, frames.shape[:2]).clamp(0, 1), seen.unflatten(0, frames.shape[:2])
