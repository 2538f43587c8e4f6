"""Spatial-Temporal Transformer Network: patches of all frames of a window look for each other at four sizes.

Zeng, Fu, Chao: Learning Joint Spatial-Temporal Transformations for Video Inpainting, ECCV 2020,
https://arxiv.org/abs/2007.10247. Written anew; with default options parameters, names and arithmetic are those of the
published `sttn.pth`, including that hidden patches are attended to like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vswipe.nets._blocks import SLOPE, ResidualHead, check_inputs, he_init, paste, scaled
from vswipe.nets.spec import Spec

Pairs = Sequence[tuple[int, int]]

DIVISIONS: Pairs = ((1, 1), (3, 3), (6, 6), (12, 12))  # patches per row and column of the 1/4 map, one per head
PATCHES: Pairs = ((8, 16), (8, 8), (4, 8), (4, 4))  # our own: height and width in cells, whatever the frame's size
_MAX_SCORES = 1 << 25  # patch pairs at once; more are compared in parts, with the same result


class Attention(nn.Module):
    """Multi-scale patch attention over all frames, section 3.2 of the paper, equations 3 to 6."""

    def __init__(self, channels: int, divisions: Pairs | None, patches: Pairs | None) -> None:
        super().__init__()
        self.divisions, self.patches = divisions, patches
        self.query_embedding = nn.Conv2d(channels, channels, 1)
        self.value_embedding = nn.Conv2d(channels, channels, 1)
        self.key_embedding = nn.Conv2d(channels, channels, 1)
        self.output_linear = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE))

    def forward(self, x: Tensor, hidden: Tensor | None, clips: int) -> Tensor:
        """x (B * T, C, h, w); hidden (B * T, 1, h, w), cells of the hole that must not be looked at, or None."""
        height, width = x.shape[-2:]
        embeddings = (self.query_embedding, self.key_embedding, self.value_embedding)
        heads = zip(*(e(x).chunk(4, 1) for e in embeddings), strict=True)
        outputs = []
        for i, (query, key, value) in enumerate(heads):
            if self.patches is not None:
                size = self.patches[i]
            else:
                assert self.divisions is not None
                rows, columns = self.divisions[i]
                size = (height // rows, width // columns)
            blocked = None
            if hidden is not None:
                blocked = F.avg_pool2d(hidden, size, size).unflatten(0, (clips, -1)).flatten(1) > 0.5
                blocked = blocked & ~blocked.all(1, keepdim=True)  # nothing to see: look at everything
            q, k, v = (_to_patches(y, size, clips) for y in (query, key, value))
            outputs.append(_from_patches(_attend(q, k, v, blocked), size, x.shape[0], height, width))
        return self.output_linear(torch.cat(outputs, 1))


def _to_patches(x: Tensor, size: tuple[int, int], clips: int) -> Tensor:
    """(B * T, C, h, w) -> (B, T * patches, C * height * width)."""
    n, c, height, width = x.shape
    rows, columns = height // size[0], width // size[1]
    x = x.view(n, c, rows, size[0], columns, size[1]).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(clips, n // clips * rows * columns, c * size[0] * size[1])


def _from_patches(x: Tensor, size: tuple[int, int], n: int, height: int, width: int) -> Tensor:
    rows, columns = height // size[0], width // size[1]
    x = x.view(n, rows, columns, -1, *size).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(n, -1, height, width)


def _attend(query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None) -> Tensor:
    """Softmax attention of (B, N, D) tokens; blocked (B, N) keys are not looked at."""
    step = max(1, _MAX_SCORES // (key.shape[0] * key.shape[1]))
    parts = []
    for part in query.split(step, 1):
        scores = part @ key.transpose(1, 2) / math.sqrt(part.shape[-1])
        if blocked is not None:
            scores = scores.masked_fill(blocked[:, None], -torch.inf)
        parts.append(scores.softmax(-1) @ value)
    return torch.cat(parts, 1)


class FeedForward(nn.Module):
    """Two convolutions, the first dilated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Block(nn.Module):
    """Attention and feed-forward, each added to its input; no normalisation."""

    def __init__(self, channels: int, divisions: Pairs | None, patches: Pairs | None) -> None:
        super().__init__()
        self.attention = Attention(channels, divisions, patches)
        self.feed_forward = FeedForward(channels)

    def start_small(self) -> None:
        """Both branches a tenth: without normalisation every He-initialised one would double the variance."""
        for layer in (self.attention.output_linear[0], self.feed_forward.conv[2]):
            assert isinstance(layer, nn.Conv2d)
            layer.weight.data.mul_(0.1)

    def forward(self, x: Tensor, hidden: Tensor | None, clips: int) -> Tensor:
        x = x + self.attention(x, hidden, clips)
        return x + self.feed_forward(x)


class Up(nn.Module):
    """Bilinear enlargement by 2, then a convolution."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


class Transformer(nn.Module):
    """What STTN and auto-STTN share.

    Args:
        spec: needs of the network.
        inputs: channels of the input.
        width: multiplier of all channel counts.
        depth: transformer blocks.
        divisions, patches: patch sizes by number or in cells; one of them.
        head: our own end at full resolution, made from the decoder's channels; None: the published one.
    """

    def __init__(
        self,
        spec: Spec,
        inputs: int,
        width: float,
        depth: int,
        divisions: Pairs | None,
        patches: Pairs | None,
        head: Callable[[int], Any] | None,
    ) -> None:
        super().__init__()
        self.spec = spec
        narrow, middle, wide = scaled(64, width), scaled(128, width), scaled(256, width)
        self.encoder = nn.Sequential(
            nn.Conv2d(inputs, narrow, 3, 2, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(narrow, narrow, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(narrow, middle, 3, 2, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(middle, wide, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )
        self.transformer = nn.Sequential(*(Block(wide, divisions, patches) for _ in range(depth)))
        decoder: list[nn.Module] = [
            Up(wide, middle),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(middle, narrow, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            Up(narrow, narrow),
            nn.LeakyReLU(SLOPE),
        ]
        if head is None:
            decoder.append(nn.Conv2d(narrow, 3, 3, padding=1))
        self.decoder = nn.Sequential(*decoder)
        if head is not None:
            self.head = head(narrow)
            he_init(self)
            for block in self.transformer:
                assert isinstance(block, Block)
                block.start_small()
            self.head.start_at_zero()

    def blocks(self, features: Tensor, hidden: Tensor | None) -> Tensor:
        """All transformer blocks over the features (B, T, C, h, w) of a window; hidden (B * T, 1, h, w) or None."""
        x = features.flatten(0, 1)
        for block in self.transformer:
            x = block(x, hidden, features.shape[0])
        return x.unflatten(0, features.shape[:2])


class STTN(Transformer):
    """Spatial-Temporal Transformer Network.

    Args:
        own: paint holes with `base` and predict a residual on it with a full-resolution head, see the mask, do not
            attend to hidden patches, and use patches of fixed size.
        width: multiplier of all channel counts.
        depth: transformer blocks.
    """

    def __init__(self, own: bool = False, width: float = 1.0, depth: int = 8) -> None:
        spec = Spec("sttn", 20, 10, (32, 64) if own else (48, 48), base=own, kind="window", window=10)
        super().__init__(spec, 4 if own else 3, width, depth, None if own else DIVISIONS, PATCHES if own else None,
                         ResidualHead if own else None)  # fmt: skip
        self.own = own
        self.options: dict[str, Any] = {"own": own, "width": width, "depth": depth}

    def encode(self, frames: Tensor, masks: Tensor, base: Tensor | None = None) -> Tensor:
        """Frames (B, T, 3, H, W), each on its own -> features (B, T, C, H/4, W/4)."""
        x = self._painted(frames, masks, base) * 2 - 1
        if self.own:
            x = torch.cat([x, masks], 2)
        return self.encoder(x.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def transform(self, features: Tensor, masks: Tensor) -> Tensor:
        """Features (B, T, C, H/4, W/4) of all frames of a window, after they have looked at each other."""
        return self.blocks(features, F.max_pool2d(masks.flatten(0, 1), 4) if self.own else None)

    def render(self, features: Tensor, frames: Tensor, masks: Tensor, base: Tensor | None = None) -> Tensor:
        """Frames with their holes filled, from their transformed features; any of the window's frames."""
        x = self.decoder(features.flatten(0, 1))
        painted = self._painted(frames, masks, base)
        if self.own:
            flat = painted.flatten(0, 1)
            x = flat + self.head(x, flat, masks.flatten(0, 1))
        else:
            x = (torch.tanh(x) + 1) / 2
        return paste(frames, masks, x.unflatten(0, frames.shape[:2]).clamp(0, 1))

    def forward(self, frames: Tensor, masks: Tensor, base: Tensor | None = None) -> Tensor:
        """See `create`."""
        check_inputs("sttn", frames, masks, base, self.own)
        self.spec.check_size(*frames.shape[-2:])
        return self.render(self.transform(self.encode(frames, masks, base), masks), frames, masks, base)

    def _painted(self, frames: Tensor, masks: Tensor, base: Tensor | None) -> Tensor:
        # 0.5 becomes the zero that the published code multiplies the hole to.
        return paste(frames, masks, base if self.own and base is not None else torch.full_like(frames, 0.5))
