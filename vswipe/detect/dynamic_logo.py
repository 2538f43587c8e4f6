"""Marks that blink, alternate between places or travel, block by block on a fixed grid.

First the clip is learnt from: frames spread over it show what the mark looks like and how far its sightings stand out
from chance (`learn`). Then every frame is searched for it, and for a block of `BLOCK` frames those `REACH` around it
help to decide (`block`). So the answer is the same after any seek.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import cv2
import numpy as np

from vswipe.detect.mark_look import MARGIN, Look, Planes, first_look, learn, planes_of
from vswipe.detect.mark_places import REACH, Bounds, decide
from vswipe.detect.mark_search import Sighting, closely, find_places
from vswipe.detect.working import WorkingFrame, WorkingSize, working_frame

BLOCK = 16
SAMPLES = 48
BLOCKS_KEPT = 12

_ROUNDS = 2
_LEARNT_FROM = 24  # sightings: more change nothing but the time
_DRAWN = 0.2  # share of a pixel that a shifted mask covers from which it is erased


class Store(Protocol):
    """Where values are kept by kind and number; it may forget any of them."""

    def find(self, kind: str, key: Hashable) -> Any | None:
        """The value, or None."""

    def put(self, kind: str, key: Hashable, value: Any) -> Any:
        """Keep a value; returns it."""


@dataclass(frozen=True, eq=False)
class Example:
    """A frame in which somebody marked the mark.

    Args:
        n: its number.
        mask: (H, W) uint8 at full size, 1 where the mark is.
    """

    n: int
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Mark:
    """A mark that is looked for.

    Args:
        look: at working size.
        small: at half the working size.
        bounds: how strong a sighting must be.
        mask: (h, w) uint8 at full size.
        left, top: of `mask`, full pixels from the place of the look's crop.
    """

    look: Look
    small: Look
    bounds: Bounds
    mask: np.ndarray
    left: float
    top: float


class DynamicLogoDetector:
    """Finds the dynamic marks of one clip.

    Args:
        width, height: of the clip, pixels.
        family: "GRAY", "RGB" or "YUV".
        level: one 8-bit level in the clip's unit.
        num_frames: its length.
        threshold: 0..1, certainty asked for; 0.5 is neutral.
        store: for what is computed per frame.
        dilate: full pixels that masks are grown by.
    """

    def __init__(self, width: int, height: int, family: str, level: float, num_frames: int, threshold: float,
                 store: Store, dilate: int = 0) -> None:  # fmt: skip
        self.size = WorkingSize.of(width, height)
        self._family, self._level, self._num_frames = family, level, num_frames
        self._threshold, self._store, self._dilate = threshold, store, dilate
        self._marks: list[Mark] | None = None
        self._blocks: OrderedDict[int, list[np.ndarray | None]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "vswipe-mark")

    @property
    def learnt(self) -> bool:
        """Whether the marks are known."""
        return self._marks is not None

    @property
    def found(self) -> bool:
        """Whether there is a mark to be looked for."""
        return bool(self._marks)

    def samples(self, example: Example | None) -> list[int]:
        """Frames to learn from."""
        count = min(SAMPLES, self._num_frames)
        numbers = {i * self._num_frames // count for i in range(count)}
        return sorted(numbers | ({example.n} if example else set()))

    def needed(self, start: int) -> range:
        """Frames that `block` looks at; none once the block is known, or when there is no mark."""
        if not self.found or self.known(start):
            return range(0)
        return range(max(0, start - REACH), min(self._num_frames, start + BLOCK + REACH))

    def known(self, start: int) -> bool:
        """Whether the block is kept."""
        with self._lock:
            return start in self._blocks

    def kept(self, n: int) -> WorkingFrame | None:
        """The working frame n, if it is still there."""
        return self._store.find("working", n)

    def reduce(self, n: int, planes: Sequence[np.ndarray]) -> WorkingFrame:
        """The working frame n of a source frame."""
        found = self.kept(n)
        if found is None:
            found = self._store.put("working", n, working_frame(planes, self._family, self._level, self.size))
        return found

    def learn(self, frames: Mapping[int, WorkingFrame], example: Example | None) -> None:
        """Learn the marks.

        Args:
            frames: working frames of `samples`.
            example: a mask of the mark in one of them.
        """
        if self._marks is not None:
            return
        planes = {n: self._planes(frame) for n, frame in frames.items()}
        marks = []
        if example is not None and example.mask.any():
            marks.append(self._from_example(planes, example))
        self._marks = marks

    def _planes(self, frame: WorkingFrame) -> Planes:
        return planes_of(frame, (self.size.height, self.size.width))

    def _from_example(self, planes: Mapping[int, Planes], example: Example) -> Mark:
        """The mark somebody showed, its look refined where it is found again."""
        scale_x, scale_y = self.size.full_width / self.size.width, self.size.full_height / self.size.height
        rows, columns = np.flatnonzero(example.mask.any(axis=1)), np.flatnonzero(example.mask.any(axis=0))
        full = example.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        working = cv2.resize(example.mask.astype(np.float32), (self.size.width, self.size.height),
                             interpolation=cv2.INTER_AREA) > 0.4  # fmt: skip
        top, left = int(rows[0] / scale_y) - MARGIN, int(columns[0] / scale_x) - MARGIN
        bottom, right = int(rows[-1] / scale_y) + 1 + MARGIN, int(columns[-1] / scale_x) + 1 + MARGIN
        grid = np.zeros((bottom - top, right - left), np.uint8)
        inside = working[max(top, 0) : bottom, max(left, 0) : right]
        grid[max(-top, 0) :, max(-left, 0) :][: inside.shape[0], : inside.shape[1]] = inside
        look = first_look(planes[example.n], grid, left, top)
        look, bounds = self._refined(look, planes, {example.n: (float(left), float(top))})
        return Mark(look, look.halved(), bounds, full, columns[0] - left * scale_x, rows[0] - top * scale_y)

    def _refined(self, look: Look, planes: Mapping[int, Planes],
                 known: Mapping[int, tuple[float, float]]) -> tuple[Look, Bounds]:  # fmt: skip
        """The look learnt from where it is found, and how far that stands out from chance.

        Args:
            look: what is known at first.
            planes: of the sampled frames.
            known: places that are certain.
        """
        for turn in range(_ROUNDS + 1):
            search = partial(find_places, look=look, small_look=look.halved())
            found = dict(zip(planes, self._pool.map(search, planes.values()), strict=True))
            at_home = [closely(planes[n], look, *place).score for n, place in known.items()]
            chance, usual = _levels(found, min(at_home), look.size)
            bounds = self._bounds(chance, usual)
            if turn == _ROUNDS:
                break
            seen = {n: (s[0].left, s[0].top) for n, s in found.items() if s and s[0].score >= bounds.sure} | dict(known)
            if len(seen) < 3:
                break
            step = max(1, len(seen) // _LEARNT_FROM)
            look = learn(look, [(planes[n], *place) for n, place in list(seen.items())[::step]])
        return look, bounds

    def _bounds(self, chance: float, usual: float) -> Bounds:
        gap = max(usual - chance, 0.1)
        return Bounds(chance + 0.6 * self._threshold * gap, chance + 0.25 * self._threshold * gap)

    def block(self, start: int, frames: Mapping[int, WorkingFrame]) -> list[np.ndarray | None]:
        """The masks of a block: (H, W) uint8, 1 = erase, or None, one for each of its frames.

        Args:
            start: its first frame, a multiple of `BLOCK`.
            frames: working frames of `needed(start)`.
        """
        with self._lock:
            if start in self._blocks:
                self._blocks.move_to_end(start)
                return self._blocks[start]
        stop = min(start + BLOCK, self._num_frames)
        places: list[list[tuple[Mark, Sighting]]] = [[] for _ in range(start, stop)]
        for index, mark in enumerate(self._marks or ()):
            window = range(max(0, start - REACH), min(self._num_frames, stop + REACH))
            sightings = dict(zip(window, self._pool.map(lambda n, i=index: self._sightings(i, n, frames[n]), window),
                                 strict=True))  # fmt: skip

            def look_at(n: int, left: float, top: float, look: Look = mark.look) -> Sighting:
                return closely(self._planes(frames[n]), look, left, top)

            for n, here in decide(range(start, stop), sightings, mark.bounds, mark.look.size, look_at).items():
                places[n - start] += [(mark, sighting) for sighting in here]
        made = [self._draw(here) for here in places]
        with self._lock:
            self._blocks[start] = made
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return made

    def _sightings(self, index: int, n: int, frame: WorkingFrame) -> list[Sighting]:
        found = self._store.find(f"places{index}", n)
        if found is None:
            assert self._marks is not None
            mark = self._marks[index]
            found = (find_places(self._planes(frame), mark.look, None, mark.small),)
            self._store.put(f"places{index}", n, found)
        return found[0]

    def _draw(self, places: Sequence[tuple[Mark, Sighting]]) -> np.ndarray | None:
        """All marks of a frame as one mask at full size."""
        height, width = self.size.full_height, self.size.full_width
        mask = np.zeros((height, width), np.uint8)
        for mark, at in places:
            left = at.left * width / self.size.width + mark.left
            top = at.top * height / self.size.height + mark.top
            x, y = int(np.floor(left + 0.02)), int(np.floor(top + 0.02))
            shift = np.array([[1, 0, max(left - x, 0)], [0, 1, max(top - y, 0)]], np.float32)
            size = mark.mask.shape[1] + 1, mark.mask.shape[0] + 1
            drawn = cv2.warpAffine(mark.mask.astype(np.float32), shift, size)
            x0, y0 = max(x, 0), max(y, 0)
            part = drawn[y0 - y :, x0 - x :][: max(height - y0, 0), : max(width - x0, 0)] > _DRAWN
            mask[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] |= part
        if not mask.any():
            return None
        if self._dilate:
            mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * self._dilate + 1,) * 2))
        return mask


def _levels(found: Mapping[int, Sequence[Sighting]], at_home: float, size: tuple[int, int]) -> tuple[float, float]:
    """The score that chance reaches, and that of the mark where it is shown.

    Args:
        found: sightings by frame, best first.
        at_home: score where the mark is known to be.
        size: height and width of its crop.
    """
    height, width = size
    others = [s.score for best, *rest in filter(None, found.values()) for s in rest
              if abs(s.left - best.left) > 0.7 * width or abs(s.top - best.top) > 0.7 * height]  # fmt: skip
    chance = float(np.percentile(others, 98)) if others else 0.3
    half = chance + 0.3 * (at_home - chance)
    shown = [s[0].score for s in found.values() if s and s[0].score > half]
    return chance, float(np.median(shown)) if shown else at_home
