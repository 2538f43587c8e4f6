"""Static marks of one clip: frames sampled over it in, marks out; then frames in, frames without the mark out.

The analysis is made once from a fixed set of frames. What is written to frame n depends on that, on n and on the frames
up to 14 away, which say how strongly the mark is shown: frames are looked at in blocks on a fixed grid.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.static_logo import find_marks
from vswipe.detect.working import WorkingSize, working_frame
from vswipe.engine.picture import PictureFormat
from vswipe.engine.settings import Region
from vswipe.ops.morphology import dilate
from vswipe.restore import deblend
from vswipe.restore.deblend import Mark, PlaneView, estimate_mark

BLOCK = 8
AROUND = 2
"""Blocks looked at on each side of a block."""

SAMPLES = 96
SAMPLE_BYTES = 640 << 20  # of samples kept for the estimate (1080p, 8 bit: 300 MB); above, they are asked for again
FIT_BYTES = 384 << 20  # of what an estimate holds; larger marks are learnt from fewer frames
LOOK_BYTES = 256 << 20  # of what was seen around marks
MARGIN = 24  # px around a mark at 360 lines
MEDIAN = 2  # frames on each side over which strengths are compared
FADE = 12  # frames on each side in which a fade has to begin and to end
_EFFECT = 1.0  # levels: a mark that changes a frame by less cannot be seen in it, and need not be
_PARTIAL = 0.15, 0.85  # strengths that only a fade has
_FADING = 3  # frames of them that make a fade
_TIGHT_ALPHA = 0.04

log = logging.getLogger("vswipe")


@dataclass(frozen=True)
class Analysis:
    """What was found.

    Args:
        status: "found", "none", or "unknown": too little moved to tell a mark from the scene.
        marks: what is to be erased.
    """

    status: str
    marks: tuple[Mark, ...]


class LogoAnalysis:
    """Finds and estimates the marks of one clip.

    Args:
        name: how messages begin.
        fmt: format of the clip.
        num_frames: its length.
        samples: frames to look at.
        regions: where a mark may be.

    Attributes:
        numbers: the frames it looks at.
        result: the answer, once `detect` and `estimate` were called.
    """

    def __init__(
        self, name: str, fmt: PictureFormat, num_frames: int, samples: int = SAMPLES, regions: Sequence[Region] = ()
    ) -> None:
        self.numbers = sampled(num_frames, samples)
        self.result: Analysis | None = None
        self._name, self._fmt, self._regions = name, fmt, regions
        self._size = WorkingSize.of(fmt.width, fmt.height)
        frame = sum(h * w for h, w in (fmt.plane_shape(p) for p in range(fmt.num_planes))) * fmt.dtype.itemsize
        self._whole = frame * len(self.numbers) <= SAMPLE_BYTES
        self._lumas: dict[int, np.ndarray] = {}
        self._planes: dict[int, tuple[np.ndarray, ...]] = {}
        self._holes: list[tuple[slice, slice, np.ndarray]] | None = None
        self._crops: dict[int, list[list[np.ndarray]]] = {}
        self._status = "unknown"

    def missing(self) -> list[int]:
        """Frames still to be shown to `add`."""
        if self.result is not None:
            return []
        if self._holes is None:
            return [n for n in self.numbers if n not in self._lumas]
        return [n for n in self.numbers if n not in self._crops and n not in self._planes] if self._holes else []

    def set_mask(self, mask: np.ndarray) -> None:
        """Take a mask (H, W) uint8 for the marks instead of looking for them."""
        self._status = "found" if mask.any() else "none"
        joined = cv2.dilate(mask, np.ones((9, 9), np.uint8))
        count, labels = cv2.connectedComponents(joined, connectivity=8)
        self._holes = [self._boxed(mask * (labels == k)) for k in range(1, count)]

    def add(self, n: int, planes: Sequence[np.ndarray]) -> None:
        """Show a sampled frame."""
        if self._holes is not None:
            self._crops[n] = [self._crop(planes, rows, columns) for rows, columns, _ in self._holes]
            return
        size = self._size
        working = working_frame(planes, self._fmt.family, self._fmt.level, size)
        self._lumas[n] = np.ascontiguousarray(working.luma[: size.height, : size.width])
        if self._whole:
            self._planes[n] = tuple(np.array(plane) for plane in planes)

    def detect(self) -> None:
        """Look for marks, once every sampled frame was shown."""
        if self._holes is not None or self.result is not None:
            return
        scale = self._size.scale
        regions = [tuple(int(v / scale) for v in region) for region in self._regions]
        found = find_marks([self._lumas[n] for n in self.numbers], regions)  # type: ignore[arg-type]
        self._status = found.status
        holes = []
        for mark in found.marks:
            hole = mark.hole
            if hole.shape != (self._fmt.height, self._fmt.width):
                soft = cv2.resize(hole.astype(np.float32), (self._fmt.width, self._fmt.height))
                hole = (soft > 0.3).astype(np.uint8)
            holes.append(self._boxed(self._within(hole)))
        self._holes = [hole for hole in holes if hole[2].any()]
        self._lumas.clear()
        if not self._holes:
            self._planes.clear()

    def estimate(self) -> None:
        """Estimate what was found, once every missing frame was shown."""
        if self.result is not None:
            return
        assert self._holes is not None
        marks = []
        for i, (rows, columns, hole) in enumerate(self._holes):
            chosen = self.numbers
            most = max(24, FIT_BYTES // max(1, 12 * int(hole.sum() * 1.5) * self._fmt.num_planes))
            if len(chosen) > most:
                chosen = [chosen[k] for k in sampled(len(chosen), most)]
            crops = [self._crops[n][i] if n in self._crops else self._crop(self._planes[n], rows, columns)
                     for n in chosen]  # fmt: skip
            stacks = [self.levels(p, np.stack([crop[p] for crop in crops], -1)) for p in range(self._fmt.num_planes)]
            shared = 3 if self._fmt.family == "RGB" else 1
            mark = estimate_mark(stacks, hole, rows.start, columns.start, self._size.scale, shared, shared == 1)
            if mark is not None:
                marks.append(mark)
        status = "found" if marks else "none" if self._status == "found" else self._status
        if status == "unknown":
            log.warning(
                "%s: too little moved in the %d frames looked at to tell a mark from the scene; nothing is changed. "
                "More samples, a longer clip, a mask or a logo file would help",
                self._name, len(self.numbers),
            )  # fmt: skip
        elif status == "none":
            log.info("%s: no static mark found", self._name)
        self.result = Analysis(status, tuple(marks))
        self._planes.clear()
        self._crops.clear()

    def levels(self, plane: int, samples: np.ndarray) -> np.ndarray:
        """Samples as float32 in 8-bit levels; float chroma around 128."""
        return to_levels(self._fmt, plane, samples)

    def _within(self, hole: np.ndarray) -> np.ndarray:
        if not self._regions:
            return hole
        out = np.zeros_like(hole)
        for left, top, width, height in self._regions:
            out[top : top + height, left : left + width] = hole[top : top + height, left : left + width]
        return out

    def _boxed(self, hole: np.ndarray) -> tuple[slice, slice, np.ndarray]:
        """Rows, columns and the hole inside them, on whole chroma samples."""
        if not hole.any():
            return slice(0, 0), slice(0, 0), hole[:0, :0]
        margin = int(MARGIN * max(self._size.scale, 1))
        fy, fx = (1 << self._fmt.sub_h, 1 << self._fmt.sub_w) if self._fmt.family == "YUV" else (1, 1)
        rows, columns = np.nonzero(hole.any(1))[0], np.nonzero(hole.any(0))[0]
        sides = []
        for line, full, f in ((rows, self._fmt.height, fy), (columns, self._fmt.width, fx)):
            first = max(int(line[0]) - margin, 0) // f * f
            last = min(-(-(int(line[-1]) + 1 + margin) // f) * f, full // f * f)
            sides.append(slice(first, last))
        return sides[0], sides[1], np.ascontiguousarray(hole[sides[0], sides[1]])

    def _crop(self, planes: Sequence[np.ndarray], rows: slice, columns: slice) -> list[np.ndarray]:
        out = []
        for p, plane in enumerate(planes):
            fy, fx = (1 << self._fmt.sub_h, 1 << self._fmt.sub_w) if p and self._fmt.family == "YUV" else (1, 1)
            out.append(np.array(plane[rows.start // fy : rows.stop // fy, columns.start // fx : columns.stop // fx]))
        return out


def sampled(length: int, count: int) -> list[int]:
    """At most `count` numbers spread evenly over 0..length - 1."""
    if count >= length:
        return list(range(length))
    return sorted({int((k + 0.5) * length / count) for k in range(count)})


def to_levels(fmt: PictureFormat, plane: int, samples: np.ndarray) -> np.ndarray:
    """Samples as float32 in 8-bit levels; float chroma around 128."""
    out = samples.astype(np.float32)
    if fmt.level != 1.0:
        out /= np.float32(fmt.level)
    if fmt.floating and fmt.family == "YUV" and plane > 0:
        out += 128
    return out


_Look = tuple[np.ndarray, np.ndarray, np.ndarray]


class LogoEraser:
    """Divides known marks out of the frames of one clip.

    Args:
        fmt: format of the clip.
        num_frames: its length.
        marks: what to erase.
    """

    def __init__(self, fmt: PictureFormat, num_frames: int, marks: Sequence[Mark]) -> None:
        self.marks = marks
        self._fmt, self._num_frames = fmt, num_frames
        self._views = [[PlaneView(plane.hole) for plane in mark.planes] for mark in marks]
        self._boxes = [mark.boxes() for mark in marks]
        self._hard = [mark.hard() for mark in marks]
        pixels = sum(len(mark.planes[0].alpha) for mark in marks)
        self._kept = max(2 * AROUND + 6, LOOK_BYTES // max(1, 12 * BLOCK * pixels))
        self._looks: OrderedDict[int, list[_Look]] = OrderedDict()
        self._strengths: dict[int, np.ndarray] = {}  # block -> (marks, BLOCK), raw; 16 bytes per frame and mark
        self._lock = threading.Lock()

    @property
    def has_hard(self) -> bool:
        """Whether anything is left for inpainting."""
        return any(hard.any() for hard in self._hard)

    def blocks(self, numbers: range) -> range:
        """Blocks that have to be looked at before these frames can be written."""
        last = (self._num_frames - 1) // BLOCK
        return range(max(0, numbers.start // BLOCK - AROUND), min(last, (numbers.stop - 1) // BLOCK + AROUND) + 1)

    def frames_of(self, block: int) -> range:
        """The frames of a block."""
        return range(block * BLOCK, min((block + 1) * BLOCK, self._num_frames))

    def is_known(self, block: int) -> bool:
        """Whether a block was looked at."""
        with self._lock:
            return block in self._strengths

    def look(self, block: int, frames: Sequence[Sequence[np.ndarray]]) -> None:
        """Look at all frames of a block: their planes, in order."""
        looks = [self._look(frames, m, 0) for m in range(len(self.marks))]
        strengths = []
        for mark, look in zip(self.marks, looks, strict=True):
            plane = mark.planes[0]
            shown, behind, weight = look
            effect = plane.light[:, None] - plane.alpha[:, None] * behind
            visible = np.sqrt((weight * effect * effect).sum(0) / weight.sum(0)) >= _EFFECT
            strengths.append(np.where(visible, deblend.strengths(shown, behind, weight, plane), np.nan))
        with self._lock:
            self._strengths[block] = np.array(strengths)
            self._looks[block] = looks
            while len(self._looks) > self._kept:
                self._looks.popitem(last=False)

    def strength(self, mark: int, n: int) -> float:
        """How strongly frame n shows a mark, 0..1; its blocks must have been looked at."""
        reach = range(max(0, n - FADE - MEDIAN), min(self._num_frames, n + FADE + MEDIAN + 1))
        with self._lock:
            raw = {k: float(self._strengths[k // BLOCK][mark, k % BLOCK]) for k in reach}
        steady = {}
        for k in range(max(0, n - FADE), min(self._num_frames, n + FADE + 1)):
            known = [raw[j] for j in range(k - MEDIAN, k + MEDIAN + 1) if j in raw and not np.isnan(raw[j])]
            # Where the mark cannot be seen it does not matter: it is taken to be there.
            steady[k] = float(np.median(known)) if known else 1.0
        here = steady[n]
        low, high = _PARTIAL
        partial = sum(low < value < high for value in steady.values())
        ends = min(steady.values()) < 0.3 and max(steady.values()) > 0.7
        if not ends or partial < _FADING:
            return 1.0 if here >= 0.5 else 0.0
        return 1.0 if here > deblend.FULL else 0.0 if here < deblend.ABSENT else float(np.clip(here, 0, 1))

    def is_shown(self, n: int) -> bool:
        """Whether frame n shows any mark."""
        return any(self.strength(m, n) > 0 for m in range(len(self.marks)))

    def divide(
        self, block: int, sources: Sequence[Sequence[np.ndarray]], written: Sequence[Sequence[np.ndarray] | None]
    ) -> None:
        """Divide the marks out of a block's frames.

        Args:
            block: its number.
            sources: planes of every frame of the block.
            written: planes to write to, equal to the source's, or None for frames that are left.
        """
        numbers = self.frames_of(block)
        for m, mark in enumerate(self.marks):
            strengths = [0.0 if out is None else self.strength(m, n) for n, out in zip(numbers, written, strict=True)]
            if not any(strengths):
                continue
            for p, plane in enumerate(mark.planes):
                look = self._kept_look(block, m) if p == 0 else None
                shown, behind, weight = look or self._look(sources, m, p)
                rows, columns = self._boxes[m][p]
                where = plane.hole > 0
                for i, strength in enumerate(strengths):
                    target = written[i]
                    if not strength or target is None:
                        continue
                    at = plane if strength == 1 else deblend.faded(plane, strength)
                    one = np.s_[:, i : i + 1]
                    clear = deblend.divide(at, shown[one], behind[one], weight[one], self._limits(p))[:, 0]
                    target[p][rows, columns][where] = self._samples(p, clear)

    def hard_mask(self, n: int) -> np.ndarray | None:
        """What inpainting has to fill in frame n, (H, W) uint8, or None."""
        return self._mask(n, self._hard)

    def mask(self, n: int, grow: int) -> np.ndarray | None:
        """The marks of frame n, (H, W) uint8, or None.

        Args:
            n: the frame.
            grow: pixels by which the mask is larger than the marks; 1 is what is written.
        """
        if not grow:
            masks = [((mark.alpha > _TIGHT_ALPHA) | (hard > 0)).astype(np.uint8)
                     for mark, hard in zip(self.marks, self._hard, strict=True)]  # fmt: skip
        else:
            # What is written reaches a pixel beyond the marks already, and inpainting goes a pixel further.
            masks = [mark.planes[0].hole | dilate(hard, 1) for mark, hard in zip(self.marks, self._hard, strict=True)]
        found = self._mask(n, masks)
        return None if found is None else dilate(found, max(grow - 1, 0))

    def _mask(self, n: int, masks: Sequence[np.ndarray]) -> np.ndarray | None:
        out = None
        for m, (mark, mask) in enumerate(zip(self.marks, masks, strict=True)):
            if mask.any() and self.strength(m, n) > 0:
                if out is None:
                    out = np.zeros((self._fmt.height, self._fmt.width), np.uint8)
                out[mark.top : mark.top + mark.height, mark.left : mark.left + mark.width] |= mask
        return out

    def written(self) -> float:
        """Share of the picture that is written where all marks are shown."""
        return sum(int(mark.planes[0].hole.sum()) for mark in self.marks) / (self._fmt.width * self._fmt.height)

    def _kept_look(self, block: int, mark: int) -> _Look | None:
        with self._lock:
            looks = self._looks.get(block)
            return None if looks is None else looks[mark]

    def _look(self, frames: Sequence[Sequence[np.ndarray]], m: int, p: int) -> _Look:
        rows, columns = self._boxes[m][p]
        crops = [frame[p][rows, columns] for frame in frames]
        # Always a whole block, so that sums are made in the same order wherever the clip ends.
        crops += [crops[-1]] * (BLOCK - len(crops))
        return self._views[m][p].look(to_levels(self._fmt, p, np.stack(crops, -1)))

    def _limits(self, plane: int) -> tuple[float, float]:
        if self._fmt.floating:
            return (-np.inf, np.inf)
        low, high = self._fmt.sample_range(plane)
        return low / self._fmt.level, high / self._fmt.level

    def _samples(self, plane: int, levels: np.ndarray) -> np.ndarray:
        """Levels in the clip's own sample type."""
        if self._fmt.floating:
            if self._fmt.family == "YUV" and plane > 0:
                levels = levels - 128
            return (levels * np.float32(self._fmt.level)).astype(self._fmt.dtype)
        low, high = self._fmt.sample_range(plane)
        return np.clip(np.rint(levels * np.float32(self._fmt.level)), low, high).astype(self._fmt.dtype)
