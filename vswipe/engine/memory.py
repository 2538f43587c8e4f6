"""The memory that networks read: which frames are in it, and what they are encoded to, kept in the ring.

What is kept for a frame depends on that frame, on the fixed grid and on the cuts around it only, so that any order of
requests gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vswipe.engine.ring import FrameRing
from vswipe.nets._memory import Features, Memory
from vswipe.nets.rn import Recording, Tape, mix_recordings


class Timeline:
    """Which frames belong together.

    Args:
        num_frames: length of the clip.
        linked: whether frames n and n + 1 belong to one shot.
    """

    def __init__(self, num_frames: int, linked: Callable[[int], bool]) -> None:
        self.num_frames = num_frames
        self._linked = linked
        self._known: dict[int, bool] = {}

    def linked(self, n: int) -> bool:
        """Whether n and n + 1 are one shot; False beyond the clip's ends."""
        if n not in self._known:
            self._known[n] = 0 <= n < self.num_frames - 1 and bool(self._linked(n))
        return self._known[n]

    def shot(self, n: int, before: int, after: int) -> range:
        """Frames of n's shot among n - before ... n + after."""
        first = last = n
        while first > n - before and self.linked(first - 1):
            first -= 1
        while last < n + after and self.linked(last):
            last += 1
        return range(first, last + 1)


def on_grid(frames: Iterable[int], stride: int) -> list[int]:
    """Those of the frames that are reference frames."""
    return [n for n in frames if n % stride == 0]


@dataclass(frozen=True)
class Inputs:
    """What a network takes of some frames, padded to the sizes it can take.

    Args:
        frames: (1, T, 3, H, W), RGB 0..1.
        masks: (1, T, 1, H, W), 1 = hole.
        base: (1, T, 3, H, W), hole filled by simpler means.
    """

    frames: Tensor
    masks: Tensor
    base: Tensor

    @property
    def all(self) -> tuple[Tensor, Tensor, Tensor]:
        """In the order in which networks take them."""
        return self.frames, self.masks, self.base

    @staticmethod
    def together(parts: list[Inputs]) -> Inputs:
        """One after the other in time."""
        return Inputs(*(torch.cat(values, 1) for values in zip(*(p.all for p in parts), strict=True)))


@dataclass(frozen=True)
class _Block:
    """Reference frames that were run together, their statistics and features (1, T, C, h, w)."""

    frames: tuple[int, ...]
    recorded: Recording
    features: Features

    def frame(self, n: int) -> Features:
        t = self.frames.index(n)
        return Features(self.features.key[:, t : t + 1], self.features.value[:, t : t + 1])


Load = Callable[[int], Inputs]


class MemoryBank:
    """Keys and values of the frames of one place in the picture.

    Args:
        net: "memory" network (`encode`, `remember`, `complete`), e.g. OPN or RNoT.
        ring: where encoded frames are kept, in half precision: 4 bytes per channel and quarter-size cell of key and
            value, 32 bytes per pixel at 128 channels.
        place: what tells this place from others of the same ring.
        load: inputs of a frame, for encoding it.
        timeline: cuts.
        radius: frames on each side that are read; they fade out towards it, so that none comes or goes at once.

    A network with statistics of its own (RNoT) runs over blocks of two reference frames first: that gives their memory
    and the statistics, which other frames are computed with, changing smoothly from block to block.

    Ring kinds: "net.encode" per frame, "net.block" per block and shot.
    """

    def __init__(self, net: Any, ring: FrameRing, place: Hashable, load: Load, timeline: Timeline, radius: int) -> None:
        self.net, self.ring, self.place, self.load, self.timeline = net, ring, place, load, timeline
        self.stride = net.spec.reference_stride
        self.radius = radius
        self._recalled: dict[int, Memory] = {}

    def features(self, n: int) -> Features:
        """Frame n, encoded, in half precision even when nothing was in the ring: the result must not depend on it."""

        def compute() -> Features:
            inputs = self.load(n)
            tape = self.tape(n)
            features = self.net.encode(*inputs.all, **({} if tape is None else {"tape": tape}))
            return Features(features.key.half(), features.value.half())

        return self.ring.get("net.encode", (self.place, n), compute)

    def references(self, n: int) -> list[int]:
        """Frames that n reads: reference frames of its shot within the radius, or the near ones of a short shot."""
        shot = self.timeline.shot(n, self.radius, self.radius)
        chosen = [r for r in on_grid(shot, self.stride) if r != n]
        return chosen or [m for m in shot if m != n and abs(m - n) <= self.stride]

    def memory(self, n: int) -> list[Memory]:
        """What frame n reads, nearer frames with more weight."""
        return [self._recall(r).weighted(1 - abs(r - n) / (self.radius + 1)) for r in self.references(n)]

    def complete(self, n: int, inputs: Inputs, shots: int | None) -> Tensor:
        """Frame n, (1, 1, 3, H, W), its hole filled; `shots` as in the network, for those that have it."""
        tape = self.tape(n)
        options: dict[str, Any] = {"shots": shots} if tape is None and self.net.spec.shots != 1 else {}
        if tape is not None:
            tape.position = self.net.encoded_layers
            options["tape"] = tape
        kept = self.features(n)
        features = Features(kept.key.float(), kept.value.float())
        return self.net.complete(features, [self.memory(n)], *inputs.all, **options)

    def tape(self, n: int) -> Tape | None:
        """Statistics for frame n, between those of the two blocks around it.

        None: the network has none, or the shot is so short that it holds no reference frame (the frame's own are used).
        """
        if not hasattr(self.net, "statistics"):
            return None
        length = 2 * self.stride
        k, rest = divmod(n - self.stride / 2, length)  # half a stride: the middle of a block's two frames
        shot = self.timeline.shot(n, 3 * self.stride, 3 * self.stride)
        found = []
        for first in (int(k) * length, int(k + 1) * length):
            frames = [r for r in (first, first + self.stride) if r in shot]
            found.append(self._block(frames[0]).recorded if frames else None)
        before, after = found
        if before is not None and after is not None:
            return Tape(mix_recordings(before, after, rest / length))
        one = after if before is None else before
        return None if one is None else Tape(one)

    def _block(self, n: int) -> _Block:
        """The block that reference frame n lies in: those of its two frames that belong to n's shot."""
        first = n // (2 * self.stride) * 2 * self.stride
        shot = self.timeline.shot(n, self.stride, self.stride)
        frames = tuple(r for r in (first, first + self.stride) if r in shot)

        def compute() -> _Block:
            recorded, features = self.net.statistics(*Inputs.together([self.load(r) for r in frames]).all)
            return _Block(frames, recorded, Features(features.key.half(), features.value.half()))

        return self.ring.get("net.block", (self.place, frames), compute)

    def _recall(self, n: int) -> Memory:
        if n not in self._recalled:  # within one call: it is a part of the features, and quickly cut out again
            if hasattr(self.net, "statistics") and n % self.stride == 0:
                features = self._block(n).frame(n)
            else:
                features = self.features(n)
            self._recalled[n] = self.net.remember(features, self.load(n).masks)[0][0]
        return self._recalled[n]


def bank_reach(net: Any, radius: int) -> int:
    """Frames on each side that a memory of this radius may look at."""
    stride = net.spec.reference_stride
    return max(radius + stride, 3 * stride) if hasattr(net, "statistics") else radius
