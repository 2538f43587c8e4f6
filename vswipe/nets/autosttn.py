"""auto-STTN: an STTN that takes no mask, sees the text in its 640x120 strips itself and paints it over.

The generator of the published `detext_trial.pth` and `infer_model.pth`, written anew; with default options parameters,
names and arithmetic are theirs. Network: Zeng et al., ECCV 2020, https://arxiv.org/abs/2007.10247.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vswipe.nets.spec import Spec
from vswipe.nets.sttn import PATCHES, Pairs, Transformer

DIVISIONS: Pairs = ((2, 2), (5, 5), (6, 16), (10, 32))  # of a 160x30 map: 80x15, 32x6, 10x5 and 5x3 cells


class AutoSTTN(Transformer):
    """Mask-free Spatial-Temporal Transformer Network.

    Args:
        own: predict a residual on the input with a full-resolution head, and use patches of fixed size.
        width: multiplier of all channel counts.
        depth: transformer blocks.
    """

    def __init__(self, own: bool = False, width: float = 1.0, depth: int = 8) -> None:
        spec = Spec("autosttn", 20, 5, (32, 64) if own else (120, 640), mask_free=True, kind="window", window=10)
        super().__init__(spec, 3, width, depth, None if own else DIVISIONS, PATCHES if own else None, head=own)
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
        x = self.decoder(features.flatten(0, 1))
        if self.own:
            flat = frames.flatten(0, 1)
            x = flat + self.head(x, flat, torch.zeros_like(flat[:, :1]))
        else:
            x = (torch.tanh(x) + 1) / 2
        return x.unflatten(0, frames.shape[:2]).clamp(0, 1)

    def forward(self, frames: Tensor, masks: Tensor | None = None, base: Tensor | None = None) -> Tensor:
        """See `create`; `masks` and `base` are not looked at."""
        if frames.dim() != 5 or frames.shape[2] != 3:
            raise ValueError(f"autosttn: frames must be (B, T, 3, H, W), got {tuple(frames.shape)}")
        self.spec.check_size(*frames.shape[-2:])
        return self.render(self.transform(self.encode(frames)), frames)
