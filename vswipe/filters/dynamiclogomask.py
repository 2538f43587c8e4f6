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
from vswipe.filters._bridge import Arguments, Request
from vswipe.filters._check import need, need_flag, need_mask, need_picture, need_share, read_regions
from vswipe.filters._found import BATCH, CLIP, MaskFilter, frames_held, inside, read_dilate
from vswipe.filters._frames import FrameHandle, MaskReader, picture_format
from vswipe.filters._host import Picture
from vswipe.filters._worker import engine

MARK = 1
STORE_BYTES = 128 << 20  # of working frames: some 350 frames of 640x360
Asking = Generator[list[Request] | Callable[[], object], Any, None]


def create(arguments: Arguments) -> MaskFilter:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    return MaskFilter(clip, Finder(arguments, clip, family, read_dilate(arguments)), BLOCK)


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
        """Frames to keep of each input."""
        own = frames_held(self.form, 4 * BLOCK)
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
                out[n] = inside(made[n - start], self.regions)
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
