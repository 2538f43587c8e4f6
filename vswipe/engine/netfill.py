"""Holes filled by a network: windows and references on a fixed grid, each frame encoded once, nothing across a cut."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.engine.memory import Inputs, MemoryBank, Timeline, bank_reach, on_grid
from vswipe.engine.ring import FrameRing
from vswipe.engine.tiles import Tile, plan_tiles, tile_weight
from vswipe.nets.finish import RING, ring_mean_match

Picture = Callable[[int], np.ndarray]
_KEPT = 16  # frames whose arrays are kept within one call


@dataclass(frozen=True)
class NetSettings:
    """How a network is run.

    Args:
        shots: passes at most for networks that work in several (opn); 0: as many as the hole is deep; None: the
            network's own default.
        radius: frames on each side that give references; None: the network's own.
        ring: pixels from the hole's border in which the mean colour is matched to the surroundings; 0: not at all;
            None: only where the network does not start from `base`, which has no cast.
        max_pixels: area of a tile. A tile of 262,144 px (e.g. 960x272) takes about 8 MiB of the ring per encoded frame
            at 128 channels, and some hundred MiB while it is worked on.
    """

    shots: int | None = None
    radius: int | None = None
    ring: int | None = None
    max_pixels: int = 1 << 18


class NetFill:
    """Runs one network for one filter.

    Args:
        net: from `vswipe.nets.create`.
        device: torch device.
        fp16: half precision (bf16 where the device has it); only CUDA gains from it, elsewhere it is not read.
        ring: where encoded frames are kept; at least 12 encoded frames should fit (see `NetSettings.max_pixels`).
        num_frames: length of the clip.
        settings: see there.
        post: recurrent network that steadies completed frames (tcn), or None.

    Attributes:
        reach: frames on each side of an asked-for frame that may be looked at.
    """

    def __init__(
        self,
        net: Any,
        device: torch.device | str,
        fp16: bool,
        ring: FrameRing,
        num_frames: int,
        settings: NetSettings | None = None,
        post: Any | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.net, self.spec = net.to(self.device).eval(), net.spec
        self.post = None if post is None else post.to(self.device).eval()
        self.ring, self.num_frames = ring, num_frames
        self.settings = settings or NetSettings()
        self.radius = self.spec.radius if self.settings.radius is None else self.settings.radius
        default = 0 if self.spec.base or self.spec.mask_free else RING
        self.match = default if self.settings.ring is None else self.settings.ring
        self.half = fp16 and self.spec.half and self.device.type == "cuda"

    @property
    def reach(self) -> int:
        """See the class."""
        if self.spec.kind == "memory":
            own = bank_reach(self.net, self.radius)
        else:
            own = self.spec.window - 1 + (self.radius if self.spec.window > 1 else 0)
        return own + (0 if self.post is None else self.post.spec.window - 1)

    def fill(
        self,
        rect_key: Hashable,
        numbers: Sequence[int],
        picture: Picture,
        hole: Callable[[int], np.ndarray | None],
        base: Picture,
        linked: Callable[[int], bool],
        context: Picture | None = None,
    ) -> dict[int, np.ndarray]:
        """Crops with their holes filled.

        Args:
            rect_key: tells this crop from others in the ring; the same key must always mean the same place.
            numbers: frames to fill.
            picture: frame number -> crop at native resolution, (h, w, 3) float32 RGB 0..1.
            hole: frame number -> (h, w) uint8, 1 = hole, or None when there is none.
            base: frame number -> crop with the hole filled by simpler means, (h, w, 3) float32. Asked for every frame
                that is looked at, or, where `context` is given and there is no `post`, for `numbers` only.
            linked: whether frames n and n + 1 belong to one shot.
            context: a cheap `base` for frames that are looked at, e.g. the spatial fill.

            All of them must depend on the frame number only, and are called for numbers -+ `reach`.

        Returns:
            For every number (h, w, 3) float32, 0..1; outside the hole the picture itself.
        """
        source = _Source(picture, hole, base, context or base)
        out = {n: source.picture(n).copy() for n in numbers}
        todo = [n for n in numbers if source.hole(n).any()]
        if not todo:
            return out
        timeline = Timeline(self.num_frames, linked)
        height, width = out[todo[0]].shape[:2]
        sums = {n: np.zeros((height, width, 3), np.float32) for n in todo}
        shares = {n: np.zeros((height, width, 1), np.float32) for n in todo}
        with torch.inference_mode(), self._precision():
            for tile in plan_tiles(height, width, self.settings.max_pixels):
                inside = [n for n in todo if source.hole(n)[tile.box].any()]
                place = (rect_key, height, width, tile)
                weight = tile_weight(tile, height, width)
                for n, filled in self._worker(place, tile, source, timeline)(inside).items():
                    sums[n][tile.box] += weight * filled
                    shares[n][tile.box] += weight
        for n in todo:
            where = source.hole(n) > 0
            out[n][where] = (sums[n] / np.maximum(shares[n], 1e-6))[where]
            if self.match:
                out[n] = ring_mean_match(out[n], source.hole(n), self.match)
        return out

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.half:
            return nullcontext()
        return torch.autocast("cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)

    def _worker(
        self, place: Hashable, tile: Tile, source: _Source, timeline: Timeline
    ) -> Callable[[list[int]], dict[int, np.ndarray]]:
        """The function that fills frames in one tile."""
        view = _View(source, tile, self.spec.multiple_of, self.device)
        work: _BankFill | _WindowFill
        if self.spec.kind == "memory":
            bank = MemoryBank(self.net, self.ring, place, view.look, timeline, self.radius)
            work = _BankFill(bank, view, self.settings.shots)
        else:
            work = _WindowFill(self.net, self.ring, place, view, timeline, self.radius)
        if self.post is None:
            return work.fill
        steady = _View(source, tile, self.post.spec.multiple_of, self.device)
        return _Steadied(self.post, self.ring, place, steady, timeline, work.fill).fill


class _Source:
    """A crop's arrays by frame number; the last few are kept."""

    def __init__(
        self, picture: Picture, hole: Callable[[int], np.ndarray | None], base: Picture, context: Picture
    ) -> None:
        self._functions: dict[str, Callable[[int], Any]] = {
            "picture": picture,
            "hole": hole,
            "base": base,
            "context": base if context is base else context,
        }
        self._kept: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def picture(self, n: int) -> np.ndarray:
        return self._get("picture", n)

    def hole(self, n: int) -> np.ndarray:
        found = self._get("hole", n)
        return np.zeros(self.picture(n).shape[:2], np.uint8) if found is None else found

    def filled(self, n: int, kind: str) -> np.ndarray:
        """The "base" or "context" fill; without a hole the picture."""
        return self._get(kind, n) if self.hole(n).any() else self.picture(n)

    def _get(self, kind: str, n: int) -> Any:
        key = (kind, n)
        if key not in self._kept:
            self._kept[key] = self._functions[kind](n)
            while len(self._kept) > 4 * _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class _View:
    """One tile's frames as a network takes them."""

    def __init__(self, source: _Source, tile: Tile, multiple_of: tuple[int, int], device: torch.device) -> None:
        self.source, self.tile, self.multiple_of, self.device = source, tile, multiple_of, device

    def look(self, n: int) -> Inputs:
        """Inputs for encoding frame n."""
        return self._inputs(n, "context")

    def ask(self, n: int) -> Inputs:
        """Inputs for completing frame n."""
        return self._inputs(n, "base")

    def _inputs(self, n: int, kind: str) -> Inputs:
        mask = (self.source.hole(n)[self.tile.box] > 0).astype(np.float32)[..., None]
        parts = (self.source.picture(n)[self.tile.box], mask, self.source.filled(n, kind)[self.tile.box])
        return Inputs(*(self.tensor(part) for part in parts))

    def tensor(self, part: np.ndarray) -> Tensor:
        """(h, w, C) -> (1, 1, C, H, W), mirrored at the right and bottom to the sizes the network takes. The mask is
        mirrored with the picture: a mirrored hole is a hole."""
        x = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1), np.float32)).to(self.device)[None]
        down, right = (-size % multiple for size, multiple in zip(part.shape[:2], self.multiple_of, strict=True))
        while down or right:  # a small crop is mirrored more than once
            y, z = min(down, x.shape[-2] - 1), min(right, x.shape[-1] - 1)
            if (down and not y) or (right and not z):
                x = F.pad(x, (0, right, 0, down), mode="replicate")
                break
            x = F.pad(x, (0, z, 0, y), mode="reflect")
            down, right = down - y, right - z
        return x[None]

    def array(self, frame: Tensor) -> np.ndarray:
        """(1, 1, 3, H, W) -> (h, w, 3), without the padding."""
        rows, columns = self.tile.box
        part = frame[0, 0, :, : rows.stop - rows.start, : columns.stop - columns.start]
        return part.float().permute(1, 2, 0).cpu().numpy()


class _BankFill:
    """Frames one by one from a memory."""

    def __init__(self, bank: MemoryBank, view: _View, shots: int | None) -> None:
        self.bank, self.view, self.shots = bank, view, shots

    def fill(self, numbers: list[int]) -> dict[int, np.ndarray]:
        return {n: self.view.array(self.bank.complete(n, self.view.ask(n), self.shots)) for n in numbers}


class _Windows:
    """Windows on a fixed grid, each overlapping the next by half, and the shares of a frame in them."""

    def __init__(self, size: int, timeline: Timeline) -> None:
        self.size, self.hop, self.timeline = size, max(1, size // 2), timeline

    def of(self, n: int) -> list[tuple[range, float]]:
        """Frames of n's shot in the windows that hold n, and the window's share in n; the shares add up to 1."""
        if self.size == 1:
            return [(range(n, n + 1), 1.0)]
        found = []
        for k in (n // self.hop - 1, n // self.hop):
            start = k * self.hop
            frames = self.timeline.shot(n, n - start, start + self.size - 1 - n)
            found.append((frames, 1 - abs(n - start + 0.5 - self.hop) / self.hop))
        return found


class _WindowFill:
    """All frames of a window at once, with reference frames around it.

    Ring kinds: "net.encode" per frame, "net.window" per window.
    """

    def __init__(
        self, net: Any, ring: FrameRing, place: Hashable, view: _View, timeline: Timeline, radius: int
    ) -> None:
        self.net, self.ring, self.place, self.view, self.timeline = net, ring, place, view, timeline
        self.windows, self.radius = _Windows(net.spec.window, timeline), radius

    def fill(self, numbers: list[int]) -> dict[int, np.ndarray]:
        return {n: self._frame(n) for n in numbers}

    def _frame(self, n: int) -> np.ndarray:
        inputs, total = self.view.ask(n), None
        for frames, share in self.windows.of(n):
            features = self.ring.get("net.window", (self.place, frames), partial(self._window, frames))
            index = n - frames.start
            one = features[:, index : index + 1].float()
            part = share * self.net.render(one, *self._masked(inputs))
            total = part if total is None else total + part
        assert total is not None
        return self.view.array(total)

    def _window(self, frames: range) -> Tensor:
        members = [*frames, *self._references(frames)]
        inputs = [self.view.look(n) for n in members]
        features = torch.cat([self._encoded(n, i) for n, i in zip(members, inputs, strict=True)], 1)
        masks = torch.cat([i.masks for i in inputs], 1)
        return self.net.transform(features, masks)[:, : len(frames)].half()

    def _encoded(self, n: int, inputs: Inputs) -> Tensor:
        kept = self.ring.get("net.encode", (self.place, n), lambda: self.net.encode(*self._masked(inputs)).half())
        return kept.float()

    def _masked(self, inputs: Inputs) -> tuple[Tensor, Tensor | None, Tensor]:
        return inputs.frames, None if self.net.spec.mask_free else inputs.masks, inputs.base

    def _references(self, frames: range) -> list[int]:
        if self.windows.size == 1:
            return []
        before = self.timeline.shot(frames.start, self.radius, 0)
        after = self.timeline.shot(frames.stop - 1, 0, self.radius)
        return on_grid([*before[:-1], *after[1:]], self.net.spec.reference_stride)


class _Steadied:
    """A recurrent network over completed frames, started anew in every window of the grid.

    Ring kinds: "net.done" per completed frame, "net.steady" per window.
    """

    def __init__(
        self,
        net: Any,
        ring: FrameRing,
        place: Hashable,
        view: _View,
        timeline: Timeline,
        complete: Callable[[list[int]], dict[int, np.ndarray]],
    ) -> None:
        self.net, self.ring, self.place, self.view, self.complete = net, ring, place, view, complete
        self.windows = _Windows(net.spec.window, timeline)

    def fill(self, numbers: list[int]) -> dict[int, np.ndarray]:
        out = {}
        for n in numbers:
            parts = []
            for frames, share in self.windows.of(n):
                steady = self.ring.get("net.steady", (self.place, frames), partial(self._window, frames))
                parts.append(share * steady[n - frames.start].astype(np.float32))
            out[n] = sum(parts[1:], parts[0])
        return out

    def _window(self, frames: range) -> np.ndarray:
        done = torch.cat([self.view.tensor(self._completed(n)) for n in frames], 1)
        masks = torch.cat([self.view.look(n).masks for n in frames], 1)
        steady = self.net(done, masks)
        return np.stack([self.view.array(steady[:, t : t + 1]) for t in range(len(frames))]).astype(np.float16)

    def _completed(self, n: int) -> np.ndarray:
        box = self.view.tile.box
        if not self.view.source.hole(n)[box].any():
            return self.view.source.picture(n)[box]
        return self.ring.get("net.done", (self.place, n), lambda: self.complete([n])[n])
