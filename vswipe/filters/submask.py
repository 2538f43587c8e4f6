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
from vswipe.detect.masks import BlockMasks
from vswipe.detect.perceive import Perception
from vswipe.detect.subtitle import BLOCK, CLASSES, DetectorSettings
from vswipe.detect.working import WorkingFrame
from vswipe.engine.picture import PictureFormat
from vswipe.engine.ring import FrameRing
from vswipe.engine.settings import Region
from vswipe.filters._bridge import Arguments, Request
from vswipe.filters._check import (
    need,
    need_at_least,
    need_flag,
    need_picture,
    need_share,
    read_regions,
    resolve_device,
)
from vswipe.filters._found import BATCH, CLIP, MaskFilter, frames_held, inside, read_dilate
from vswipe.filters._frames import FrameHandle, picture_format
from vswipe.filters._host import Picture
from vswipe.filters._worker import engine

STORE_BYTES = 128 << 20  # of working frames and evidence: some 200 frames of 640x360


def create(arguments: Arguments) -> MaskFilter:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    return MaskFilter(clip, Finder(arguments, clip, family, read_dilate(arguments)), BLOCK)


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
    def hold(self) -> tuple[int, ...]:
        """Source frames to keep."""
        return (frames_held(self.form, len(self.detector.plan.needed(0)) + 2 * BLOCK),)

    def masks(self, numbers: range) -> Generator[
        list[Request] | Callable[[], object] | Mapping[int, int], Any, dict[int, np.ndarray | None]
    ]:  # fmt: skip
        """Steps that lead to the masks of some frames: (H, W) uint8, 1 = erase, or None."""
        out: dict[int, np.ndarray | None] = {}
        first = self.detector.plan.block(numbers.start)
        for start in range(first, numbers.stop, BLOCK):
            block: BlockMasks = yield from self._block(start)
            for n in range(max(start, numbers.start), min(start + BLOCK, numbers.stop)):
                out[n] = inside(block.mask(n), self.regions)
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
