"""`core.wipe.DynamicLogoMask`: the mask of marks that blink, alternate or travel, as AutoDynamicLogo would erase them.

Imported when the first DynamicLogoMask or AutoDynamicLogo is made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import vapoursynth as vs

from vswipe.detect.dynamic_logo import BLOCK, DynamicLogoDetector, Example
from vswipe.detect.working import WorkingFrame
from vswipe.engine.picture import PictureFormat
from vswipe.engine.ring import FrameRing
from vswipe.filters._bridge import Arguments, Chunk, Request, Steps
from vswipe.filters._check import need, need_at_least, need_flag, need_mask, need_picture, need_share, read_regions
from vswipe.filters._frames import FrameHandle, MaskReader, new_frame, picture_format
from vswipe.filters._host import Picture
from vswipe.filters._worker import engine

CLIP, MARK = 0, 1
STORE_BYTES = 128 << 20  # of working frames: some 350 frames of 640x360
Asking = Generator[list[Request] | Callable[[], object], Any, None]

BATCH = 16  # frames asked for and reduced at once: more would be held together at full size
HOLD_BYTES = 192 << 20  # of source frames held, so that windows of chunks in flight ask the source once


def create(arguments: Arguments) -> DynamicLogoMask:
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
    return DynamicLogoMask(arguments.name, clip, Finder(arguments, clip, family, dilate))


class Finder:
    """The detector of one filter call, and the frames it asks for.

    Args:
        arguments: of the call; `mark`, `frame`, `region` and `threshold` are read.
        clip: format and size, checked.
        family: GRAY, RGB or YUV.
        dilate: pixels the masks are grown by.
    """

    def __init__(self, arguments: Arguments, clip: Picture, family: str, dilate: int) -> None:
        name = arguments.name
        region: Any = arguments["region"]
        threshold: Any = arguments["threshold"]
        mark, frame = arguments["mark"], arguments["frame"]
        need_share(name, "threshold", 0.5 if threshold is None else threshold)
        need_flag(name, "fp16", int(arguments.values.get("fp16") or 0))  # type: ignore[arg-type]
        need(frame is None or mark is not None, f"{name}: frame must be left out where no mark is given", frame)
        assert frame is None or isinstance(frame, int)
        self._frame: int = frame or 0
        need(0 <= self._frame < clip.num_frames,
             f"{name}: frame must be one of the clip's {clip.num_frames}, counted from 0", self._frame)  # fmt: skip
        self._reader: MaskReader | None = None
        self._name = name
        if mark is not None:
            assert isinstance(mark, Picture)
            need_mask(name, mark, clip, "mark")
            self._mark_frame = 0 if mark.num_frames == 1 else self._frame
            self._reader = MaskReader(picture_format(mark, "GRAY"))
        self.regions = read_regions(name, region or (), clip)
        self.form: PictureFormat = picture_format(clip, family)
        self._windows = [(slice(y, y + h), slice(x, x + w)) for x, y, w, h in self.regions]
        self._samples: dict[int, WorkingFrame] = {}
        self.detector = DynamicLogoDetector(
            clip.width,
            clip.height,
            family,
            self.form.level,
            clip.num_frames,
            0.5 if threshold is None else threshold,
            FrameRing(STORE_BYTES),
            dilate,
        )

    @property
    def hold(self) -> tuple[int, ...]:
        """Frames to keep of each input, as many as fit into the bound."""
        sizes = (self.form.plane_shape(p) for p in range(self.form.num_planes))
        frame = sum(h * w for h, w in sizes) * self.form.dtype.itemsize
        own = max(1, min(4 * BLOCK, HOLD_BYTES // frame))
        return (own, 1) if self._reader else (own,)

    def masks(self, numbers: range) -> Generator[Any, Any, dict[int, np.ndarray | None]]:
        """Steps that lead to the masks of some frames: (H, W) uint8, 1 = erase, or None."""
        yield from self._learn()
        if not self.detector.found:
            return dict.fromkeys(numbers)
        out: dict[int, np.ndarray | None] = {}
        for start in range(numbers.start // BLOCK * BLOCK, numbers.stop, BLOCK):
            working: dict[int, WorkingFrame] = {}
            yield from self._fetch(self.detector.needed(start), working)
            made: list[np.ndarray | None] = yield partial(self.detector.block, start, working)
            for n in range(max(start, numbers.start), min(start + BLOCK, numbers.stop)):
                out[n] = self._within(made[n - start])
        return out

    def _learn(self) -> Asking:
        """Ask for the sampled frames once. Chunks that begin at the same time share what is there."""
        if self.detector.learnt:
            return
        example = None
        if self._reader:
            handles: list[FrameHandle] = yield [(MARK, self._mark_frame)]
            mask = self._reader.read(self._mark_frame, {self._mark_frame: handles[0]})
            if mask is None:
                raise vs.Error(f"{self._name}: mark must mark something, got an empty frame {self._mark_frame}")
            example = Example(self._frame, mask)
        working = self._samples
        yield from self._fetch(self.detector.samples(example), working)
        yield partial(self._learn_from, working, example)

    def _learn_from(self, working: Mapping[int, WorkingFrame], example: Example | None) -> None:
        """On the engine thread, where nobody else adds to the frames meanwhile."""
        if not self.detector.learnt:
            self.detector.learn({n: working[n] for n in self.detector.samples(example)}, example)
            self._samples = {}

    def _fetch(self, numbers: Sequence[int], out: dict[int, WorkingFrame]) -> Asking:
        """Reduce the frames that are not kept."""
        for n in numbers:
            kept = self.detector.kept(n)
            if kept is not None:
                out[n] = kept
        while part := [n for n in numbers if n not in out][:BATCH]:
            frames: list[FrameHandle] = yield [(CLIP, n) for n in part]
            yield partial(self._reduce, part, frames, out)
            del frames

    def _reduce(self, numbers: Sequence[int], frames: Sequence[FrameHandle], out: dict[int, WorkingFrame]) -> None:
        """On the engine thread."""
        for n, frame in zip(numbers, frames, strict=True):
            engine.check()
            out[n] = self.detector.reduce(n, frame.planes(self.form.dtype))

    def _within(self, mask: np.ndarray | None) -> np.ndarray | None:
        """The part of a mask inside the wanted regions; None where nothing is left."""
        if mask is None or not self._windows:
            return mask
        out = np.zeros_like(mask)
        for window in self._windows:
            out[window] = mask[window]
        return out if out.any() else None


class DynamicLogoMask:
    """One call of DynamicLogoMask.

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
        self.hold = finder.hold

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
