"""What the filters that look for marks by themselves have in common: masks shown, or erased from.

A finder says which mask each frame has; `MaskFilter` gives these masks as a clip, `FoundEraser` erases what they mark,
like Inpaint.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from vswipe.engine.picture import PictureFormat, Report
from vswipe.engine.settings import Region, Settings
from vswipe.filters._bridge import Arguments, Chunk, Steps
from vswipe.filters._check import need_at_least
from vswipe.filters._frames import FrameHandle, new_frame
from vswipe.filters._host import Picture
from vswipe.filters._render import CHUNKS_KEPT, Renderer

CLIP = 0
BATCH = 16  # frames asked for and reduced at once: more would be held together at full size
HOLD_BYTES = 192 << 20  # of source frames held, so that windows of chunks in flight ask the source once

Masks = dict[int, "np.ndarray | None"]


class Finder(Protocol):
    """Finds the masks of one filter call.

    Attributes:
        form: of the clip.
        hold: how many frames are to be kept of each input.
    """

    form: PictureFormat

    @property
    def hold(self) -> tuple[int, ...]: ...

    def masks(self, numbers: range) -> Generator[Any, Any, Masks]:
        """Steps that lead to the masks of some frames: (H, W) uint8, 1 = erase, or None."""
        ...


def read_dilate(arguments: Arguments) -> int:
    """Growth of a mask that is shown, default 1.

    Raises:
        vs.Error: it is below 0.
    """
    dilate = arguments["dilate"]
    dilate = 1 if dilate is None else dilate
    assert isinstance(dilate, int)
    need_at_least(arguments.name, "dilate", dilate, 0)
    return dilate


def frames_held(form: PictureFormat, wanted: int) -> int:
    """Source frames to keep: `wanted`, or as many as fit into the bound."""
    sizes = (form.plane_shape(p) for p in range(form.num_planes))
    frame = sum(h * w for h, w in sizes) * form.dtype.itemsize
    return max(1, min(wanted, HOLD_BYTES // frame))


def inside(mask: np.ndarray | None, regions: Sequence[Region]) -> np.ndarray | None:
    """The part of a mask inside the wanted regions (left, top, width, height); None where nothing is left."""
    if mask is None or not regions:
        return mask
    out = np.zeros_like(mask)
    for x, y, w, h in regions:
        part = np.s_[y : y + h, x : x + w]
        out[part] = mask[part]
    return out if out.any() else None


def mask_picture(clip: Picture) -> Picture:
    """GRAY8 of a clip's size and length."""
    size = {"width": clip.width, "height": clip.height, "num_frames": clip.num_frames}
    return Picture(family=1, bits=8, name_bytes=b"Gray8", **size)


def draw_masks(
    output: Picture, sources: Sequence[FrameHandle], masks: Sequence[np.ndarray | None], **props: int | float | str
) -> list[FrameHandle]:
    """On the engine thread: frames that show masks, 255 = erase, with the properties of the clip's frames."""
    out = []
    for source, mask in zip(sources, masks, strict=True):
        frame = new_frame(source.core, output, source)
        _fill(frame, mask)
        share = 0.0 if mask is None else float(np.count_nonzero(mask)) / mask.size
        out.append(frame.copy().set_props(WipeMasked=share, _Range=1, **props))
    return out


def _fill(frame: FrameHandle, mask: np.ndarray | None) -> None:
    plane = frame.writable(np.dtype(np.uint8))[0]
    if mask is None:
        plane[...] = 0
    else:
        np.multiply(mask, 255, out=plane)


class MaskFilter:
    """One call of a filter that shows what would be erased.

    Args:
        clip: format and size of the input, checked.
        finder: finds the masks.
        chunk: frames per chunk: the detector's own blocks.
    """

    def __init__(self, clip: Picture, finder: Finder, chunk: int) -> None:
        self._finder = finder
        self.output = mask_picture(clip)
        self.chunk = chunk
        self.keep = CHUNKS_KEPT
        self.hold = finder.hold

    def produce(self, start: int, stop: int) -> Steps:
        """The masks of a chunk, with the properties of the clip's frames."""
        own = range(start, stop)
        masks = yield from self._finder.masks(own)
        sources: list[FrameHandle] = yield [(CLIP, n) for n in own]
        frames: list[FrameHandle] = yield partial(draw_masks, self.output, sources, [masks[n] for n in own])
        return Chunk(frames)


class FoundEraser:
    """One call of a filter that erases what it finds: looks around a chunk, and only where there is a mark renders.

    Args:
        name: how messages begin.
        clip: format and size of the input, checked.
        finder: finds the masks.
        settings: for the engine.
    """

    def __init__(self, name: str, clip: Picture, finder: Finder, settings: Settings) -> None:
        self._finder = finder
        self._renderer = Renderer(name, finder.form, clip.num_frames, settings)
        self.output = clip
        self.chunk = self._renderer.chunk
        self.keep = CHUNKS_KEPT
        # The detector lets go of frames at once; more are kept from the first chunk on that is rendered.
        self.hold = (min(2 * self.chunk, self._renderer.held_frames), *finder.hold[1:])
        self._holding = False

    def produce(self, start: int, stop: int) -> Steps:
        """The chunk's own masks first; only if there are some, those of the window, its frames, and the rendering."""
        own = range(start, stop)
        masks = yield from self._finder.masks(own)
        marked = [n for n in own if masks[n] is not None]
        if not marked:
            return Chunk([None] * len(own), self._renderer.props(Report()))
        if not self._holding:
            self._holding = True
            yield {CLIP: self._renderer.held_frames}
        window = self._renderer.window(start, stop)
        masks = yield from self._finder.masks(window)
        sources = dict(zip(window, (yield [(CLIP, n) for n in window]), strict=True))
        refused = self._renderer.refused(marked, sources)
        frames: dict[int, FrameHandle] = {}
        if len(marked) > len(refused):
            wanted = {n: None if n in refused else mask for n, mask in masks.items()}
            frames = yield partial(self._renderer.render, own, sources, wanted)
        return Chunk([refused.get(n) or frames.get(n) for n in own], self._renderer.props(Report()))
