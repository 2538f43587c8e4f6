"""The stages of one filter instance: masks in, finished samples written, chunk by chunk.

copy -> fill -> finish over each region of a chunk. Frame n's samples depend on (clip, mask, settings, n) only: chunks
and first-pass blocks lie on a fixed grid, and the ring only saves time.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch

from vswipe.engine.picture import Frame, PictureFormat, Report
from vswipe.engine.region import occupied_cells, plan_regions
from vswipe.engine.region_job import GRID, Filled, RegionJob
from vswipe.engine.ring import FrameRing
from vswipe.engine.settings import Settings
from vswipe.engine.window import WindowPlan
from vswipe.ops.morphology import dilate
from vswipe.ops.scene import Thumbnail, is_cut, thumbnail
from vswipe.restore.propagate import DEFAULT

WORKING_SIDE = 360  # short side, in pixels, that flow and tracing are computed at
CONTEXT = 0.12  # context around a hole as a share of the short side
FIRST_RADIUS = 8  # frames on each side in the first pass
RING_BYTES = 640 << 20


class Pipeline:
    """Erases what the masks mark, from the other frames first.

    Args:
        fmt: format of the clip.
        num_frames: its length.
        settings: checked settings.

    Attributes:
        chunk, before, after: frames per chunk, and frames needed on each side of it.
        model: what `WipeModel` says.
        timings: seconds per stage since creation.
        ring: counters and sizes of what is kept, for tests and benchmarks.
    """

    model = "copy"
    tuning = DEFAULT

    def __init__(self, fmt: PictureFormat, num_frames: int, settings: Settings) -> None:
        self.fmt, self.settings = fmt, settings
        self.plan = WindowPlan(num_frames, settings.radius, min(settings.radius, FIRST_RADIUS))
        self.chunk, self.before, self.after = self.plan.chunk, self.plan.before, self.plan.after
        self.factor = max(1, round(min(fmt.width, fmt.height) / WORKING_SIDE))
        self.device = torch.device(settings.device)
        self.ring = FrameRing(RING_BYTES)
        self.timings: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "vswipe", initializer=_prepare_worker)
        self._held: tuple[np.ndarray, np.ndarray | None, np.ndarray | None] | None = None

    def render(self, start: int, stop: int, frames: Mapping[int, Frame], masks: Mapping[int, np.ndarray | None],
               writable: Callable[[int], tuple[np.ndarray, ...]]) -> dict[int, Report]:
        """Fills the masked samples of frames start..stop - 1.

        Args:
            start, stop: the chunk; `start` is a multiple of `chunk`.
            frames: every existing frame of [start - before, stop + after).
            masks: for the same frames (H, W) uint8, 1 = erase, or None when empty.
            writable: frame number -> planes to write into, equal to the frame's; called only for frames that change.

        Returns:
            A report for every frame of the chunk.
        """
        numbers = self.plan.window(start, stop)
        with torch.inference_mode():
            with self.clock("masks"):
                grown, cells = {}, {}
                for n in numbers:
                    grown[n], cells[n] = self._grow(n, masks[n])
            reports = {n: Report() for n in range(start, stop)}
            wanted = [n for n in range(start, stop) if grown[n] is not None]
            if not wanted:
                return reports
            align = self._alignment()
            context = int(CONTEXT * min(self.fmt.width, self.fmt.height)) + 1
            rects = plan_regions((cells[n] for n in numbers if cells[n] is not None),
                                 self.fmt.height, self.fmt.width, context, align)
            copied: dict[int, list[np.ndarray]] = {n: [] for n in wanted}
            targets: dict[int, tuple[np.ndarray, ...]] = {}
            for rect in rects:
                job = RegionJob(self.fmt, rect, self.factor, self.plan, frames, grown,
                                lambda n: self._linked(n, frames, grown), self.ring, self.device, self._pool, self.clock, self.tuning)
                inside = [n for n in wanted if job.mask(n) is not None]
                if not inside:
                    continue
                results = job.second_pass(inside)
                with self.clock("finish"):
                    for n, groups in results.items():
                        if n not in targets:
                            targets[n] = writable(n)
                        copied[n].append(groups[0].copied)
                        for filled in groups:
                            self._write(targets[n], filled)
        pixels = self.fmt.width * self.fmt.height
        for n in wanted:
            share = np.concatenate(copied[n]) if copied[n] else np.zeros(0)
            if share.size:
                reports[n] = Report(share.size / pixels, float(share.mean()))
        return reports

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Adds the time spent inside to `timings[stage]`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] += time.perf_counter() - began

    def _alignment(self) -> int:
        cell = self.factor * GRID
        while cell % (1 << max(self.fmt.sub_w, self.fmt.sub_h)):
            cell += self.factor * GRID
        return cell

    def _grow(self, n: int, mask: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The mask within the wanted regions, dilated, and its occupied cells; a held mask is looked at once."""
        if mask is None:
            return None, None
        if self._held is not None and self._held[0] is mask:
            return self._held[1], self._held[2]
        found = self.ring.find("grown", n)
        if found is None or found[0] is not mask:
            limited = mask
            if self.settings.regions:
                limited = np.zeros_like(mask)
                for left, top, width, height in self.settings.regions:
                    box = np.s_[top : top + height, left : left + width]
                    limited[box] = mask[box]
            grown = dilate(limited, self.settings.dilate) if limited.any() else None
            found = (mask, grown, None if grown is None else occupied_cells(grown))
        self._held = found
        return found[1], found[2]

    def _linked(self, n: int, frames: Mapping[int, Frame], grown: Mapping[int, np.ndarray | None]) -> bool:
        """Whether frames n and n + 1 belong to one shot."""
        if n < 0 or n + 1 >= self.plan.num_frames:
            return False

        def compute() -> bool:
            first, second = frames[n].props, frames[n + 1].props
            if "_SceneChangeNext" in first or "_SceneChangePrev" in second:
                return not (first.get("_SceneChangeNext", 0) or second.get("_SceneChangePrev", 0))
            thumbs = [self._thumbnail(k, frames, grown) for k in range(n - 1, n + 3)]
            return not is_cut(*thumbs)

        return self.ring.get("linked", n, compute)

    def _thumbnail(self, n: int, frames: Mapping[int, Frame], grown: Mapping[int, np.ndarray | None]) -> Thumbnail | None:
        if n not in frames:
            assert not 0 <= n < self.plan.num_frames, "the window holds every frame the cut test looks at"
            return None

        def compute() -> Thumbnail:
            plane = frames[n].planes[1 if self.fmt.family == "RGB" else 0]
            if plane.dtype != np.uint8:
                plane = plane.astype(np.float32) / np.float32(self.fmt.level)
            return thumbnail(plane, grown[n])

        return self.ring.get("thumbnail", n, compute)

    def _write(self, planes: tuple[np.ndarray, ...], filled: Filled) -> None:
        """Puts filled samples into the frame in the clip's own sample type."""
        for c, p in enumerate(filled.planes):
            values = filled.values[:, c]
            if self.fmt.floating:
                chroma = self.fmt.family == "YUV" and p > 0
                values = (values - (128 if chroma else 0)) * np.float32(self.fmt.level)
            else:
                low, high = self.fmt.sample_range(p)
                values = np.clip(np.rint(values * np.float32(self.fmt.level)), low, high)
            planes[p][filled.rows, filled.columns] = values.astype(self.fmt.dtype)


def _prepare_worker() -> None:
    """A worker is one of several threads that each take a whole frame: no threads inside its operations."""
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()  # for the life of this thread
