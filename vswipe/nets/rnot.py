"""RNoT: the Onion-Peel Network's temporal memory with region normalisation, in a single shot.

The reading of Oh et al. (ICCV 2019, https://arxiv.org/abs/1908.08718), region normalisation of Yu et al. (AAAI 2020,
https://arxiv.org/abs/1911.10375): RN-B in the encoder, RN-L after it, 4 residual blocks to the features that frames are
compared by and 8 to those that they are made of. Neither code nor weights were ever published: what the article leaves
open (widths, the stem, how holes are resized) is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vswipe.nets._blocks import MEAN, STD, ResidualHead, check_inputs, colour, he_init, paste, scaled
from vswipe.nets._memory import Features, Memory, any_cell, other_frames, read, recall
from vswipe.nets.rn import RNB, RNL, Recording, ResBlock, Tape, run
from vswipe.nets.spec import Spec


class RNoT(nn.Module):
    """Region-normalised memory network.

    Args:
        own: paint holes with `base` and predict a residual on it with a full-resolution head; offsets of RN-B within
            their region only.
        width: multiplier of all channel counts.
        depth: residual blocks of the content branch; the comparing branch has half of them.

    Statistics are those of the window: all frames of one clip. Whoever runs frames one by one records them for some
    frames of the neighbourhood (`statistics`) and plays them back (`tape`).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, own: bool = False, width: float = 1.0, depth: int = 8) -> None:
        super().__init__()
        self.own = own
        self.options: dict[str, Any] = {"own": own, "width": width, "depth": depth}
        self.spec = Spec("rnot", 20, 5, (4, 4), base=own)
        narrow, wide = scaled(64, width), scaled(128, width)
        self.stem1 = nn.Conv2d(5, narrow, 7)
        self.norm1 = RNB(narrow, own)
        self.stem2 = nn.Conv2d(narrow, wide, 4, 2, 1)
        self.norm2 = RNB(wide, own)
        self.stem3 = nn.Conv2d(wide, wide, 4, 2, 1)
        self.norm3 = RNB(wide, own)
        self.ask = nn.Sequential(*(ResBlock(wide) for _ in range(max(1, depth // 2))))
        self.tell = nn.Sequential(*(ResBlock(wide) for _ in range(depth)))
        self.decoder = nn.Sequential(
            nn.Conv2d(wide, 4 * wide, 3, padding=1),
            nn.PixelShuffle(2),
            RNL(),
            nn.ReLU(),
            nn.Conv2d(wide, 4 * narrow, 3, padding=1),
            nn.PixelShuffle(2),
            RNL(),
            nn.ReLU(),
        )
        self.register_buffer("mean", colour(MEAN), persistent=False)
        self.register_buffer("std", colour(STD), persistent=False)
        if own:
            self.head = ResidualHead(narrow)
            he_init(self)
            self.head.start_at_zero()
        else:
            self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(narrow, 3, 7))

    def encode(self, frames: Tensor, masks: Tensor, base: Tensor | None = None, tape: Tape | None = None) -> Features:
        """Frames (B, T, 3, H, W) -> features, normalised over T."""
        clips, hole = frames.shape[0], masks.flatten(0, 1)
        x = (self._painted(frames, masks, base).flatten(0, 1) - self.mean) / self.std
        x = F.pad(torch.cat([x, 1 - hole, hole], 1), (3, 3, 3, 3), mode="reflect")
        x = F.relu(self.norm1(self.stem1(x), hole, clips, tape))
        x = F.relu(self.norm2(self.stem2(x), hole, clips, tape))
        x = F.relu(self.norm3(self.stem3(x), hole, clips, tape))
        key, value = run(self.ask, x, clips, tape), run(self.tell, x, clips, tape)
        return Features(key.unflatten(0, frames.shape[:2]), value.unflatten(0, frames.shape[:2]))

    def remember(self, features: Features, masks: Tensor) -> list[list[Memory]]:
        """Memory of every frame of every clip, without the cells that the hole touches."""
        visible = ~any_cell(masks)
        return [[recall(features, visible[b, t], b, t) for t in range(masks.shape[1])] for b in range(masks.shape[0])]

    def complete(
        self,
        features: Features,
        memories: Sequence[Sequence[Memory]],
        frames: Tensor,
        masks: Tensor,
        base: Tensor | None = None,
        tape: Tape | None = None,
    ) -> Tensor:
        """Frames with their holes filled: the whole hole reads `memories` (B * T lists) at once, then is decoded."""
        clips, num_frames = masks.shape[:2]
        asking, value = any_cell(masks), features.value.clone()
        for b in range(clips):
            for t in range(num_frames):
                cells = asking[b, t]
                found = read(features.key[b, t][:, cells].T, memories[b * num_frames + t])
                value[b, t, :, cells] = (value[b, t, :, cells] + found.T).to(value.dtype)
        x = run(self.decoder, value.flatten(0, 1), clips, tape)
        painted = self._painted(frames, masks, base)
        if self.own:
            flat = painted.flatten(0, 1)
            x = flat + self.head(x, flat, masks.flatten(0, 1))
        else:
            x = self.last(x) * self.std + self.mean
        return paste(frames, masks, x.unflatten(0, frames.shape[:2]).clamp(0, 1))

    @property
    def encoded_layers(self) -> int:
        """How many entries of a tape `encode` takes; `complete` takes the others."""
        return 3 + 2 * (len(self.ask) + len(self.tell))

    def statistics(self, frames: Tensor, masks: Tensor, base: Tensor | None = None) -> tuple[Recording, Features]:
        """Statistics of every layer over a window, to be played back by a `Tape`, and the window's features."""
        tape = Tape()
        features = self.encode(frames, masks, base, tape)
        memories = other_frames(self.remember(features, masks), range(frames.shape[1]), frames.shape[1])
        self.complete(features, memories, frames, masks, base, tape)
        return tape.recorded, features

    def forward(
        self, frames: Tensor, masks: Tensor, base: Tensor | None = None, references: Sequence[int] | None = None
    ) -> Tensor:
        """See `create`.

        Args:
            references: frames of the window that are memory; the default is all. No frame reads itself.
        """
        check_inputs("rnot", frames, masks, base, self.own)
        self.spec.check_size(*frames.shape[-2:])
        features = self.encode(frames, masks, base)
        chosen = range(frames.shape[1]) if references is None else references
        memories = other_frames(self.remember(features, masks), chosen, frames.shape[1])
        return self.complete(features, memories, frames, masks, base)

    def _painted(self, frames: Tensor, masks: Tensor, base: Tensor | None) -> Tensor:
        fill = base if self.own and base is not None else self.mean[None].expand_as(frames)
        return paste(frames, masks, fill)
