"""`core.wipe.AutoLogo` and `core.wipe.Deblend`: marks that stand still, divided out where they are translucent and
filled where they are not. AutoLogo finds them; Deblend also takes a mask that says where they are.

Imported when the first of them is made: it brings PyTorch and the engine.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from vswipe.engine.logo import BLOCK
from vswipe.engine.picture import Report
from vswipe.engine.settings import Settings
from vswipe.filters._bridge import Arguments, Chunk, Steps
from vswipe.filters._check import need_picture
from vswipe.filters._found import CLIP
from vswipe.filters._frames import FrameHandle
from vswipe.filters._host import Picture
from vswipe.filters._logo import MASK, DividedFrames, Logos
from vswipe.filters._render import CHUNKS_KEPT, Renderer
from vswipe.filters.inpaint import read_settings


def create(arguments: Arguments) -> AutoLogo:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    settings = read_settings(arguments, clip)
    with_mask = isinstance(arguments.values.get("mask"), Picture)
    return AutoLogo(arguments.name, clip, Logos(arguments, clip, family), settings, with_mask)


class AutoLogo:
    """One call of AutoLogo or Deblend.

    Args:
        name: how messages begin.
        clip: format and size of the input, checked.
        logos: finds the marks.
        settings: for the engine.
        with_mask: whether a mask clip is given.
    """

    def __init__(self, name: str, clip: Picture, logos: Logos, settings: Settings, with_mask: bool) -> None:
        self._logos = logos
        self._renderer = Renderer(name, logos.form, clip.num_frames, settings)
        assert self._renderer.chunk == BLOCK, "blocks are chunks"
        self.output = clip
        self.chunk = BLOCK
        self.keep = CHUNKS_KEPT
        self.hold = (logos.hold, 1) if with_mask else (logos.hold,)
        self._holding = False

    def produce(self, start: int, stop: int) -> Steps:
        """The analysis before anything else; then only where a mark is shown, dividing; then the rest by the engine."""
        own = range(start, stop)
        yield from self._logos.analyse()
        eraser, props = self._logos.eraser, self._props(Report())
        if not eraser.marks:
            return Chunk([None] * len(own), props)
        yield from self._logos.look(own)
        shown = [n for n in own if eraser.is_shown(n)]
        if not shown:
            return Chunk([None] * len(own), props)
        hard = any(eraser.hard_mask(n) is not None for n in shown)
        if hard and not self._holding:
            self._holding = True
            yield {CLIP: min(self._renderer.held_frames + 2 * BLOCK, self._logos.num_frames)}
        window = self._renderer.window(start, stop) if hard else own
        yield from self._logos.look(window)
        blocks = range(window.start // BLOCK * BLOCK, min(-(-window.stop // BLOCK) * BLOCK, self._logos.num_frames))
        sources = dict(zip(blocks, (yield [(CLIP, n) for n in blocks]), strict=True))
        refused = self._renderer.refused(shown, sources)
        frames: dict[int, FrameHandle] = {}
        if len(shown) > len(refused):
            frames = yield partial(self._render, own, window, sources, hard, set(refused))
        return Chunk([refused.get(n) or frames.get(n) for n in own], props)

    def _render(
        self, own: range, window: range, sources: dict[int, FrameHandle], hard: bool, refused: set[int]
    ) -> dict[int, FrameHandle]:
        """On the engine thread."""
        eraser = self._logos.eraser
        if not hard:
            frames = self._logos.divide(own.start // BLOCK, sources)
        else:
            divided = DividedFrames(self._logos, sources)
            masks: dict[int, np.ndarray | None] = {n: eraser.hard_mask(n) for n in window}
            frames = {n: divided[n].copy() for n in own if eraser.is_shown(n)}
            frames |= self._renderer.render(own, divided, masks)
        report = Report(masked=eraser.written())
        return {n: frame.copy().set_props(**self._props(report)) for n, frame in frames.items() if n not in refused}

    def _props(self, report: Report) -> dict[str, float | str]:
        return {**self._renderer.props(report), "WipeLogo": self._logos.status}


assert MASK == 1, "the second clip of Deblend"
