"""The stages of one filter instance: masks in, finished samples written, chunk by chunk.

copy -> fill -> finish over each region of a chunk. Frame n's samples depend on (clip, mask, settings, n) only: chunks
and first-pass blocks lie on a fixed grid, and the ring only saves time.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b

import numpy as np
import torch

from vswipe import nets
from vswipe.engine import heap
from vswipe.engine.flowfill import FlowFill, MotionFill
from vswipe.engine.hole import Hole, make_hole
from vswipe.engine.netfill import NetFill, NetSettings
from vswipe.engine.picture import Frame, PictureFormat, Report
from vswipe.engine.region import plan_regions
from vswipe.engine.region_job import Filled, RegionJob
from vswipe.engine.region_view import GRID, RegionView
from vswipe.engine.ring import FrameRing
from vswipe.engine.settings import COPY, FLOW, WIPE, Settings
from vswipe.engine.window import WindowPlan
from vswipe.engine.wipefill import Fusion, WipeFill
from vswipe.ops.scene import Thumbnail, is_cut, thumbnail, visible_cells
from vswipe.restore.compare import DEFAULT

WORKING_SIDE = 270  # short side, in pixels, that flow and tracing are computed at
CONTEXT = 0.12  # context around a hole as a share of the short side
FIRST_RADIUS = 4  # frames on each side in the first pass
RING_BYTES = 320 << 20


class Pipeline:
    """Erases what the masks mark, from the other frames first.

    Args:
        fmt: format of the clip.
        num_frames: its length.
        settings: checked settings.

    Raises:
        ValueError: the network's weights are missing, damaged or do not fit.

    Attributes:
        chunk, before, after: frames per chunk, and frames needed on each side of it.
        model: what `WipeModel` says.
        timings: seconds per stage since creation.
        ring: counters and sizes of what is kept, for tests and benchmarks.
    """

    tuning = DEFAULT

    def __init__(self, fmt: PictureFormat, num_frames: int, settings: Settings) -> None:
        self.fmt, self.settings = fmt, settings
        self.model = settings.model
        self.device = torch.device(settings.device)
        self.ring = FrameRing(RING_BYTES)
        self.network = None if settings.model in (COPY, WIPE) else self._load_network(num_frames)
        self.fusion: Fusion | None = None
        self.motion: MotionFill | None = None
        if settings.model == WIPE:
            self.fusion = WipeFill(nets.create(WIPE, settings.weights or "auto"), self.device, settings.fp16)
            self.motion = FlowFill(nets.create(FLOW, "auto"), self.device, settings.fp16)
        reach = 0 if self.network is None else self.network.reach
        self.plan = WindowPlan(num_frames, settings.radius, min(settings.radius, FIRST_RADIUS), network_reach=reach)
        self.chunk, self.before, self.after = self.plan.chunk, self.plan.before, self.plan.after
        self.factor = max(1, round(min(fmt.width, fmt.height) / WORKING_SIDE))
        self.timings: defaultdict[str, float] = defaultdict(float)
        self._workers = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers, "vswipe", initializer=_prepare_worker)
        self._held: tuple[np.ndarray, Hole | None] | None = None

    def render(
        self,
        start: int,
        stop: int,
        frames: Mapping[int, Frame],
        masks: Mapping[int, np.ndarray | None],
        writable: Callable[[int], tuple[np.ndarray, ...]],
    ) -> dict[int, Report]:
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
                holes = {n: self._hole(n, masks[n]) for n in numbers}
            reports = {n: Report() for n in range(start, stop)}
            wanted = [n for n in range(start, stop) if holes[n] is not None]
            if not wanted:
                return reports
            align = self._alignment()
            context = int(CONTEXT * min(self.fmt.width, self.fmt.height)) + 1
            rects = plan_regions(
                (h.cells for h in holes.values() if h is not None), self.fmt.height, self.fmt.width, context, align
            )
            copied: dict[int, list[np.ndarray]] = {n: [] for n in wanted}
            targets: dict[int, tuple[np.ndarray, ...]] = {}

            def linked(n: int) -> bool:
                return self._linked(n, frames, holes)

            with self.clock("masks"):
                list(self._pool.map(lambda n: self._thumbnail(n, frames, holes), numbers))
            for rect in rects:
                view = RegionView(self.fmt, rect, self.factor, frames, holes, self.ring, self.motion)
                job = RegionJob(
                    view,
                    self.plan,
                    linked,
                    self.device,
                    self._pool,
                    self._workers,
                    self.clock,
                    self.settings.grain,
                    self.tuning,
                    self.network,
                    self.fusion,
                )
                inside = [n for n in wanted if view.mask(n) is not None]
                if not inside:
                    continue
                results = job.second_pass(inside)
                with self.clock("finish"):
                    for n, groups in results.items():
                        if n not in targets:
                            targets[n] = writable(n)
                        copied[n].append(groups[0].copied)
                        for filled in groups:
                            self._write(targets[n], filled, holes[n])
        if start // self.chunk % heap.EVERY == 0:
            heap.trim()
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

    def _load_network(self, num_frames: int) -> NetFill:
        settings = self.settings
        net = nets.create(settings.model, settings.weights or "auto")
        return NetFill(net, self.device, settings.fp16, self.ring, num_frames, NetSettings(shots=settings.shots))

    def _alignment(self) -> int:
        cell = self.factor * GRID
        while cell % (1 << max(self.fmt.sub_w, self.fmt.sub_h)):
            cell += self.factor * GRID
        return cell

    def _hole(self, n: int, mask: np.ndarray | None) -> Hole | None:
        """The frame's hole, made once for all frames with the same mask: a line of text stays for seconds, and at 4K a
        hole is 17 MB."""
        if mask is None:
            return None
        if self._held is None or self._held[0] is not mask:
            key = self.ring.get("digest", n, lambda: blake2b(np.packbits(mask), digest_size=16).digest())
            # In a tuple: nothing to erase is an answer, too.
            (hole,) = self.ring.get("hole", key, lambda: (make_hole(key, mask, self.settings),))
            self._held = (mask, hole)
        return self._held[1]

    def _linked(self, n: int, frames: Mapping[int, Frame], holes: Mapping[int, Hole | None]) -> bool:
        """Whether frames n and n + 1 belong to one shot."""
        existing = range(self.plan.num_frames)
        if n not in existing or n + 1 not in existing:
            return False

        def compute() -> bool:
            first, second = frames[n].props, frames[n + 1].props
            if "_SceneChangeNext" in first or "_SceneChangePrev" in second:
                return not (first.get("_SceneChangeNext", 0) or second.get("_SceneChangePrev", 0))
            before, here, there, after = (
                self._thumbnail(k, frames, holes) if 0 <= k < self.plan.num_frames else None
                for k in range(n - 1, n + 3)
            )
            assert here is not None
            assert there is not None
            return not is_cut(before, here, there, after)

        return self.ring.get("linked", n, compute)

    def _thumbnail(self, n: int, frames: Mapping[int, Frame], holes: Mapping[int, Hole | None]) -> Thumbnail:
        def compute() -> Thumbnail:
            plane = frames[n].planes[1 if self.fmt.family == "RGB" else 0]
            if plane.dtype != np.uint8:
                plane = plane.astype(np.float32) / np.float32(self.fmt.level)
            hole = holes[n]
            if hole is None:
                return thumbnail(plane, visible_cells(None))
            return thumbnail(plane, self.ring.get("visible", hole.key, lambda: visible_cells(hole.grown)))

        return self.ring.get("thumbnail", n, compute)

    def _write(self, planes: tuple[np.ndarray, ...], filled: Filled, hole: Hole | None) -> None:
        """Puts filled samples into the frame in the clip's own sample type."""
        share = None
        if hole is not None and hole.alpha is not None:
            height, width = planes[filled.planes[0]].shape
            share = hole.alpha[filled.rows * (self.fmt.height // height), filled.columns * (self.fmt.width // width)]
        for c, p in enumerate(filled.planes):
            values = filled.values[:, c]
            if self.fmt.floating:
                chroma = self.fmt.family == "YUV" and p > 0
                values = (values - (128 if chroma else 0)) * np.float32(self.fmt.level)
            else:
                values = values * np.float32(self.fmt.level)
            if share is not None:
                values = share * values + (1 - share) * planes[p][filled.rows, filled.columns]
            if not self.fmt.floating:
                low, high = self.fmt.sample_range(p)
                values = np.clip(np.rint(values), low, high)
            planes[p][filled.rows, filled.columns] = values.astype(self.fmt.dtype)


def _prepare_worker() -> None:
    """A worker is one of several threads that each take a whole frame: no threads inside its operations."""
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()  # for the life of this thread
