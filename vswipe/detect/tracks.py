"""Lines of subtitles over time: rows of strokes followed from one looked-at frame to the next, and pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from vswipe.detect.perceive import Evidence
from vswipe.detect.presence import Edge, Template, detail, edge_of

_LOW, _HIGH = 0.3, 0.6  # of the network's probability: what may belong to a row, and what makes one
_GAP = (0.045, 0.008)  # across and down, shares of the height: strokes closer than this belong to one row
_LEAST_STROKES = 25  # pixels above _HIGH
_OVERLAP = 0.3  # intersection over union of two rows' strokes that may be one line
_PAIRS = 12  # of neighbouring frames that tell how much a track changes
_ALIKE = 0.55  # correlation of their looks that makes them one


@dataclass(frozen=True, eq=False)
class Row:
    """Strokes that belong together in one frame.

    Args:
        left, top, right, bottom: box at working size, right and bottom excluded.
        strokes: (h, w) bool inside the box, probability above the lower threshold.
        area: number of stroke pixels.
    """

    left: int
    top: int
    right: int
    bottom: int
    strokes: np.ndarray
    area: int


def find_rows(evidence: Evidence, threshold: float) -> list[Row]:
    """The rows of one frame.

    Args:
        evidence: of the frame.
        threshold: 0.5 is neutral; higher asks for more.
    """
    shift = threshold / 0.5
    low, high = min(_LOW * shift, 0.95) * 255, min(_HIGH * shift, 0.98) * 255
    strokes = evidence.strokes
    if strokes.max() < high:
        return []
    binary = (strokes >= low).astype(np.uint8)
    height = strokes.shape[0]
    reach = 2 * max(2, round(_GAP[0] * height / 2)) + 1, 2 * max(1, round(_GAP[1] * height / 2)) + 1
    joined = cv2.dilate(binary, np.ones((reach[1], reach[0]), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    rows = []
    for i in range(1, count):
        x, y, w, h = (int(v) for v in boxes[i, :4])
        part = np.s_[y : y + h, x : x + w]
        inside = (labels[part] == i) & (binary[part] > 0)
        if int((inside & (strokes[part] >= high)).sum()) < _LEAST_STROKES:
            continue
        ys, xs = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        tight = inside[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        rows.append(Row(x + int(xs[0]), y + int(ys[0]), x + int(xs[-1]) + 1, y + int(ys[-1]) + 1, tight,
                        int(tight.sum())))  # fmt: skip
    return rows


def overlap(a: Row, b: Row) -> float:
    """Intersection over union of two rows' strokes."""
    left, right = max(a.left, b.left), min(a.right, b.right)
    top, bottom = max(a.top, b.top), min(a.bottom, b.bottom)
    if left >= right or top >= bottom:
        return 0.0
    first = a.strokes[top - a.top : bottom - a.top, left - a.left : right - a.left]
    second = b.strokes[top - b.top : bottom - b.top, left - b.left : right - b.left]
    both = int((first & second).sum())
    return both / (a.area + b.area - both)


@dataclass(eq=False)
class Track:
    """A line while it stands, as far as a window shows it.

    Args:
        keys: looked-at frames whose evidence shows it.
        rows: its row in each of them.
        first, last: its ends.
        left, top, right, bottom: of the pooled crops, right and bottom excluded.
        strokes: (h, w) float32, probability pooled over the keys.
        box: (h, w) float32, the same for the plate.
        change: levels by which its strokes change from frame to frame while it stands.
    """

    keys: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    first: Edge = field(default_factory=lambda: Edge(0, "open"))
    last: Edge = field(default_factory=lambda: Edge(0, "open"))
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    strokes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    box: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    change: float = 0.0


def alike(a: Row, b: Row, first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of what two frames (H, W) uint8 show in and around the strokes of two rows; opacity drops out."""
    left, right = min(a.left, b.left), max(a.right, b.right)
    top, bottom = min(a.top, b.top), max(a.bottom, b.bottom)
    either = np.zeros((bottom - top, right - left), np.uint8)
    for row in (a, b):
        either[row.top - top : row.bottom - top, row.left - left : row.right - left] |= row.strokes
    around = cv2.dilate(either, np.ones((5, 5), np.uint8)) > 0
    x, y = (detail(plane[top:bottom, left:right])[around] for plane in (first, second))
    return float(x @ y) / (float(np.sqrt((x @ x) * (y @ y))) + 1e-6)


def follow(rows: Mapping[int, Sequence[Row]], lumas: Mapping[int, np.ndarray],
           same_shot: Callable[[int, int], bool]) -> list[Track]:  # fmt: skip
    """Rows linked over time, across at most one looked-at frame that missed them.

    Args:
        rows: by frame number, equally spaced.
        lumas: (H, W) uint8 of the same frames.
        same_shot: whether no cut lies between two frames, the first before the second.
    """
    numbers = sorted(rows)
    tracks: list[Track] = []
    for i, n in enumerate(numbers):
        free = list(rows[n])
        recent = numbers[max(0, i - 2) : i]
        candidates = [(overlap(track.rows[-1], row), k, j) for k, track in enumerate(tracks)
                      if track.keys[-1] in recent and same_shot(track.keys[-1], n)
                      for j, row in enumerate(free)]  # fmt: skip
        used_tracks, used_rows = set(), set()
        for share, k, j in sorted(candidates, key=lambda c: (-c[0], c[1], c[2])):
            if share < _OVERLAP or k in used_tracks or j in used_rows:
                continue
            last = tracks[k].rows[-1], lumas[tracks[k].keys[-1]]
            if alike(last[0], free[j], last[1], lumas[n]) < _ALIKE:
                continue
            tracks[k].keys.append(n)
            tracks[k].rows.append(free[j])
            used_tracks.add(k)
            used_rows.add(j)
        tracks += [Track([n], [row]) for j, row in enumerate(free) if j not in used_rows]
    return tracks


def place(track: Track, size: tuple[int, int], margin: int) -> None:
    """Choose the crop that a track is pooled in: its rows and `margin` pixels around, on whole chroma samples."""
    height, width = size
    track.left = max(0, min(r.left for r in track.rows) - margin) // 2 * 2
    track.top = max(0, min(r.top for r in track.rows) - margin) // 2 * 2
    track.right = min(width, max(r.right for r in track.rows) + margin)
    track.bottom = min(height, max(r.bottom for r in track.rows) + margin)


def pool(track: Track, evidence: Mapping[int, Evidence], keys: Sequence[int]) -> None:
    """Average the evidence of frames that show a placed track: strokes stand still, errors do not."""
    rows, columns = slice(track.top, track.bottom), slice(track.left, track.right)
    half = slice(track.top // 2, -(-track.bottom // 2)), slice(track.left // 2, -(-track.right // 2))
    shape = track.bottom - track.top, track.right - track.left
    total, plate = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for n in keys:
        total += evidence[n].strokes[rows, columns]
        plate += cv2.resize(evidence[n].box[half], (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    track.strokes = total / np.float32(255 * len(keys))
    track.box = plate / np.float32(255 * len(keys))


def find_span(track: Track, evidence: Mapping[int, Evidence], lumas: Mapping[int, np.ndarray],
              linked: Callable[[int, int], bool]) -> bool:  # fmt: skip
    """Find the ends of a placed track and pool it over all looked-at frames between them.

    Args:
        track: placed.
        evidence: of all looked-at frames of the window.
        lumas: (H, W) uint8 at working size, every frame of the window.
        linked: whether two neighbouring frames belong to one shot.

    Returns:
        False when its look does not hold even where the evidence shows it.
    """
    pool(track, evidence, track.keys)
    strokes = track.strokes >= 0.5
    if int(strokes.sum()) < _LEAST_STROKES:
        return False
    part = np.s_[track.top : track.bottom, track.left : track.right]
    template = Template([lumas[n][part] for n in track.keys], strokes)
    known: dict[int, float] = {}

    def presence(n: int) -> float:
        if n not in known:
            known[n] = template.presence(lumas[n][part])
        return known[n]

    # The network sees 12 frames around; at the ends it may name a frame that has not the line yet.
    shown = [n for n in track.keys if presence(n) > 0.5]
    if not shown:
        return False
    track.first = edge_of(shown[0], -1, presence, linked, lumas.__contains__)
    track.last = edge_of(shown[-1], 1, presence, linked, lumas.__contains__)
    # Where its look stands but the evidence is missing counts against it: textures come and go, lines do not. Frames
    # in which it is faint say nothing.
    span = [n for n in evidence if track.first.n <= n <= track.last.n and presence(n) > 0.7] or shown
    pool(track, evidence, span)
    track.change = _change(track, lumas)
    return True


def _change(track: Track, lumas: Mapping[int, np.ndarray]) -> float:
    """Levels by which a placed track's strokes change from frame to frame; 0 where it stands in one only."""
    part, core = np.s_[track.top : track.bottom, track.left : track.right], track.strokes >= 0.5
    pairs = [n for n in range(track.first.n, track.last.n) if n in lumas and n + 1 in lumas]
    if not pairs or not core.any():
        return 0.0
    pairs = pairs[:: max(1, len(pairs) // _PAIRS)]
    return float(np.mean([cv2.absdiff(lumas[n][part], lumas[n + 1][part])[core].mean() for n in pairs]))
