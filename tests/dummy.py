"""A stand-in for the engine: quick, no OpenCV or PyTorch, and its result shows which frames it was given."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from vswipe.engine.picture import Frame, PictureFormat, Report
from vswipe.engine.settings import Settings


class DummyPipeline:
    """Writes the sum of the window's first samples, so that a frame missing from the window shows."""

    chunk = 8
    before = 6
    after = 5
    model = "dummy"
    delay = 0.0
    error: ClassVar[Exception | None] = None
    rendered: ClassVar[list[range]] = []

    def __init__(self, fmt: PictureFormat, num_frames: int, settings: Settings) -> None:
        self.fmt = fmt
        self.num_frames = num_frames
        self.settings = settings

    def render(
        self,
        start: int,
        stop: int,
        frames: Mapping[int, Frame],
        masks: Mapping[int, np.ndarray | None],
        writable: Callable[[int], tuple[np.ndarray, ...]],
    ) -> dict[int, Report]:
        self.rendered.append(range(start, stop))
        reports = {}
        for n in range(start, stop):
            time.sleep(self.delay)
            mask = masks[n]
            if mask is None:
                continue
            if self.error is not None:
                raise self.error
            window = range(max(0, n - self.before), min(self.num_frames, n + self.after + 1))
            total = sum(float(frames[i].planes[0][0, 0]) * (1 + i - n + self.before) for i in window)
            for plane, array in enumerate(writable(n)):
                shape = self.fmt.plane_shape(plane)
                small = mask[:: mask.shape[0] // shape[0], :: mask.shape[1] // shape[1]][: shape[0], : shape[1]]
                array[small.astype(bool)] = total % 200
            reports[n] = Report(float(mask.mean()), 0.25)
        return reports


def install(**options: object) -> None:
    """Use the dummy in this process, instead of the engine: to be called before the first filter is made."""
    for name, value in options.items():
        setattr(DummyPipeline, name, value)
    module = types.ModuleType("vswipe.engine.pipeline")
    module.Pipeline = DummyPipeline  # type: ignore[attr-defined]
    sys.modules["vswipe.engine.pipeline"] = module
