"""What memory networks keep of a frame, and how a frame reads the memory. The networks never store it: callers do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

_MAX_SCORES = 1 << 25  # query-key pairs at once; more are read in parts, with the same result


@dataclass(frozen=True)
class Features:
    """A frame or several, encoded.

    Args:
        key: (B, T, C, H/4, W/4), what a frame asks with and is found by.
        value: (B, T, C, H/4, W/4), what it gives, and what its own picture is decoded from.
    """

    key: Tensor
    value: Tensor


@dataclass(frozen=True)
class Memory:
    """The visible cells of one frame.

    Args:
        key, value: (N, C).
        bias: added to the scores of all its cells; the logarithm of the frame's weight.
    """

    key: Tensor
    value: Tensor
    bias: float = 0.0

    def weighted(self, weight: float) -> Memory:
        """The same memory, to be read with a weight, > 0."""
        return replace(self, bias=math.log(weight))


def recall(features: Features, cells: Tensor, b: int, t: int) -> Memory:
    """Memory of one frame: its cells (h, w) bool that are visible."""
    return Memory(features.key[b, t][:, cells].T.contiguous(), features.value[b, t][:, cells].T.contiguous())


def read(query: Tensor, memory: Sequence[Memory]) -> Tensor:
    """Sum of the memory's values, weighed by their likeness to the query.

    Args:
        query: (N, C).
        memory: frames; an empty one does no harm.

    Returns:
        (N, C); zeros when there is nothing to read.

    Oh et al., ICCV 2019, equation 1, https://arxiv.org/abs/1908.08718
    """
    memory = [m for m in memory if m.key.shape[0]]
    if not memory or not query.shape[0]:
        return torch.zeros_like(query)
    keys = torch.cat([m.key for m in memory]).to(query.dtype)[None, None]
    values = torch.cat([m.value for m in memory]).to(query.dtype)[None, None]
    bias = None
    if any(m.bias for m in memory):
        bias = torch.cat([query.new_full((m.key.shape[0],), m.bias) for m in memory])
    step = max(1, _MAX_SCORES // keys.shape[2])
    parts = []
    for part in query.split(step):
        scores = None if bias is None else bias.expand(1, 1, part.shape[0], -1)
        parts.append(F.scaled_dot_product_attention(part[None, None], keys, values, attn_mask=scores)[0, 0])
    return torch.cat(parts)


def any_cell(masks: Tensor) -> Tensor:
    """Cells of 4x4 pixels that hold a masked one: masks (B, T, 1, H, W) -> (B, T, H/4, W/4) bool."""
    return F.max_pool2d(masks.flatten(0, 1).float(), 4).unflatten(0, masks.shape[:2])[:, :, 0] > 0.5


def sampled_cell(masks: Tensor) -> Tensor:
    """The published rule: a bilinear sample at the cell's centre, (B, T, H/4, W/4), 0..1."""
    small = F.interpolate(masks.flatten(0, 1).float(), scale_factor=0.25, mode="bilinear", align_corners=False)
    return small.unflatten(0, masks.shape[:2])[:, :, 0]


def other_frames(memories: list[list[Memory]], chosen: Sequence[int], num_frames: int) -> list[list[Memory]]:
    """For every frame of every clip (B * T lists) the chosen frames' memories, but never its own."""
    return [[clip[m] for m in chosen if m != t] for clip in memories for t in range(num_frames)]
