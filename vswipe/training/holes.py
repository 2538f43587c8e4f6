"""Holes for training windows: subtitle strokes, logos, free strokes and object shapes, with what was drawn there.

A window is a small crop: text usually runs through it from side to side. Marks come from a bank, so that a machine
without Pillow and fonts can take them from a file; where they can be drawn, fresh ones keep coming.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vswipe.ops.morphology import dilate

from .composite import ALPHA_FLOOR, Mark

KINDS = ("text", "logo", "free", "object")
KIND_SHARES = (0.5, 0.3, 0.1, 0.1)
"""How often training draws each kind: the common sizes first, the others so that nothing is wholly unknown."""

MAX_COVER = 0.45
"""Largest share of a frame that is hole; boxes behind text would otherwise swallow whole crops."""

_MIN_COVER = 0.004
_GROWTH = (1, 1, 1, 2, 2, 3)  # px; never 0: coding carries a mark's colour over its edge


@dataclass(frozen=True, eq=False)
class Foreground:
    """What hides a window.

    Args:
        pixels: (T, S, S, 4) float32, blue, green, red and opacity, 0..1, colour multiplied by opacity.
        mask: (T, S, S) uint8, 1 = hole: what was drawn, grown by at least one pixel.
        kind: one of `KINDS`.
    """

    pixels: np.ndarray
    mask: np.ndarray
    kind: str


def can_draw() -> bool:
    """Whether marks can be drawn here (Pillow is installed)."""
    return importlib.util.find_spec("PIL") is not None


def draw_marks(rng: np.random.Generator, kind: str, count: int) -> list[Mark]:
    """Fresh marks, "text" or "logo", as pictures of 180 to 540 lines have them. Needs Pillow."""
    from . import marks, subtitles

    out = []
    for _ in range(count):
        height = int(np.exp(rng.uniform(np.log(180), np.log(540))))
        width = height * 16 // 9
        if kind == "text":
            style = subtitles.random_style(rng, width, height)
            out.append(subtitles.draw_block(rng, style, width, height))
        else:
            alpha = (1.0, 1.0) if rng.random() < 0.7 else (0.4, 0.95)
            out.append(marks.draw_mark(rng, width, height, area=(0.002, 0.012), alpha=alpha))
    return out


class MarkBank:
    """Text blocks and logos to choose from.

    Args:
        text, logo: at least one of each.
        fresh: share of the choices for which a new mark is drawn, which takes an old one's place; needs Pillow.
    """

    def __init__(self, text: Sequence[Mark], logo: Sequence[Mark], fresh: float = 0.0) -> None:
        if not text or not logo:
            raise ValueError(f"MarkBank: text and logo must hold a mark each, got {len(text)} and {len(logo)}")
        self.marks = {"text": list(text), "logo": list(logo)}
        self.fresh = fresh if can_draw() else 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator, count: int = 150, fresh: float = 0.1) -> MarkBank:
        """A bank of `count` drawn marks of each kind."""
        return cls(draw_marks(rng, "text", count), draw_marks(rng, "logo", count), fresh)

    def take(self, rng: np.random.Generator, kind: str) -> Mark:
        """A mark of this kind ("text" or "logo")."""
        marks = self.marks[kind]
        index = int(rng.integers(len(marks)))
        if self.fresh and rng.random() < self.fresh:
            marks[index] = draw_marks(rng, kind, 1)[0]
        return marks[index]


def draw_foreground(rng: np.random.Generator, bank: MarkBank, kind: str, size: int, num_frames: int,
                    stride: int = 1) -> Foreground:  # fmt: skip
    """A foreground for a window of `num_frames` crops of size x size pixels, `stride` frames of the clip apart.

    Raises:
        ValueError: another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"draw_foreground: kind must be one of {', '.join(KINDS)}, got {kind}")
    for _ in range(20):
        if kind in ("text", "logo"):
            pixels = _marks_over_time(rng, bank, kind, size, num_frames, stride)
            drawn = (pixels[..., 3] > ALPHA_FLOOR).astype(np.uint8)
        else:
            shape = _free_strokes if kind == "free" else _object
            drawn = shape(rng, size, num_frames, stride)
            pixels = np.zeros((*drawn.shape, 4), np.float32)
            if rng.random() < 0.5:  # the other half hides nothing but the pixels themselves
                pixels[drawn > 0] = (*rng.uniform(0, 1, 3), 1.0)
        growth = int(rng.choice(_GROWTH))
        mask = np.stack([dilate(frame, growth) for frame in drawn])
        cover = mask.mean((1, 2))
        if _MIN_COVER <= cover.max() <= MAX_COVER:
            return Foreground(pixels, mask, kind)
    # Only a bank of huge marks comes here: a disc is a hole of moderate size for certain.
    mask = np.zeros((num_frames, size, size), np.uint8)
    for frame in mask:
        cv2.circle(frame, (size // 2, size // 2), max(2, size // 8), 1, -1)
    return Foreground(np.zeros((*mask.shape, 4), np.float32), mask, kind)


def _marks_over_time(rng: np.random.Generator, bank: MarkBank, kind: str, size: int, num_frames: int,
                     stride: int) -> np.ndarray:  # fmt: skip
    """(T, S, S, 4): a mark that stays, comes or goes, gives way to another, or (logos) moves."""
    pixels = np.zeros((num_frames, size, size, 4), np.float32)
    mark = bank.take(rng, kind)
    place = _place(rng, mark, size, kind)
    way = rng.choice(["stay", "come", "go", "next", "move"],
                     p=(0.55, 0.1, 0.1, 0.25, 0.0) if kind == "text" else (0.6, 0.1, 0.1, 0.0, 0.2))  # fmt: skip
    turn = int(rng.integers(1, num_frames)) if num_frames > 1 else 1
    velocity = _velocity(rng, 2.0) * stride if way == "move" else np.zeros(2)
    other, other_place = mark, place
    if way == "next":
        other = bank.take(rng, kind)
        other_place = _place(rng, other, size, kind)
    for t in range(num_frames):
        if (way == "come" and t < turn) or (way == "go" and t >= turn):
            continue
        shown, at = (other, other_place) if way == "next" and t >= turn else (mark, place)
        _paste(pixels[t], shown, at + velocity * t)
    return pixels


def _velocity(rng: np.random.Generator, fastest: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return rng.uniform(0.3, fastest) * np.array([np.cos(angle), np.sin(angle)])


def _place(rng: np.random.Generator, mark: Mark, size: int, kind: str) -> np.ndarray:
    """Left and top, on whole pixels: inside the crop where the mark fits, else so that it covers the crop."""
    spill = 8 if kind == "text" else 0
    place = []
    for length in mark.size:
        room = sorted((0, size - length))
        place.append(float(rng.integers(room[0] - spill, room[1] + spill + 1)))
    return np.array(place)


def _paste(canvas: np.ndarray, mark: Mark, at: np.ndarray) -> None:
    """Lay a mark over an empty canvas in place, blue first; what lies outside is cut off."""
    left, top = int(np.floor(at[0])), int(np.floor(at[1]))
    pixels = mark.pixels
    dx, dy = at[0] - left, at[1] - top
    if dx or dy:
        shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        pixels = cv2.warpAffine(pixels, shift, (pixels.shape[1] + 1, pixels.shape[0] + 1))
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + pixels.shape[1], canvas.shape[1]), min(top + pixels.shape[0], canvas.shape[0])
    if x1 > x0 and y1 > y0:
        canvas[y0:y1, x0:x1] = pixels[y0 - top : y1 - top, x0 - left : x1 - left][..., [2, 1, 0, 3]]


def _free_strokes(rng: np.random.Generator, size: int, num_frames: int, stride: int) -> np.ndarray:
    """(T, S, S): one to three wandering brush strokes that drift."""
    points, widths = [], []
    for _ in range(int(rng.integers(1, 4))):
        turns = np.cumsum(rng.normal(0, 0.7, int(rng.integers(4, 10)))) + rng.uniform(0, 2 * np.pi)
        steps = rng.uniform(0.06, 0.14, (len(turns), 1)) * size * np.stack([np.cos(turns), np.sin(turns)], 1)
        points.append(rng.uniform(0.2, 0.8, 2) * size + np.cumsum(steps, 0))
        widths.append(int(rng.integers(3, 13)))
    velocity = _velocity(rng, 2.0) * stride if rng.random() < 0.7 else np.zeros(2)
    out = np.zeros((num_frames, size, size), np.uint8)
    for t, frame in enumerate(out):
        for line, width in zip(points, widths, strict=True):
            cv2.polylines(frame, [np.rint(line + velocity * t).astype(np.int32)], False, 1, width)
    return out


def _object(rng: np.random.Generator, size: int, num_frames: int, stride: int) -> np.ndarray:
    """(T, S, S): a round shape with a few lobes that moves and slowly changes, like a person far away."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    lobes = rng.normal(0, 0.18, (4, 2))
    drift = rng.normal(0, 0.05, (4, 2)) * min(stride, 4)
    centre, radius = rng.uniform(0.25, 0.75, 2) * size, rng.uniform(0.07, 0.2) * size
    stretch = np.exp(rng.uniform(-0.5, 0.5))
    velocity = _velocity(rng, 2.5) * stride
    out = np.zeros((num_frames, size, size), np.uint8)
    for t, frame in enumerate(out):
        wave = np.ones_like(angle)
        for k, (a, b) in enumerate(lobes + drift * t, start=2):
            wave += (a * np.cos(k * angle) + b * np.sin(k * angle)) * 2 / k
        r = radius * np.clip(wave, 0.3, 2.0)
        outline = centre + velocity * t + np.stack([r * np.cos(angle) / stretch, r * np.sin(angle) * stretch], 1)
        cv2.fillPoly(frame, [np.rint(outline).astype(np.int32)], 1)
    return out


def lay_over(frames: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Frames (T, S, S, 3) uint8 with a foreground's pixels (T, S, S, 4) over them."""
    mixed = frames * (1.0 - pixels[..., 3:]) + 255.0 * pixels[..., :3]
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
