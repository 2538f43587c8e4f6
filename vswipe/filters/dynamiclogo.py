"""`core.wipe.AutoDynamicLogo`: finds marks that blink, alternate between places or travel, and erases them.

Imported when the first AutoDynamicLogo is made: it brings PyTorch and the engine.
"""

from __future__ import annotations

from functools import partial

from vswipe.engine.picture import Report
from vswipe.engine.settings import Settings
from vswipe.filters._bridge import Arguments, Chunk, Steps
from vswipe.filters._check import need_picture
from vswipe.filters._frames import FrameHandle
from vswipe.filters._host import Picture
from vswipe.filters._render import CHUNKS_KEPT, Renderer
from vswipe.filters.dynamiclogomask import CLIP, Finder
from vswipe.filters.inpaint import read_settings


def create(arguments: Arguments) -> AutoDynamicLogo:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    settings = read_settings(arguments, clip)
    return AutoDynamicLogo(arguments.name, clip, Finder(arguments, clip, family, 0), settings)


class AutoDynamicLogo:
    """One call of AutoDynamicLogo: looks for the mark around a chunk, and only where it is shown renders like Inpaint.

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
