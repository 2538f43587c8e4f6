"""`core.wipe.LogoMask`: the mask of the marks that stand still, as AutoLogo would erase them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vswipe.engine.logo import BLOCK
from vswipe.filters._bridge import Arguments, Chunk, Steps
from vswipe.filters._check import need_at_least, need_picture
from vswipe.filters._frames import FrameHandle, new_frame
from vswipe.filters._host import Picture
from vswipe.filters._logo import CLIP, Logos


def create(arguments: Arguments) -> LogoMask:
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
    return LogoMask(clip, Logos(arguments, clip, family), dilate)


class LogoMask:
    """One call of LogoMask.

    Args:
        clip: format and size of the input, checked.
        logos: finds the marks.
        dilate: pixels the mask is grown by.
    """

    def __init__(self, clip: Picture, logos: Logos, dilate: int) -> None:
        self._logos, self._dilate = logos, dilate
        self.output = Picture(
            family=1, bits=8, width=clip.width, height=clip.height, num_frames=clip.num_frames, name_bytes=b"Gray8"
        )
        self.chunk = BLOCK
        self.keep = 3
        self.hold = (logos.hold,)

    def produce(self, start: int, stop: int) -> Steps:
        """The masks of a chunk, with the properties of the clip's frames."""
        own = range(start, stop)
        yield from self._logos.analyse()
        yield from self._logos.look(own)
        masks = [self._logos.eraser.mask(n, self._dilate) for n in own]
        sources: list[FrameHandle] = yield [(CLIP, n) for n in own]
        frames: list[FrameHandle] = yield lambda: self._draw(sources, masks)
        return Chunk(frames)

    def _draw(self, sources: Sequence[FrameHandle], masks: Sequence[np.ndarray | None]) -> list[FrameHandle]:
        out = []
        for source, mask in zip(sources, masks, strict=True):
            frame = new_frame(source.core, self.output, source)
            plane = frame.writable(np.dtype(np.uint8))[0]
            plane[...] = 0 if mask is None else mask * np.uint8(255)
            del plane
            share = 0.0 if mask is None else float(np.count_nonzero(mask)) / mask.size
            out.append(frame.copy().set_props(WipeMasked=share, WipeLogo=self._logos.status, _Range=1))
        return out
