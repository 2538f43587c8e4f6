"""`core.wipe.SubMask`: the mask of the burnt-in subtitles, as AutoSub would erase them.

Imported when the first SubMask or AutoSub is made: it brings PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import vapoursynth as vs

from vswipe.detect.detector import SubtitleDetector
from vswipe.detect.perceive import Perception
from vswipe.detect.subtitle import BLOCK, CLASSES, BlockMasks, DetectorSettings
from vswipe.detect.working import WorkingFrame
from vswipe.engine.picture import PictureFormat
from vswipe.engine.ring import FrameRing
from vswipe.engine.settings import Region
from vswipe.filters._bridge import Arguments, Chunk, Request, Steps
from vswipe.filters._check import (
    need,
    need_at_least,
    need_flag,
    need_picture,
    need_share,
    read_regions,
    resolve_device,
)
from vswipe.filters._frames import FrameHandle, new_frame, picture_format
from vswipe.filters._host import Picture
from vswipe.filters._worker import engine

CLIP = 0
STORE_BYTES = 128 << 20  # of working frames and evidence: some 200 frames of 640x360
BATCH = 16  # frames asked for and reduced at once: more would be held together at full size
HOLD_BYTES = 192 << 20  # of source frames held, so that windows of chunks in flight ask the source once


def create(arguments: Arguments) -> SubMask:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    dilate = arguments["dilate"]
    dilate = 1 if dilate is None else dilate
    assert isinstance(dilate, int)
    need_at_least(arguments.name, "dilate", dilate, 0)
    return SubMask(arguments.name, clip, Finder(arguments, clip, family, dilate))


def read_detection(arguments: Arguments, regions: tuple[Region, ...]) -> DetectorSettings:
    """The detector's settings: what the user gave, checked, and the defaults for the rest."""
    name = arguments.name
    given: dict[str, Any] = arguments.given("threshold", "min_frames", "classes")
    need_share(name, "threshold", given.get("threshold", 0.5))
    need_at_least(name, "min_frames", given.get("min_frames", 1), 1)
    for kind in given.get("classes", ()):
        need(kind in CLASSES, f"{name}: classes must be of {', '.join(CLASSES)}", kind)
    if "classes" in given:
        given["classes"] = tuple(given["classes"])
    return DetectorSettings(regions=regions, **given)


class Finder:
    """The detector of one filter call, and the frames it asks for.

    Args:
        arguments: of the call; `region`, `threshold`, `min_frames`, `classes`, `detector` and `device` are read.
        clip: format and size, checked.
        family: GRAY, RGB or YUV.
        dilate: pixels the masks are grown by.
    """

    def __init__(self, arguments: Arguments, clip: Picture, family: str, dilate: int) -> None:
        name = arguments.name
        region: Any = arguments["region"]
        need_flag(name, "fp16", int(arguments["fp16"] or 0))  # type: ignore[arg-type]
        self.regions = read_regions(name, region or (), clip)
        weights: Any = arguments["detector"]
        chosen: Any = arguments["device"]
        self.form: PictureFormat = picture_format(clip, family)
        self._num_frames = clip.num_frames
        self._windows = [(slice(y, y + h), slice(x, x + w)) for x, y, w, h in self.regions]
        try:
            perception = Perception(resolve_device(name, chosen or "auto"), weights)
        except ValueError as error:
            raise vs.Error(f"{name}: {error}") from error
        self.detector = SubtitleDetector(
            clip.width,
            clip.height,
            family,
            self.form.level,
            clip.num_frames,
            read_detection(arguments, self.regions),
            perception,
            FrameRing(STORE_BYTES),
            dilate,
        )

    @property
    def hold(self) -> int:
        """Source frames to keep, as many as fit into the bound."""
        sizes = (self.form.plane_shape(p) for p in range(self.form.num_planes))
        frame = sum(h * w for h, w in sizes) * self.form.dtype.itemsize
        return max(1, min(len(self.detector.plan.needed(0)) + 2 * BLOCK, HOLD_BYTES // frame))

    def masks(self, numbers: range) -> Generator[
        list[Request] | Callable[[], object] | Mapping[int, int], Any, dict[int, np.ndarray | None]
    ]:  # fmt: skip
        """Steps that lead to the masks of some frames: (H, W) uint8, 1 = erase, or None."""
        out: dict[int, np.ndarray | None] = {}
        first = self.detector.plan.block(numbers.start)
        for start in range(first, numbers.stop, BLOCK):
            block: BlockMasks = yield from self._block(start)
            for n in range(max(start, numbers.start), min(start + BLOCK, numbers.stop)):
                out[n] = self._within(block.mask(n))
        return out

    def _block(self, start: int) -> Generator[Any, Any, BlockMasks]:
        needed = self.detector.needed(start)
        working: dict[int, WorkingFrame] = {}
        missing = []
        for n in needed:
            found = self.detector.kept(n)
            if found is None:
                missing.append(n)
            else:
                working[n] = found
        for i in range(0, len(missing), BATCH):
            part = missing[i : i + BATCH]
            frames: list[FrameHandle] = yield [(CLIP, n) for n in part]
            yield partial(self._reduce, part, frames, working)
            del frames
        made: BlockMasks = yield partial(self.detector.block, start, working)
        return made

    def _reduce(self, numbers: Sequence[int], frames: Sequence[FrameHandle], out: dict[int, WorkingFrame]) -> None:
        """On the engine thread."""
        for n, frame in zip(numbers, frames, strict=True):
            engine.check()
            out[n] = self.detector.reduce(n, frame.planes(self.form.dtype), frame.props())

    def _within(self, mask: np.ndarray | None) -> np.ndarray | None:
        """The part of a mask inside the wanted regions; None where nothing is left."""
        if mask is None or not self._windows:
            return mask
        out = np.zeros_like(mask)
        for window in self._windows:
            out[window] = mask[window]
        return out if out.any() else None


class SubMask:
    """One call of SubMask.

    Args:
        name: how messages begin.
        clip: format and size of the input, checked.
        finder: finds the masks.
    """

    def __init__(self, name: str, clip: Picture, finder: Finder) -> None:
        self._name = name
        self._finder = finder
        self.output = Picture(
            family=1,
            bits=8,
            width=clip.width,
            height=clip.height,
            num_frames=clip.num_frames,
            name_bytes=b"Gray8",
        )
        self.chunk = BLOCK
        self.keep = 3
        self.hold = (finder.hold,)

    def produce(self, start: int, stop: int) -> Steps:
        """The masks of a chunk, with the properties of the clip's frames."""
        masks = yield from self._finder.masks(range(start, stop))
        sources: list[FrameHandle] = yield [(CLIP, n) for n in range(start, stop)]
        frames: list[FrameHandle] = yield partial(self._draw, sources, [masks[n] for n in range(start, stop)])
        return Chunk(frames)

    def _draw(self, sources: Sequence[FrameHandle], masks: Sequence[np.ndarray | None]) -> list[FrameHandle]:
        out = []
        for source, mask in zip(sources, masks, strict=True):
            frame = new_frame(source.core, self.output, source)
            self._fill(frame, mask)
            share = 0.0 if mask is None else float(np.count_nonzero(mask)) / mask.size
            out.append(frame.copy().set_props(WipeMasked=share, _Range=1))
        return out

    @staticmethod
    def _fill(frame: FrameHandle, mask: np.ndarray | None) -> None:
        plane = frame.writable(np.dtype(np.uint8))[0]
        if mask is None:
            plane[...] = 0
        else:
            np.multiply(mask, 255, out=plane)
