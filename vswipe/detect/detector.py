"""The subtitle detector of one clip: working frames in, masks of blocks out; what was computed is kept in a store."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch

from vswipe.detect.backing import Backing, find_backings
from vswipe.detect.masks import BlockMasks
from vswipe.detect.perceive import Evidence, Perception
from vswipe.detect.subtitle import KEY, DetectorPlan, DetectorSettings, Event, choose, find_events
from vswipe.detect.tracks import Row, find_rows
from vswipe.detect.working import WorkingFrame, WorkingSize, working_frame
from vswipe.nets.textseg import RADIUS
from vswipe.ops.scene import Thumbnail, is_cut, thumbnail, visible_cells

BLOCKS_KEPT = 12


class Store(Protocol):
    """Where values are kept by kind and number; it may forget any of them."""

    def find(self, kind: str, key: Hashable) -> Any | None:
        """The value, or None."""

    def put(self, kind: str, key: Hashable, value: Any) -> Any:
        """Keep a value; returns it."""


class SubtitleDetector:
    """Finds the subtitles of one clip.

    Args:
        width, height: of the clip, pixels.
        family: "GRAY", "RGB" or "YUV".
        level: one 8-bit level in the clip's unit.
        num_frames: its length.
        settings: as the user wants it.
        perception: the network.
        store: for what is computed per frame.
        dilate: full pixels that masks are grown by.
        choose: which events are lines; another rule shows what the certainty is fitted on.
    """

    def __init__(
        self,
        width: int,
        height: int,
        family: str,
        level: float,
        num_frames: int,
        settings: DetectorSettings,
        perception: Perception,
        store: Store,
        dilate: int = 0,
        choose: Callable[[Sequence[Event], DetectorSettings, WorkingSize], list[Event]] = choose,
    ) -> None:
        self._choose = choose
        self.size = WorkingSize.of(width, height)
        self.plan = DetectorPlan(num_frames)
        self._family, self._level = family, level
        self._settings, self._perception, self._store, self._dilate = settings, perception, store, dilate
        self._blocks: OrderedDict[int, BlockMasks] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "vswipe-text", initializer=_prepare_worker)

    def needed(self, start: int) -> range:
        """Frames that `block` looks at; none once the block is known."""
        return range(0) if self.known(start) else self.plan.needed(start)

    def known(self, start: int) -> bool:
        """Whether the block is kept."""
        with self._lock:
            return start in self._blocks

    def kept(self, n: int) -> WorkingFrame | None:
        """The working frame n, if it is still there."""
        return self._store.find("working", n)

    def reduce(self, n: int, planes: Sequence[np.ndarray], props: Mapping[str, int]) -> WorkingFrame:
        """The working frame n of a source frame."""
        found = self.kept(n)
        if found is not None:
            return found
        marks = props.get("_SceneChangePrev"), props.get("_SceneChangeNext")
        made = working_frame(planes, self._family, self._level, self.size)
        return self._store.put("working", n, WorkingFrame(made.luma, made.chroma, marks))

    def block(self, start: int, frames: Mapping[int, WorkingFrame]) -> BlockMasks:
        """The masks of a block.

        Args:
            start: its first frame, a multiple of `BLOCK`.
            frames: working frames of `needed(start)`.
        """
        with self._lock:
            if start in self._blocks:
                self._blocks.move_to_end(start)
                return self._blocks[start]
        keys = self.plan.keys(start)
        evidence = dict(zip(keys, self._pool.map(lambda n: self._evidence(n, frames), keys), strict=True))
        rows = {n: self._rows(n, evidence[n]) for n in keys}
        events: list[Event] = []
        backings: list[Backing] = []
        if any(rows.values()):
            size = self.size
            lumas = {n: frames[n].luma[: size.height, : size.width] for n in self.plan.window(start)}
            linked = self._links(frames)
            events = find_events(start, self.plan, evidence, rows, lumas, linked, self.size)
            events = self._choose(events, self._settings, self.size)
            backings = find_backings(events, self.plan, evidence, lumas, linked)
        made = BlockMasks(events, self.size, self._dilate, backings)
        with self._lock:
            self._blocks[start] = made
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return made

    def _evidence(self, n: int, frames: Mapping[int, WorkingFrame]) -> Evidence:
        found = self._store.find("evidence", n)
        if found is None:
            found = self._perception.see(n, frames, self.plan.num_frames, self.size, mirrored=n // KEY % 2 == 1)
            self._store.put("evidence", n, found)
        return found

    def _rows(self, n: int, evidence: Evidence) -> list[Row]:
        found = self._store.find("rows", n)
        if found is None:
            found = (find_rows(evidence, self._settings.threshold),)
            self._store.put("rows", n, found)
        return found[0]

    def _links(self, frames: Mapping[int, WorkingFrame]) -> Callable[[int, int], bool]:
        """Whether two neighbouring frames belong to one shot."""
        thumbs: dict[int, Thumbnail] = {}

        def thumb(n: int) -> Thumbnail:
            if n not in thumbs:
                thumbs[n] = thumbnail(frames[n].luma[: self.size.height, : self.size.width], visible_cells(None))
            return thumbs[n]

        def linked(a: int, b: int) -> bool:
            n = min(a, b)
            found = self._store.find("linked", n)
            if found is None:
                told = frames[n].cuts[1], frames[n + 1].cuts[0]
                if told != (None, None):
                    found = (not any(told),)
                else:
                    before, after = (thumb(k) if 0 <= k < self.plan.num_frames else None for k in (n - 1, n + 2))
                    found = (not is_cut(before, thumb(n), thumb(n + 1), after),)
                self._store.put("linked", n, found)
            return found[0]

        return linked


def _prepare_worker() -> None:
    """A worker is one of several threads that each look at a whole frame: no threads inside its operations."""
    torch.set_num_threads(1)


assert RADIUS >= 2, "the cut test looks at two frames beyond the window, which its neighbours are read for"
