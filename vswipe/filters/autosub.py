"""`core.wipe.AutoSub`: finds burnt-in subtitles and erases them.

Imported when the first AutoSub is made: it brings PyTorch and the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import vapoursynth as vs

from vswipe.engine.picture import Report
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.settings import Settings
from vswipe.filters._bridge import Arguments, Chunk, Steps
from vswipe.filters._check import need_picture
from vswipe.filters._frames import FrameHandle, Frames
from vswipe.filters._host import Picture
from vswipe.filters._worker import engine
from vswipe.filters.inpaint import CHUNKS_IN_FLIGHT, CHUNKS_KEPT, FIELDS, read_settings
from vswipe.filters.submask import CLIP, Finder


def create(arguments: Arguments) -> AutoSub:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    settings = read_settings(arguments, clip)
    return AutoSub(arguments.name, clip, Finder(arguments, clip, family, 0), settings)


class AutoSub:
    """One call of AutoSub: looks for subtitles around a chunk, and only where there are some renders like Inpaint.

    Args:
        name: how messages begin.
        clip: format and size of the input, checked.
        finder: finds the masks.
        settings: for the engine.
    """

    def __init__(self, name: str, clip: Picture, finder: Finder, settings: Settings) -> None:
        self._name = name
        self._finder = finder
        self._dtype = finder.form.dtype
        self._pipeline = Pipeline(finder.form, clip.num_frames, settings)
        self.output = clip
        self.chunk = self._pipeline.chunk
        self.keep = CHUNKS_KEPT
        window = self._pipeline.before + self._pipeline.after + CHUNKS_IN_FLIGHT * self.chunk
        self._window_frames = min(window, clip.num_frames)
        # The detector lets go of frames at once; more are kept from the first chunk on that is rendered.
        self.hold = (min(2 * self.chunk, self._window_frames),)
        self._holding = False

    def produce(self, start: int, stop: int) -> Steps:
        """The chunk's own masks first; only if there are some, those of the window, its frames, and the rendering."""
        own = range(start, stop)
        masks = yield from self._finder.masks(own)
        marked = [n for n in own if masks[n] is not None]
        if not marked:
            return Chunk([None] * len(own), self._props(Report()))
        if not self._holding:
            self._holding = True
            yield {CLIP: self._window_frames}
        window = range(max(0, start - self._pipeline.before), min(self.output.num_frames, stop + self._pipeline.after))
        masks = yield from self._finder.masks(window)
        sources = dict(zip(window, (yield [(CLIP, n) for n in window]), strict=True))
        refused = self._refused(marked, sources)
        frames: dict[int, FrameHandle] = {}
        if len(marked) > len(refused):
            wanted = {n: None if n in refused else mask for n, mask in masks.items()}
            frames = yield partial(self._render, own, sources, wanted)
        return Chunk([refused.get(n) or frames.get(n) for n in own], self._props(Report()))

    def _refused(self, marked: Sequence[int], sources: Mapping[int, FrameHandle]) -> dict[int, vs.Error]:
        """Errors for interlaced frames, as Inpaint has them."""
        errors = {}
        for n in marked:
            field = sources[n].get_int("_FieldBased")
            if field in FIELDS:
                errors[n] = vs.Error(
                    f"{self._name}: frame {n} must be progressive, got {FIELDS[field]} (_FieldBased={field}); "
                    "split it with std.SeparateFields first"
                )
        return errors

    def _render(
        self, own: range, sources: Mapping[int, FrameHandle], masks: Mapping[int, np.ndarray | None]
    ) -> dict[int, FrameHandle]:
        """On the engine thread: let the engine write to copies of the frames it erases from; these copies."""
        frames: dict[int, FrameHandle] = {}
        arrays: dict[int, tuple[np.ndarray, ...]] = {}

        def writable(n: int) -> tuple[np.ndarray, ...]:
            if n not in arrays:
                assert n in own, f"frame {n} is not one of this chunk"
                frames[n] = sources[n].copy()
                arrays[n] = frames[n].writable(self._dtype)
            return arrays[n]

        view = Frames(sources, self._dtype, engine.check)
        reports = self._pipeline.render(own.start, own.stop, view, masks, writable)
        # A copy once more: the engine may still hold arrays over the frame it wrote to.
        return {n: frame.copy().set_props(**self._props(reports.get(n, Report()))) for n, frame in frames.items()}

    def _props(self, report: Report) -> dict[str, Any]:
        """The properties that are added to a frame."""
        return {
            "WipeMasked": float(report.masked),
            "WipeCopied": float(report.copied),
            "WipeModel": self._pipeline.model,
        }
