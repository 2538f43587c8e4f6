"""auto-STTN: an STTN that takes no mask, sees the text in its 640x120 strips itself and paints it over.

The generator of the published `detext_trial.pth` and `infer_model.pth`, written anew; with default options parameters,
names and arithmetic are theirs. Network: Zeng et al., ECCV 2020, https://arxiv.org/abs/2007.10247.

Our own says where it sees text, takes these pixels away and completes them smoothly from the others, and adds a
residual. So that it learns two things it can be told apart: where text is (`seen`, a loss of its own), and what the
smooth completion lacks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vswipe.nets._blocks import SLOPE, local_contrast
from vswipe.nets.spec import Spec
from vswipe.nets.sttn import PATCHES, Pairs, Transformer

DIVISIONS: Pairs = ((2, 2), (5, 5), (6, 16), (10, 32))  # of a 160x30 map: 80x15, 32x6, 10x5 and 5x3 cells


PRIOR = -4.0  # logit of text in an untrained network: 2 pixels of 100
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


class EraserHead(nn.Module):
    """Full-resolution end of our own: where text is, and what to add to the completed picture.

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
        """Residual (N, 3, H, W) and logit of text (N, 1, H, W), for features (N, C, H, W) and frames (N, 3, H, W)."""
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
        own: see text in a head of full resolution, complete what it hides, predict a residual on that, and use patches
            of fixed size.
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
        """Frames (B, T, 3, H, W) without their text, and the logit of text (B, T, 1, H, W); of our own network."""
        if not self.own:
            raise ValueError("autosttn: own must be True to say where text is, got False")
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
        # Untrained nothing is taken away at all, and the network gives its input.
        nothing = torch.sigmoid(seen.new_tensor(PRIOR))
        hidden = (torch.sigmoid(seen) - nothing) / (1 - nothing)
        # The square keeps what little is left of a bright letter out of its surroundings.
        known = (1 - hidden.clamp(0, 1)) ** 2
        with torch.autocast(frames.device.type, enabled=False):
            picture = complete(flat.float(), known) + residual
        return picture.unflatten(0, frames.shape[:2]).clamp(0, 1), seen.unflatten(0, frames.shape[:2])
