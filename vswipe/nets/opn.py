"""Onion-Peel Network: holes are filled ring by ring with what the visible parts of other frames show.

Oh, Lee, Lee, Kim: Onion-Peel Networks for Deep Video Completion, ICCV 2019, https://arxiv.org/abs/1908.08718. Written
anew; with default options parameters, names and arithmetic are those of the published `OPN.pth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vswipe.nets._blocks import MEAN, STD, GatedConv, ResidualHead, check_inputs, colour, he_init, paste, scaled
from vswipe.nets._memory import Features, Memory, any_cell, other_frames, read, recall, sampled_cell
from vswipe.nets.spec import Spec

RING = 8  # px per pass


class Encoder(nn.Module):
    """Frames with holes -> features at a quarter of the size."""

    mean: Tensor
    std: Tensor

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.conv12 = GatedConv(5, narrow, 5, stride=2)
        self.conv2 = GatedConv(narrow, narrow)
        self.conv23 = GatedConv(narrow, wide, stride=2)
        self.conv3a = GatedConv(wide, wide)
        self.conv3b = GatedConv(wide, wide, dilation=2)
        self.conv3c = GatedConv(wide, wide, dilation=4)
        self.conv3d = GatedConv(wide, wide, dilation=8)
        self.key3 = GatedConv(wide, wide, activation=False)
        self.val3 = GatedConv(wide, wide, activation=False)
        self.register_buffer("mean", colour(MEAN))
        self.register_buffer("std", colour(STD))

    def forward(self, painted: Tensor, valid: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
        """painted (N, 3, H, W), valid and missing (N, 1, H, W) -> key and value (N, C, H/4, W/4)."""
        x = torch.cat([(painted - self.mean) / self.std, valid, missing], 1)
        x = self.conv23(self.conv2(self.conv12(x)))
        x = self.conv3d(self.conv3c(self.conv3b(self.conv3a(x))))
        return self.key3(x), self.val3(x)


class Decoder(nn.Module):
    """Features at a quarter of the size -> picture, or features of the same size as the picture for our own head."""

    mean: Tensor
    std: Tensor

    def __init__(self, narrow: int, wide: int, own: bool) -> None:
        super().__init__()
        self.conv3d = GatedConv(wide, wide, dilation=8)
        self.conv3c = GatedConv(wide, wide, dilation=4)
        self.conv3b = GatedConv(wide, wide, dilation=2)
        self.conv3a = GatedConv(wide, wide)
        self.conv32 = GatedConv(wide, narrow)
        self.conv2 = GatedConv(narrow, narrow)
        self.conv21 = None if own else GatedConv(narrow, 3, 5, activation=False)
        self.register_buffer("mean", colour(MEAN))
        self.register_buffer("std", colour(STD))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3a(self.conv3b(self.conv3c(self.conv3d(x))))
        x = self.conv2(self.conv32(F.interpolate(x, scale_factor=2)))
        x = F.interpolate(x, scale_factor=2)
        return x if self.conv21 is None else self.conv21(x) * self.std + self.mean


class OPN(nn.Module):
    """Onion-Peel Network.

    Args:
        own: paint holes with `base`, predict a residual on it with a full-resolution head, and count every touched cell
            as hole.
        width: multiplier of all channel counts.
    """

    mean3d: Tensor

    def __init__(self, own: bool = False, width: float = 1.0) -> None:
        super().__init__()
        self.own = own
        self.options: dict[str, Any] = {"own": own, "width": width}
        self.spec = Spec("opn", 20, 5, (4, 4), shots=0, base=own)
        narrow, wide = scaled(64, width), scaled(128, width)
        self.Encoder = Encoder(narrow, wide)
        self.Decoder = Decoder(narrow, wide, own)
        self.register_buffer("mean", colour(MEAN))
        self.register_buffer("mean3d", torch.tensor(MEAN).view(1, 3, 1, 1, 1))
        if own:
            self.head = ResidualHead(narrow)
        he_init(self)
        if own:
            self.head.start_at_zero()

    def encode(
        self, frames: Tensor, masks: Tensor, base: Tensor | None = None, missing: Tensor | None = None
    ) -> Features:
        """Frames (B, T, 3, H, W), each on its own -> features.

        Args:
            missing: what is still hole after earlier passes, (B, T, 1, H, W); the default is the whole mask.
        """
        missing = masks if missing is None else missing
        painted = self._painted(frames, missing, base)
        key, value = self.Encoder(painted.flatten(0, 1), 1 - masks.flatten(0, 1), missing.flatten(0, 1))
        return Features(key.unflatten(0, frames.shape[:2]), value.unflatten(0, frames.shape[:2]))

    def remember(self, features: Features, masks: Tensor) -> list[list[Memory]]:
        """Memory of every frame of every clip, without the cells that the hole touches."""
        visible = ~(any_cell(masks) if self.own else sampled_cell(masks) > 0)
        return [[recall(features, visible[b, t], b, t) for t in range(masks.shape[1])] for b in range(masks.shape[0])]

    def complete(
        self,
        features: Features,
        memories: Sequence[Sequence[Memory]],
        frames: Tensor,
        masks: Tensor,
        base: Tensor | None = None,
        shots: int | None = None,
    ) -> Tensor:
        """Frames with their holes filled.

        Args:
            features: of these frames, from `encode`.
            memories: what each frame may read, B * T lists.
            shots: passes at most; the last one takes all that is left. 0: until nothing is left. None: `spec.shots`.

        Section 3.2 of the paper: rings of 8 px, measured from the visible side; the memory is not updated.
        """
        shots = self.spec.shots if shots is None else shots
        done, missing = self._painted(frames, masks, base), masks
        rings = 1 if shots == 1 else _num_rings(masks)
        count = min(rings, shots) if shots else rings
        depth = _depth(masks) if count > 1 else None
        for k in range(count):
            if k:
                features = self.encode(done, masks, base, missing)
            peel = missing
            if depth is not None and k < count - 1:
                peel = missing * (depth <= (k + 1) * RING)
            value = self._read(features, memories, peel)
            picture = self.Decoder(value.flatten(0, 1))
            if self.own:
                painted = done.flatten(0, 1)
                picture = painted + self.head(picture, painted, missing.flatten(0, 1))
            done = paste(done, peel, picture.unflatten(0, frames.shape[:2]).clamp(0, 1))
            missing = missing - peel
        return paste(frames, masks, done)

    def forward(
        self,
        frames: Tensor,
        masks: Tensor,
        base: Tensor | None = None,
        references: Sequence[int] | None = None,
        shots: int | None = None,
    ) -> Tensor:
        """See `create`.

        Args:
            references: frames of the window that are memory; the default is all. No frame reads itself.
            shots: as for `complete`.
        """
        check_inputs("opn", frames, masks, base, self.own)
        self.spec.check_size(*frames.shape[-2:])
        features = self.encode(frames, masks, base)
        chosen = range(frames.shape[1]) if references is None else references
        memories = other_frames(self.remember(features, masks), chosen, frames.shape[1])
        return self.complete(features, memories, frames, masks, base, shots)

    def _painted(self, frames: Tensor, missing: Tensor, base: Tensor | None) -> Tensor:
        fill = base if self.own and base is not None else self.mean3d.transpose(1, 2).expand_as(frames)
        return paste(frames, missing, fill)

    def _read(self, features: Features, memories: Sequence[Sequence[Memory]], peel: Tensor) -> Tensor:
        """Values with what the peel's cells found in the memory added to them."""
        asking = any_cell(peel) if self.own else sampled_cell(peel) >= 0.5
        value = features.value.clone()
        num_frames = peel.shape[1]
        for b in range(peel.shape[0]):
            for t in range(num_frames):
                cells = asking[b, t]
                found = read(features.key[b, t][:, cells].T, memories[b * num_frames + t])
                value[b, t, :, cells] = (value[b, t, :, cells] + found.T).to(value.dtype)
        return value


def _distance(masks: Tensor) -> list[np.ndarray]:
    holes = (masks > 0.5).flatten(0, 2).to(torch.uint8).cpu().numpy()
    # A frame without a visible pixel has no rings: it is one.
    return [cv2.distanceTransform(h, cv2.DIST_L2, 5) if not h.all() else np.ones(h.shape, np.float32) for h in holes]


def _depth(masks: Tensor) -> Tensor:
    """Distance to the visible side in pixels, like `masks` (B, T, 1, H, W)."""
    return torch.from_numpy(np.stack(_distance(masks))).to(masks.device).view(masks.shape)


def _num_rings(masks: Tensor) -> int:
    return max(1, int(np.ceil(max(d.max() for d in _distance(masks)) / RING)))
