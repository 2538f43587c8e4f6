"""`core.wipe.LogoMask`: the mask of the marks that stand still, as AutoLogo would erase them."""

from __future__ import annotations

from functools import partial

from vswipe.engine.logo import BLOCK
from vswipe.filters._bridge import Arguments, Chunk, Steps
from vswipe.filters._check import need_picture
from vswipe.filters._found import CLIP, draw_masks, mask_picture, read_dilate
from vswipe.filters._frames import FrameHandle
from vswipe.filters._host import Picture
from vswipe.filters._logo import Logos


def create(arguments: Arguments) -> LogoMask:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    return LogoMask(clip, Logos(arguments, clip, family), read_dilate(arguments))


class LogoMask:
    """One call of LogoMask.

    Args:
        clip: format and size of the input, checked.
        logos: finds the marks.
        dilate: pixels the mask is grown by.
    """

    def __init__(self, clip: Picture, logos: Logos, dilate: int) -> None:
        self._logos, self._dilate = logos, dilate
        self.output = mask_picture(clip)
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
        draw = partial(draw_masks, self.output, sources, masks, WipeLogo=self._logos.status)
        frames: list[FrameHandle] = yield draw
        return Chunk(frames)
