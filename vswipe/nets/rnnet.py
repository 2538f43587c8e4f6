"""RN-Net: the single-image network of the region normalisation paper, for checkpoints that users have.

Yu et al., AAAI 2020, https://arxiv.org/abs/1911.10375. Written anew; parameters, names and arithmetic are those of the
published generator, including that the batch's own statistics are used when it runs and that both offsets are added
everywhere.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vswipe.nets._blocks import check_inputs, paste
from vswipe.nets.rn import RNB, RNL, ResBlock, run
from vswipe.nets.spec import Spec


class RNNet(nn.Module):
    """Generator of RN-Net; each clip's frames share their statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, Any] = {}
        self.spec = Spec("rnnet", 0, 1, (4, 4), kind="window", window=1)
        self.encoder_conv1 = nn.Conv2d(3, 64, 7)
        self.encoder_in1 = RNB(64)
        self.encoder_conv2 = nn.Conv2d(64, 128, 4, 2, 1)
        self.encoder_in2 = RNB(128)
        self.encoder_conv3 = nn.Conv2d(128, 256, 4, 2, 1)
        self.encoder_in3 = RNB(256)
        self.middle = nn.Sequential(*(ResBlock(256) for _ in range(8)))
        self.decoder = nn.Sequential(
            nn.Conv2d(256, 512, 3, padding=1),
            nn.PixelShuffle(2),
            RNL(),
            nn.ReLU(),
            nn.Conv2d(128, 256, 3, padding=1),
            nn.PixelShuffle(2),
            RNL(),
            nn.ReLU(),
            nn.ReflectionPad2d(3),
            nn.Conv2d(64, 3, 7),
        )

    def encode(self, frames: Tensor, masks: Tensor, base: Tensor | None = None) -> Tensor:
        """Features (B, T, 256, H/4, W/4)."""
        clips = frames.shape[0]
        hole = masks.flatten(0, 1)
        x = F.pad(paste(frames, masks, torch.ones_like(frames)).flatten(0, 1), (3, 3, 3, 3), mode="reflect")
        x = F.relu(self.encoder_in1(self.encoder_conv1(x), hole, clips))
        x = F.relu(self.encoder_in2(self.encoder_conv2(x), hole, clips))
        x = F.relu(self.encoder_in3(self.encoder_conv3(x), hole, clips))
        return x.unflatten(0, frames.shape[:2])

    def transform(self, features: Tensor, masks: Tensor | None = None) -> Tensor:
        """Features after the residual blocks, same shape."""
        x = run(self.middle, features.flatten(0, 1), features.shape[0], None)
        return x.unflatten(0, features.shape[:2])

    def render(self, features: Tensor, frames: Tensor, masks: Tensor, base: Tensor | None = None) -> Tensor:
        """Frames with their holes filled, from their transformed features."""
        x = (torch.tanh(run(self.decoder, features.flatten(0, 1), frames.shape[0], None)) + 1) / 2
        return paste(frames, masks, x.unflatten(0, frames.shape[:2]))

    def forward(self, frames: Tensor, masks: Tensor, base: Tensor | None = None) -> Tensor:
        """See `create`."""
        check_inputs("rnnet", frames, masks, base, False)
        self.spec.check_size(*frames.shape[-2:])
        return self.render(self.transform(self.encode(frames, masks)), frames, masks)
