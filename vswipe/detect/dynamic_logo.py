"""Marks that blink, alternate between places or travel, block by block on a fixed grid.

First the clip is learnt from: frames spread over it show what the mark looks like and how far its sightings stand out
from chance (`learn`). Then every frame is searched for it, and for a block of `BLOCK` frames those `REACH` around it
help to decide (`block`). So the answer is the same after any seek.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Protocol

import cv2
import numpy as np

from vswipe.detect.mark_blind import Guess, Span, switching, travelling
from vswipe.detect.mark_look import MARGIN, Look, Planes, first_look, learn, planes_of
from vswipe.detect.mark_places import REACH, Bounds, decide, strong
from vswipe.detect.mark_search import Sighting, closely, find_places, measured
from vswipe.detect.mark_shape import Place, beside, extent, shape_of, without
from vswipe.detect.working import WorkingFrame, WorkingSize, working_frame

BLOCK = 16
SAMPLES = 48
"""Frames that a mark which was shown is learnt from."""

RUNS, RUN = 8, 40
"""Runs of consecutive frames, and their length, in which marks are looked for that nobody showed."""

CHECKED = 32
"""Frames in which such a mark must be found again."""

BLOCKS_KEPT = 12
PLANES_KEPT = 24

PlanesOf = Callable[[int], Planes]
Refined = tuple[Look, Bounds, dict[int, list[Sighting]], float]

_LEARNT_FROM = 24  # sightings: more change nothing but the time
_FOUND_AGAIN = 5  # frames
_GAP = 0.25  # score by which the sightings stand out from chance
_EXACT = 0.75  # agreement of levels: what is drawn is the same each time, a scene only resembles itself
_KNOWN = 0.15, 0.5  # the same two of what was seen to come and go
_FIRM = 15.0  # how many times farther off the mark's pixels must be without it
_LEAST_AREA, _MOST_AREA = 40, 0.06  # working pixels, share of the picture
_LARGEST = 0.08  # share of the picture that its box covers
_DRAWN = 0.45  # share of a pixel that a shifted mask covers from which it is erased


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
        spans: frames in which it was seen to be shown, whatever its sightings there.
    """

    look: Look
    small: Look
    bounds: Bounds
    mask: np.ndarray
    left: float
    top: float
    spans: tuple[Span, ...] = ()


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
        """Frames to learn from: spread over the clip where the mark is shown, else in runs of consecutive frames."""
        if example is not None:
            return sorted(set(spread(range(self._num_frames), SAMPLES)) | {example.n})
        if self._num_frames <= RUNS * RUN:
            return list(range(self._num_frames))
        starts = [i * (self._num_frames - RUN) // (RUNS - 1) for i in range(RUNS)]
        return sorted({n for start in starts for n in range(start, start + RUN)})

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
        planes = lru_cache(PLANES_KEPT)(lambda n: self._planes(frames[n]))
        if example is not None:
            self._marks = [self._from_example(spread(sorted(frames), SAMPLES), planes, example)]
            return
        height, width = self.size.height, self.size.width
        lumas = {n: np.ascontiguousarray(frame.luma[:height, :width]) for n, frame in frames.items()}
        numbers = sorted(frames)
        guesses = switching(numbers, planes)
        marks: list[Mark] = []
        known: list[dict[int, list[Sighting]]] = []
        for guess in guesses + travelling(numbers, lumas, planes):
            made = self._from_guess(guess, spread(numbers, CHECKED), planes)
            if made is not None and not any(_same(made[1], other) for other in known):
                marks.append(made[0])
                known.append(made[1])
        self._marks = marks

    def _planes(self, frame: WorkingFrame) -> Planes:
        return planes_of(frame, (self.size.height, self.size.width))

    def _from_example(self, numbers: Sequence[int], planes: PlanesOf, example: Example) -> Mark:
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
        look = first_look(planes(example.n), grid, left, top)
        look, bounds, _, _ = self._refined(look, numbers, planes, [(example.n, float(left), float(top))], 2)
        return Mark(look, look.halved(), bounds, full, columns[0] - left * scale_x, rows[0] - top * scale_y)

    def _from_guess(self, guess: Guess, numbers: Sequence[int],
                    planes: PlanesOf) -> tuple[Mark, dict[int, list[Sighting]]] | None:  # fmt: skip
        """The mark behind a guess, with its sightings; None where it is not found again as a mark would be."""
        own = extent(guess.look.mask)
        if own[0] * own[1] > _LARGEST * self.size.height * self.size.width:
            return None
        shaped = self._shaped(guess, numbers, planes, own) if guess.travels else (guess.look, guess.seen)
        if shaped is None:
            return None
        look, seen = shaped
        if not guess.travels:
            numbers = sorted({*numbers, *(n for n, _, _ in spread(seen, 2 * _FOUND_AGAIN))})
        look, bounds, found, gap = self._refined(look, numbers, planes, seen, 0)
        shown = _places(found, bounds, look.size)
        least, exact = (_GAP, _EXACT) if guess.travels else _KNOWN
        level = float(np.median([s[0].level for s in found.values() if s and s[0].score >= bounds.sure] or [0.0]))
        if len({n for n, _, _ in shown}) < _FOUND_AGAIN or gap < least or level < exact:
            return None
        scale_x, scale_y = self.size.full_width / self.size.width, self.size.full_height / self.size.height
        mask = look.mask
        size = round(mask.shape[1] * scale_x), round(mask.shape[0] * scale_y)
        if guess.travels:
            # The rim is fainter than what was asked for, and whatever is left of it shows as an outline.
            mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
        full = (cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.4).astype(np.uint8)
        return Mark(look, look.halved(), bounds, full, 0.0, 0.0, guess.spans), found

    def _shaped(self, guess: Guess, numbers: Sequence[int], planes: PlanesOf,
                own: tuple[int, int]) -> tuple[Look, list[Place]] | None:  # fmt: skip
        """The look of what travels, with the mask of what is always the same in it, and where it was seen."""
        look, bounds, found, gap = self._refined(guess.look, numbers, planes, guess.seen, 1)
        shown = _places(found, bounds, look.size)
        if len({n for n, _, _ in shown}) < _FOUND_AGAIN or gap < _GAP:
            return None
        seen = spread(shown, _LEARNT_FROM)
        empty = without(seen, numbers, shown, own)
        sides = beside(seen, own, look.size, (self.size.height, self.size.width))
        if not empty and not sides:
            return None
        mask, firmness = shape_of(seen, empty, sides, planes, look.size)
        area, outside = int(mask.sum()), int(mask.sum()) - int(mask[2:-2, 2:-2].sum())
        largest = _MOST_AREA * self.size.height * self.size.width
        if firmness < _FIRM or not _LEAST_AREA <= area <= largest or outside > 0.02 * area:
            return None
        return learn(replace(look, mask=mask), [(planes(n), x, y) for n, x, y in seen]), seen

    def _refined(self, look: Look, numbers: Sequence[int], planes: PlanesOf,
                 known: Sequence[Place], rounds: int) -> Refined:  # fmt: skip
        """The look learnt from where it is found, how strong its sightings must be, those of the frames searched, and
        how far they stand out from chance.

        Args:
            look: what is known at first.
            numbers: frames to search.
            planes: of a frame.
            known: places that are certain.
            rounds: how often the look is learnt anew.
        """
        for turn in range(rounds + 1):
            search = partial(_search, planes=planes, look=look, small=look.halved())
            found = dict(zip(numbers, self._pool.map(search, numbers), strict=True))
            at_home = [closely(planes(n), look, x, y).score for n, x, y in known]
            chance, usual = _levels(found, min(at_home), look.size)
            bounds = self._bounds(chance, usual, [s[0].score for s in found.values() if s])
            if turn == rounds:
                break
            seen = {n: (n, s[0].left, s[0].top) for n, s in found.items() if s and s[0].score >= bounds.sure}
            seen |= {place[0]: place for place in known}
            if len(seen) < 3:
                break
            look = learn(look, [(planes(n), x, y) for n, x, y in spread(list(seen.values()), _LEARNT_FROM)])
        return look, bounds, found, usual - chance

    def _bounds(self, chance: float, usual: float, best: Sequence[float]) -> Bounds:
        """Bounds in the first gap above chance: over another background a mark may score half of its best."""
        gap = max(usual - chance, 0.1)
        low, high = chance, chance + 0.6 * gap
        for score in sorted(s for s in best if s > chance):
            if score - low >= 0.12 * gap:
                high = min(score, high)
                break
            low = score
        sure = min(max(low + self._threshold * max(high - low, 0.0), chance + 0.08 * gap), chance + 0.6 * gap)
        return Bounds(sure, chance + 0.4 * (sure - chance))

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

            def look_at(n: int, left: float, top: float, mark: Mark = mark) -> Sighting:
                if any(span.ends_before(n, left, top, REACH) for span in mark.spans):
                    return Sighting(left, top, 0.0, 0.0)  # what looks like a faint mark there is the scene
                planes = self._planes(frames[n])
                return measured(planes, mark.look, closely(planes, mark.look, left, top))

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
            known = [Sighting(s.left, s.top, 1.0, 1.0) for s in mark.spans if s.start <= n < s.stop]
            found = (known + find_places(self._planes(frame), mark.look, None, mark.small),)
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


def spread[T](items: Sequence[T], count: int) -> list[T]:
    """At most so many of some items, evenly spread."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def _search(n: int, planes: PlanesOf, look: Look, small: Look) -> list[Sighting]:
    return find_places(planes(n), look, None, small)


def _places(found: Mapping[int, Sequence[Sighting]], bounds: Bounds, size: tuple[int, int]) -> list[Place]:
    """Where the mark is shown for sure."""
    return [(n, s.left, s.top) for n, sightings in found.items() for s in strong(sightings, bounds.sure, size)]


def _same(found: Mapping[int, Sequence[Sighting]], other: Mapping[int, Sequence[Sighting]]) -> bool:
    """Whether two looks are found in the same places: they are of one mark."""
    near = [abs(found[n][0].left - other[n][0].left) < 40 and abs(found[n][0].top - other[n][0].top) < 40
            for n in found if found[n] and other.get(n)]  # fmt: skip
    return sum(near) > 0.3 * len(near)


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
