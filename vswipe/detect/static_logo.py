"""Static marks found blindly: frames sampled over a clip in, masks of marks out, or "unknown" when too little moved.

`find_marks` looks at all samples and at parts of them (a mark may be shown in a part of the clip only), asks the
statistics of `static_evidence` where something is fixed, and keeps what passes the rules that tell a mark from a still
scene's edges, black bars and the source's own border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.detect.static_evidence import (
    Backgrounds,
    Evidence,
    brightness,
    flatness,
    gather_evidence,
    local_gradient,
)
from vswipe.detect.static_opaque import fixed_in_shot, fixed_patches

MIN_STATES = 8
"""Different backgrounds below which nothing can be told."""

UNKNOWN_SHARE = 0.25
"""Share of the picture with too few backgrounds from which on "nothing found" becomes "unknown"."""


@dataclass(frozen=True)
class _Rules:
    """Limits of the statistics.

    Args:
        states: different backgrounds behind a pixel that counts.
        strong, least: of the broad statistic, with and without allowance for the number of backgrounds.
        peak: of its 90th percentile.
        weak: of the broad and the fine statistic of what belongs to a mark.
        scenes: different scenes in which the mark must be seen.
    """

    states: int
    strong: float
    least: float
    peak: float
    weak: float
    scenes: int


# In one shot the bars of a cage and door frames reach a peak of 5.8, marks 9 and more. What survives cuts needs less:
# nothing fixed to a camera does.
_SHOT = _Rules(MIN_STATES, 6.0, 3.0, 8.0, 2.0, 0)
_CUTS = _Rules(5, 2.6, 2.6, 3.2, 1.6, 5)
_STRONG_SIZE, _WEAK_SIZE = 1.0, 0.6
_ONE_WAY = 0.25  # of the gradient energy is the least that each direction has in a mark
_MIN_STRONG = 60  # pixels
_BELONGING_STATES = 4  # behind a pixel that belongs to a mark but would not show one
_PRESENT = 0.5, 1.6  # strength of a mark's gradients in a frame that shows it, as a share of what is usual
_STEADY = 0.55  # of the usual strength is shown by nine frames of ten: marks 0.65 and more, moving shots 0.5 at most
_HINT = 1.3  # of the broad statistic, where a mark may be that is shown in a part of the frames
_HINTS = 3  # of them looked into
_LEAST_SHOWN = 16  # frames
_INSIDE = 0.3  # share of a mark's typical effect from which on what it encloses belongs to it
_JOIN = 7  # px
_RING = 11  # px
_RING_UNKNOWN = 0.3
_RING_STATIC = 0.75
_PEAK = 8.0  # score of a mark found by its sameness
_NEW_SHARE = 0.15  # of a mark that must be new for it to be joined with one that is known
_BESIDE = 24  # px
_TIGHT = 0.15  # of the 95th percentile of the fine statistic: what a first hole must hold, and not much more
_BORDER = 3  # px left out at the sides
_NEAR_BORDER, _THIN = 8, 6  # px
_ALONG_SIDE = 0.3  # share of a side
_BAR_SPREAD, _BAR_DARK, _BAR_SHARE = 6.0, 40.0, 0.97
_BAR_EDGE = 4  # px: coding mixes a bar and the picture across its edge, an edge that never moves
_PART_FRAMES = 48  # samples of a part: an opaque mark needs many backgrounds


@dataclass(frozen=True, eq=False)
class FoundMark:
    """A mark at working size.

    Args:
        hole: (H, W) uint8, 1 = what a first fit should take for the mark: tight but complete.
        area: (H, W) uint8, 1 = the mark with everything it encloses.
        score: 90th percentile of the statistic; above 8.
    """

    hole: np.ndarray
    area: np.ndarray
    score: float


@dataclass(frozen=True)
class Found:
    """What the detector says.

    Args:
        status: "found", "none", or "unknown": nothing found and too little moved to say that there is nothing.
        marks: from the strongest on.
        unknown: share of the picture with too few different backgrounds, 0..1.
    """

    status: str
    marks: tuple[FoundMark, ...]
    unknown: float


def find_marks(lumas: Sequence[np.ndarray], regions: Sequence[tuple[int, int, int, int]] = ()) -> Found:
    """Static marks in sampled frames.

    Args:
        lumas: frames (H, W) uint8, about 360 lines, in order and spread over the clip.
        regions: left, top, width, height in working pixels; only marks with their middle inside count.

    Returns:
        What was found; marks of different parts of the clip that overlap are one.

    Raises:
        ValueError: no frames.
    """
    if not lumas:
        raise ValueError("find_marks: lumas must hold frames, got none")
    top, bottom, left, right = picture_area(lumas)
    inner = [np.ascontiguousarray(luma[top:bottom, left:right]) for luma in lumas]
    if min(inner[0].shape) < 8 * _RING:
        return Found("unknown", (), 1.0)
    backgrounds = Backgrounds(inner)
    marks: list[FoundMark] = []
    unknown = 1.0
    waiting = _parts(len(inner))
    fixed = len(waiting)
    for number, part in enumerate(waiting):
        shown, scenes = [inner[n] for n in part], backgrounds.scenes[part]
        # A part of one shot says no more than all of it, and errs more often: bars of a cage where nobody walks behind.
        few = len(set(scenes.tolist())) < _CUTS.scenes
        if number > 0 and few:
            continue
        evidence = gather_evidence(shown, backgrounds.states(part))
        unknown = min(unknown, float((evidence.states < MIN_STATES).mean()))
        if number == 0:
            waiting += _partly_shown(evidence, shown)
        # Frames that were chosen for what they share look alike by choice: only what is plain counts there.
        for rules in (_SHOT, _CUTS) if number < fixed else (_SHOT,):
            for mark in _marks(evidence, rules, shown, scenes):
                whole = _placed(mark, lumas[0].shape, top, left)
                if _within(whole, regions):
                    _add(marks, whole)
        patches = fixed_in_shot(shown, evidence) if few else fixed_patches(shown, scenes) if number < fixed else []
        for mark in _opaque_marks(patches):
            whole = _placed(mark, lumas[0].shape, top, left)
            if _within(whole, regions):
                _add(marks, whole, 0.0)
    marks.sort(key=lambda mark: -mark.score)
    status = "found" if marks else "unknown" if unknown > UNKNOWN_SHARE else "none"
    return Found(status, tuple(marks), unknown)


def _add(marks: list[FoundMark], mark: FoundMark, least: float = _NEW_SHARE) -> None:
    """Keep a mark. It is joined with what overlaps it, unless less than a share of it is new: holes should be tight."""
    overlapping = [other for other in marks if (other.area & mark.area).any()]
    known = np.zeros_like(mark.hole)
    for other in overlapping:
        known |= other.hole
    if overlapping and (mark.hole & ~known & 1).sum() <= least * mark.hole.sum():
        return
    marks[:] = [other for other in marks if not (other.area & mark.area).any()]
    area = np.bitwise_or.reduce([mark.area, *(other.area for other in overlapping)])
    marks.append(FoundMark(mark.hole | known, area, max(m.score for m in (mark, *overlapping))))


def _opaque_marks(patches: Sequence[np.ndarray]) -> list[FoundMark]:
    out = []
    for patch in patches:
        x, y, w, h = cv2.boundingRect(patch)
        grown = _JOIN // 2
        if _may_stand_there(x - grown, y - grown, w + 2 * grown, h + 2 * grown, patch > 0, *patch.shape):
            out.append(FoundMark(patch, patch, _PEAK))
    return out


def picture_area(lumas: Sequence[np.ndarray]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the picture without black bars and what coding has mixed with them."""
    stack = np.stack(lumas[:: max(1, len(lumas) // 24)]).astype(np.float32)
    low, high = np.percentile(stack, (2, 98), axis=0)
    bar = (high - low < _BAR_SPREAD) & (high < _BAR_DARK)

    def edges(lines: np.ndarray) -> tuple[int, int]:
        inside = np.flatnonzero(lines <= _BAR_SHARE)
        if inside.size == 0:
            return 0, len(lines)
        first, last = int(inside[0]), int(inside[-1]) + 1
        first, last = first + _BAR_EDGE * (first > 0), last - _BAR_EDGE * (last < len(lines))
        return (first, last) if first < last else (0, len(lines))

    top, bottom = edges(bar.mean(1))
    left, right = edges(bar[top:bottom].mean(0))
    return top, bottom, left, right


def _parts(count: int) -> list[list[int]]:
    """All samples first, then overlapping parts."""
    parts = [list(range(count))]
    if count >= 2 * _PART_FRAMES * 3 // 4:
        last = count - _PART_FRAMES
        parts += [list(range(start, start + _PART_FRAMES)) for start in sorted({0, last // 2, last})]
    return parts


def _marks(evidence: Evidence, rules: _Rules, lumas: Sequence[np.ndarray], scenes: np.ndarray) -> list[FoundMark]:
    num_scenes = len(set(scenes.tolist()))
    if num_scenes < rules.scenes:
        return []
    height, width = evidence.states.shape
    enough = evidence.states >= rules.states
    inside = np.zeros((height, width), bool)
    inside[_BORDER : height - _BORDER, _BORDER : width - _BORDER] = True
    more = np.sqrt(np.maximum(evidence.states - 4, 0) / 10)
    strong = enough & inside & (evidence.broad * np.maximum(more, rules.scenes > 0) >= rules.strong)
    strong &= (evidence.broad >= rules.least) & (evidence.size >= _STRONG_SIZE)
    weak = enough & inside & (evidence.broad >= rules.weak) & (evidence.fine >= rules.weak)
    weak &= evidence.size >= _WEAK_SIZE
    weak |= strong
    belongs = inside & (evidence.states >= _BELONGING_STATES) & (evidence.broad >= rules.weak)
    belongs &= (evidence.fine >= rules.weak) & (evidence.size >= _WEAK_SIZE)
    joined = cv2.dilate(weak.astype(np.uint8), np.ones((_JOIN, _JOIN), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    out = []
    for k in range(1, count):
        x, y, w, h = (int(v) for v in stats[k, :4])
        here = labels == k
        core = strong & here
        if core.sum() < _MIN_STRONG:
            continue
        score = float(np.percentile(evidence.broad[core], 90))
        if score < rules.peak or not _may_stand_there(x, y, w, h, core, height, width):
            continue
        area = _filled((weak | belongs) & here)
        if _in_still_scene(evidence, rules, area, core, inside):
            continue
        # A shore or a kerb stays where it is when the camera moves along it; cuts tell it from a mark of one direction.
        if (rules.scenes or num_scenes < _CUTS.scenes) and _is_line(evidence, weak & here):
            continue
        if rules.scenes and _scenes_with(evidence, weak & here, lumas, scenes) < rules.scenes:
            continue
        out.append(FoundMark(_tight(evidence, area), area, score))
    return out + _companions(evidence, belongs, out)


def _companions(evidence: Evidence, belongs: np.ndarray, marks: Sequence[FoundMark]) -> list[FoundMark]:
    """What stands beside a mark needs less evidence: the letters of a word have different backgrounds."""
    if not marks:
        return []
    found = np.bitwise_or.reduce([mark.area for mark in marks])
    near = cv2.dilate(found, np.ones((2 * _BESIDE + 1, 2 * _BESIDE + 1), np.uint8))
    joined = cv2.dilate(belongs.astype(np.uint8), np.ones((_JOIN, _JOIN), np.uint8))
    _, labels = cv2.connectedComponents(joined, connectivity=8)
    out = []
    for k in np.unique(labels[(near > 0) & belongs]):
        here = belongs & (labels == k)
        inside = (here & (near > 0)).sum() >= 0.9 * here.sum()
        if here.sum() < _MIN_STRONG // 2 or not inside or (here & (found > 0)).any():
            continue
        score = float(np.percentile(evidence.broad[here], 90))
        if score >= _CUTS.least:
            area = _filled(here)
            out.append(FoundMark(_tight(evidence, area), area, score))
    return out


def _partly_shown(evidence: Evidence, lumas: Sequence[np.ndarray]) -> list[list[int]]:
    """Frames that may share a mark which the others lack: it must not be looked for in all of them together, where a
    quarter without it hides it."""
    hint = (evidence.states >= _CUTS.states) & (evidence.broad >= _HINT) & (evidence.size >= _STRONG_SIZE)
    joined = cv2.dilate(hint.astype(np.uint8), np.ones((_JOIN, _JOIN), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    largest = sorted(range(1, count), key=lambda k: -int(stats[k, cv2.CC_STAT_AREA]))[:_HINTS]
    out = []
    for k in largest:
        where = hint & (labels == k)
        if where.sum() < _MIN_STRONG:
            continue
        strengths = _strengths(evidence, where, lumas)
        chosen = [i for i, strength in enumerate(strengths) if strength > _PRESENT[0]]
        if _LEAST_SHOWN <= len(chosen) < 0.95 * len(lumas):
            out.append(chosen)
    return out


def _is_line(evidence: Evidence, where: np.ndarray) -> bool:
    """Whether edges run one way: what ever other subtitles have in common is where their lines begin and end, and what
    moves along its own edges seems to stand still."""
    fields = evidence.constant + np.float32(evidence.spread[0]) * evidence.slope
    across, along = ((field[where] ** 2).sum() for field in fields)
    return bool(min(across, along) < _ONE_WAY * (across + along))


def _scenes_with(evidence: Evidence, where: np.ndarray, lumas: Sequence[np.ndarray], scenes: np.ndarray) -> int:
    """In how many scenes the gradients that stay are seen, in one frame of two at least; 0 where they come and go.

    A horizon or a kerb that a moving camera keeps in place passes for a mark in the mean, but not in every frame.
    """
    low, high = _PRESENT
    strengths = np.array(_strengths(evidence, where, lumas))
    usual = max(float(np.median(strengths)), low)
    if np.percentile(strengths, 10) < _STEADY * usual:
        return 0
    seen = (strengths > low * usual) & (strengths < high * usual)
    return sum(bool(seen[scenes == k].mean() >= 0.5) for k in set(scenes.tolist()))


def _strengths(evidence: Evidence, where: np.ndarray, lumas: Sequence[np.ndarray]) -> list[float]:
    """How strongly each frame shows the gradients that stay: 1 as all together, 0 not at all."""
    rows, columns = (slice(max(int(v.min()) - 12, 0), int(v.max()) + 13) for v in np.nonzero(where))
    chosen = where[rows, columns]
    constant, slope = (field[:, rows, columns][:, chosen] for field in (evidence.constant, evidence.slope))
    strengths = []
    for luma in lumas:
        frame = luma[rows, columns].astype(np.float32)
        g = local_gradient(frame)
        expected = constant + slope * brightness(frame)[chosen]
        weight = flatness((g * g).sum(0))[chosen]
        total = float((weight * expected * expected).sum())
        strengths.append(float((weight * expected * g[:, chosen]).sum()) / (total + 1e-6))
    return strengths


def _may_stand_there(x: int, y: int, w: int, h: int, core: np.ndarray, height: int, width: int) -> bool:
    """Not a border of the source: nothing thin at the sides, nothing that runs along one."""
    grown = _JOIN // 2
    left, top, right, bottom = x + grown, y + grown, x + w - grown, y + h - grown
    near = left < _NEAR_BORDER or top < _NEAR_BORDER or right > width - _NEAR_BORDER or bottom > height - _NEAR_BORDER
    if near and min(right - left, bottom - top) < _THIN:
        return False
    edge = _BORDER + 2
    touching = ((core[:edge].any(0).sum(), width), (core[-edge:].any(0).sum(), width),
                (core[:, :edge].any(1).sum(), height), (core[:, -edge:].any(1).sum(), height))  # fmt: skip
    return all(touched <= _ALONG_SIDE * side for touched, side in touching)


def _filled(weak: np.ndarray) -> np.ndarray:
    """Closed, and everything enclosed with it."""
    closed = cv2.morphologyEx(np.pad(weak.astype(np.uint8), 8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    outside = closed.copy()
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.ascontiguousarray((outside != 2).astype(np.uint8)[8:-8, 8:-8])


def _in_still_scene(evidence: Evidence, rules: _Rules, area: np.ndarray, core: np.ndarray, inside: np.ndarray) -> bool:
    """Whether the surroundings are those of a still scene with something moving in front of it."""
    ring = (cv2.dilate(area, np.ones((_RING, _RING), np.uint8)) > area) & inside
    if not ring.any():
        return True
    unseen = evidence.states < rules.states
    fixed = ring & unseen & (evidence.size >= _STRONG_SIZE)
    strong = float(core.sum())
    return float((ring & unseen).sum()) > _RING_UNKNOWN * float(ring.sum()) or strong < _RING_STATIC * (
        strong + float(fixed.sum())
    )


def _tight(evidence: Evidence, area: np.ndarray) -> np.ndarray:
    """Strokes and what they surround if it is as opaque, not the block they fuse into: between strokes the picture
    behind can be seen, and where few backgrounds were seen only there."""
    limit = _TIGHT * float(np.percentile(evidence.fine[area > 0], 95))
    edges = ((evidence.fine > limit) & (area > 0)).astype(np.uint8)
    edges = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) & area
    effect = _effect(evidence, area)
    typical = float(np.percentile(effect[edges > 0], 75))
    return edges | (effect > _INSIDE * typical).astype(np.uint8)


def _effect(evidence: Evidence, area: np.ndarray) -> np.ndarray:
    """How many levels the mark changes the picture by, (H, W) float32: its gradients integrated over its area, for a
    dark and a bright background, the larger of the two.

    Poisson's equation with nothing around, as Dekel et al. (CVPR 2017, section 3.1) integrate a median gradient.
    """
    mean, deviation = evidence.spread
    out = np.zeros(area.shape, np.float32)
    rows, columns = (slice(max(int(v.min()) - 2, 0), int(v.max()) + 3) for v in np.nonzero(area))
    inside = _hull(area)[rows, columns].astype(np.float32)
    for level in (mean - deviation, mean + deviation):
        g = (evidence.constant + np.float32(level) * evidence.slope)[:, rows, columns]
        divergence = cv2.Sobel(g[0], cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
        divergence += cv2.Sobel(g[1], cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
        out[rows, columns] = cv2.max(out[rows, columns], np.abs(_integrated(divergence, inside)))
    return out


def _hull(area: np.ndarray) -> np.ndarray:
    """The convex hull and a pixel around it: an outline may have gaps."""
    points = np.argwhere(area)[:, ::-1].astype(np.int32)
    out = np.zeros_like(area)
    cv2.fillConvexPoly(out, cv2.convexHull(points), 1)
    return cv2.dilate(out, np.ones((3, 3), np.uint8))


def _integrated(divergence: np.ndarray, inside: np.ndarray) -> np.ndarray:
    kernel = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)
    if min(divergence.shape) >= 16:
        size = (-(-divergence.shape[1] // 2), -(-divergence.shape[0] // 2))
        half = cv2.resize(divergence, size, interpolation=cv2.INTER_AREA) * 4
        half = _integrated(half, (cv2.resize(inside, size, interpolation=cv2.INTER_AREA) > 0.5).astype(np.float32))
        out = cv2.resize(half, divergence.shape[::-1], interpolation=cv2.INTER_LINEAR) * inside
    else:
        out = np.zeros_like(divergence)
    for _ in range(30):
        out = (cv2.filter2D(out, -1, kernel, borderType=cv2.BORDER_CONSTANT) - 0.25 * divergence) * inside
    return out


def _placed(mark: FoundMark, shape: tuple[int, ...], top: int, left: int) -> FoundMark:
    """The mark in the whole frame, black bars included."""
    masks = []
    for mask in (mark.hole, mark.area):
        whole = np.zeros(shape[:2], np.uint8)
        whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        masks.append(whole)
    return FoundMark(masks[0], masks[1], mark.score)


def _within(mark: FoundMark, regions: Sequence[tuple[int, int, int, int]]) -> bool:
    if not regions:
        return True
    rows, columns = np.nonzero(mark.area)
    y, x = float(rows.mean()), float(columns.mean())
    return any(left <= x < left + w and top <= y < top + h for left, top, w, h in regions)
