"""What the filters that erase have in common: the engine, the frames it writes to, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import vapoursynth as vs

from vswipe.engine.picture import PictureFormat, Report
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.settings import Settings
from vswipe.filters._frames import FrameHandle, Frames
from vswipe.filters._worker import engine

# Chunks in flight at once whose windows the held input frames are to cover: 16 requests at once lie in three.
CHUNKS_IN_FLIGHT = 4
# Finished chunks kept: in linear playback every frame of a chunk is asked for before the next but one is done.
CHUNKS_KEPT = 3

FIELDS = {1: "bottom field first", 2: "top field first"}


class Renderer:
    """The engine of one call of a filter.

    Args:
        name: how messages begin.
        form: format of the clip.
        num_frames: its length.
        settings: for the engine.

    Raises:
        vs.Error: a network's weights are missing, damaged or do not fit.

    Attributes:
        chunk: frames per chunk.
        held_frames: frames of an input to be kept so that each is asked for once in linear playback.
    """

    def __init__(self, name: str, form: PictureFormat, num_frames: int, settings: Settings) -> None:
        self._name, self._dtype, self._num_frames = name, form.dtype, num_frames
        try:
            self._pipeline = Pipeline(form, num_frames, settings)
        except ValueError as error:
            raise vs.Error(f"{name}: {error}") from None
        self.chunk = self._pipeline.chunk
        window = self._pipeline.before + self._pipeline.after + CHUNKS_IN_FLIGHT * self.chunk
        self.held_frames = min(window, num_frames)

    def window(self, start: int, stop: int) -> range:
        """The frames that the chunk [start, stop) needs."""
        return range(max(0, start - self._pipeline.before), min(self._num_frames, stop + self._pipeline.after))

    def refused(self, marked: Sequence[int], sources: Mapping[int, FrameHandle]) -> dict[int, vs.Error]:
        """Errors for interlaced frames: their two fields show two moments, which no single motion leads to."""
        errors = {}
        for n in marked:
            field = sources[n].get_int("_FieldBased")
            if field in FIELDS:
                errors[n] = vs.Error(
                    f"{self._name}: frame {n} must be progressive, got {FIELDS[field]} (_FieldBased={field}); "
                    "split it with std.SeparateFields first"
                )
        return errors

    def render(
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
        return {n: frame.copy().set_props(**self.props(reports.get(n, Report()))) for n, frame in frames.items()}

    def props(self, report: Report) -> dict[str, float | str]:
        """The properties that are added to a frame."""
        return {
            "WipeMasked": float(report.masked),
            "WipeCopied": float(report.copied),
            "WipeModel": self._pipeline.model,
        }
