"""Animation as training footage: flat colours, drawn lines, painted skies, figures that move on every second frame.

Of 158 training clips a dozen are drawn, and what is special about them is soon learned by heart: lines that end, edges
between flat colours, corners, and ground on which a level of difference shows. A scene here is a sky, one to three
backgrounds (houses, hills, things) and up to three figures before them, each a cel with a shape of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .codec import Planes, split_i420
from .drawn_scenes import TEXTURES

MARGIN = 1.5  # of a background over the picture, both ways: the camera pans
_FINE = 4  # bits after the point in the drawing functions' coordinates


@dataclass
class Cel:
    """A drawing on clear film.

    Args:
        colour: (H, W, 3) float32 RGB levels.
        alpha: (H, W) float32, 0..1.
    """

    colour: np.ndarray
    alpha: np.ndarray

    @classmethod
    def clear(cls, width: int, height: int) -> Cel:
        """Without a drawing."""
        return cls(np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32))

    def fill(self, points: np.ndarray, paint: np.ndarray, within: np.ndarray | None = None) -> None:
        """A closed shape, (N, 2) x and y, in one colour (3,) or in a painting (H, W, 3).

        Args:
            points: its corners.
            paint: RGB levels.
            within: (H, W) 0..1, paints over what is drawn there only; the film stays clear elsewhere.
        """
        shape = np.zeros(self.alpha.shape, np.uint8)
        cv2.fillPoly(shape, [_fixed(points)], 255, cv2.LINE_AA, _FINE)
        over = shape.astype(np.float32) / 255
        self._lay(over if within is None else over * within, paint)

    def ink(self, points: np.ndarray, colour: np.ndarray, width: int, closed: bool = True) -> None:
        """A line along points (N, 2)."""
        shape = np.zeros(self.alpha.shape, np.uint8)
        cv2.polylines(shape, [_fixed(points)], closed, 255, width, cv2.LINE_AA, _FINE)
        self._lay(shape.astype(np.float32) / 255, colour)

    def _lay(self, over: np.ndarray, paint: np.ndarray) -> None:
        self.colour += over[..., None] * (paint - self.colour)
        self.alpha = np.maximum(self.alpha, over)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << _FINE)).astype(np.int32)


def _palette(rng: np.random.Generator, count: int = 6) -> np.ndarray:
    """(N, 3) RGB levels that go together: one light, a few hues of one strength."""
    light, strength = rng.uniform(40, 220), rng.uniform(5, 70)
    colours = light + rng.normal(0, 45, (count, 1)) + rng.normal(0, strength, (count, 3))
    return np.clip(colours, 5, 250).astype(np.float32)


def _pick(rng: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """One of the palette, a little off."""
    return np.clip(palette[int(rng.integers(len(palette)))] + rng.normal(0, 10, 3), 0, 255).astype(np.float32)


def _ramp(rng: np.random.Generator, width: int, height: int, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """(H, W, 3), from one colour to another along any direction, mostly down."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.normal(0, 0.3)
    along = np.clip(np.cos(angle) * y / height + np.sin(angle) * x / width, 0, 1) ** rng.uniform(0.5, 2)
    return top + along[..., None].astype(np.float32) * (bottom - top)


def _blob(rng: np.random.Generator, centre: np.ndarray, radius: float, rough: float) -> np.ndarray:
    """(N, 2), a closed smooth curve."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = [rng.normal(0, rough / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 7)]
    long = radius * np.exp(np.sum(waves, 0)) * (1 + rng.uniform(-0.4, 0.4) * np.cos(angle))
    wide = rng.uniform(0.6, 1.4)
    return centre + np.stack([wide * long * np.cos(angle), long * np.sin(angle)], -1)


def _box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _house(rng: np.random.Generator, cel: Cel, palette: np.ndarray, where: tuple[float, float, float, float],
           ink: int) -> None:  # fmt: skip
    """A box with perhaps a darker side, a roof, a mast, rows of windows."""
    left, top, right, bottom = where
    wall, dark = _pick(rng, palette), np.zeros(3, np.float32) + 15
    width = right - left
    cel.fill(_box(left, top, right, bottom), wall)
    if rng.random() < 0.5:
        side = left + width * rng.uniform(0.15, 0.85)
        cel.fill(_box(side, top, right, bottom), wall * rng.uniform(0.6, 0.95))
    if rng.random() < 0.35:
        roof = np.array([[left - 2, top], [left + width * rng.uniform(0.2, 0.8), top - width * rng.uniform(0.2, 0.9)],
                         [right + 2, top]])  # fmt: skip
        cel.fill(roof, _pick(rng, palette))
        if ink:
            cel.ink(roof, dark, ink)
    elif rng.random() < 0.3:
        x = left + width * rng.uniform(0.1, 0.9)
        cel.ink(np.array([[x, top], [x, top - rng.uniform(8, 60)]]), wall * 0.6, int(rng.integers(1, 4)), False)
    if rng.random() < 0.55:
        step, size, light = rng.uniform(7, 22, 2), rng.uniform(0.3, 0.7, 2), _pick(rng, palette)
        for y in np.arange(top + step[1] * 0.4, min(bottom, cel.alpha.shape[0]) - step[1], step[1]):
            for x in np.arange(left + step[0] * 0.3, right - step[0], step[0]):
                if rng.random() < 0.85:
                    at = np.rint(_box(x, y, x + step[0] * size[0], y + step[1] * size[1])).astype(np.int32)
                    cv2.fillPoly(cel.colour, [at], light.tolist(), cv2.LINE_AA)
    if ink:
        cel.ink(_box(left, top, right, bottom), dark, ink)


def _background(rng: np.random.Generator, palette: np.ndarray, width: int, height: int, near: float) -> Cel:
    """Houses, hills, or things that stand about; the nearer, the lower and the larger."""
    cel = Cel.clear(width, height)
    ink = int(rng.choice([0, 1, 2, 3], p=[0.4, 0.25, 0.25, 0.1]))
    level = height * (0.35 + 0.35 * near + rng.uniform(-0.1, 0.1))
    kind = rng.choice(["houses", "hills", "things"], p=[0.45, 0.25, 0.3])
    if kind == "houses":
        x = -rng.uniform(0, 60)
        while x < width:
            wide = rng.uniform(14, 60) * (1 + 1.5 * near)
            top = level + rng.normal(0, 0.12) * height
            _house(rng, cel, palette, (x, top, x + wide, height + 8), ink)
            x += wide * (1 if rng.random() < 0.6 else rng.uniform(1, 2))
    elif kind == "hills":
        along = np.arange(-8, width + 16, 6)
        waves = [rng.uniform(0, 0.1) / k * np.sin(2 * np.pi * k * along / width + rng.uniform(0, 6)) for k in (1, 2, 5)]
        ridge = np.stack([along, level + height * np.sum(waves, 0)], -1)
        shape = np.concatenate([ridge, [[width + 16, height + 16], [-8, height + 16]]])
        cel.fill(shape, _ramp(rng, width, height, _pick(rng, palette), _pick(rng, palette)))
        if ink:
            cel.ink(ridge, np.zeros(3, np.float32) + 20, ink, False)
    else:
        for _ in range(int(rng.integers(2, 9))):
            at = np.array([rng.uniform(0, width), level + rng.uniform(-0.1, 0.3) * height])
            size = height * rng.uniform(0.03, 0.16) * (1 + near)
            shape = (_blob(rng, at, size, rng.uniform(0, 0.2)) if rng.random() < 0.5
                     else at + size * rng.uniform(-1.3, 1.3, (int(rng.integers(3, 6)), 2)))  # fmt: skip
            cel.fill(shape, _pick(rng, palette))
            if ink:
                cel.ink(shape, np.zeros(3, np.float32) + 20, ink)
    if rng.random() < 0.25:  # painted, not flat
        ground = cel.colour.copy()
        TEXTURES[int(rng.integers(len(TEXTURES)))](rng, ground, np.full(3, rng.uniform(40, 200)), rng.uniform(6, 25))
        cel.colour += rng.uniform(0.3, 1.0) * (ground - cel.colour)
    return cel


def _figure(rng: np.random.Generator, palette: np.ndarray, size: int) -> Cel:
    """A figure of a few shapes with shadows and inked outlines, in the middle of its film."""
    cel = Cel.clear(size, size)
    ink, line = int(rng.integers(0, 4)), np.clip(rng.normal(20, 15, 3), 0, 90).astype(np.float32)
    for _ in range(int(rng.integers(2, 7))):
        at = size / 2 + rng.normal(0, 0.1, 2) * size
        shape = _blob(rng, at, size * rng.uniform(0.04, 0.17), rng.uniform(0.02, 0.2))
        colour, part = _pick(rng, palette), Cel.clear(size, size)
        part.fill(shape, colour)
        cel.fill(shape, colour)
        if rng.random() < 0.6:  # a shadow with a hard edge
            shade = shape + rng.normal(0, 0.05, 2) * size
            cel.fill(shade, colour * rng.uniform(0.55, 0.9), part.alpha)
        if ink:
            cel.ink(shape, line, ink)
        for _ in range(int(rng.integers(0, 4))):  # hair, folds, eyes
            start = shape[int(rng.integers(len(shape)))]
            bend = np.cumsum(rng.normal(0, 0.02, (9, 2)) + rng.normal(0, 0.015, 2), 0) * size
            cel.ink(start + bend, line, max(1, ink), False)
    return cel


def cartoon_scene(rng: np.random.Generator, num_frames: int = 48, size: tuple[int, int] = (480, 270)) -> Planes:
    """A shot of animation without text.

    Args:
        rng: chooses everything.
        num_frames: its length.
        size: width and height, even.

    Returns:
        Y'CbCr of 8 bits, (T, H, W) each; chroma of half the size.
    """
    width, height = size
    big = int(width * MARGIN), int(height * MARGIN)
    palette = _palette(rng)
    pan = rng.normal(0, 1.2, 2) * (1.0, 0.3) * (rng.random() < 0.6)
    zoom = rng.normal(0, 0.001) * (rng.random() < 0.3)
    sky = Cel(_ramp(rng, *big, _pick(rng, palette), _pick(rng, palette)), np.ones((big[1], big[0]), np.float32))
    for _ in range(int(rng.integers(0, 5))):
        at = rng.uniform(0, 1, 2) * big
        sky.fill(_blob(rng, at, height * rng.uniform(0.04, 0.2), 0.25), _pick(rng, palette))
    if rng.random() < 0.4:
        sky.colour = cv2.GaussianBlur(sky.colour, (0, 0), float(rng.uniform(0.8, 6)))
    count = int(rng.integers(1, 4))
    layers = [sky, *(_background(rng, palette, *big, i / count) for i in range(count))]
    if rng.random() < 0.3:
        soft = float(rng.uniform(0.5, 1.5))
        for layer in layers:
            layer.colour, layer.alpha = (cv2.GaussianBlur(x, (0, 0), soft) for x in (layer.colour, layer.alpha))
    cast = _palette(rng)
    figures = [_figure(rng, cast, int(height * rng.uniform(0.7, 1.6))) for _ in range(int(rng.integers(0, 4)))]
    starts = rng.uniform(0.1, 0.9, (len(figures), 2)) * size
    steps = rng.normal(0, 1.5, (len(figures), 2)) * (1.0, 0.4)
    turns, beats = rng.normal(0, 0.15, len(figures)), rng.uniform(0.05, 0.4, len(figures))
    held = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))  # frames that a drawing of the figures stands
    noise = float(rng.choice([0.0, 0.7, 2.0], p=[0.5, 0.3, 0.2]))
    frames = []
    for t in range(num_frames):
        away = t - num_frames / 2
        picture = np.zeros((height, width, 3), np.float32)
        for i, layer in enumerate(layers):
            drift = np.clip(pan * away * (i + 0.3) / len(layers), -0.2 * width, 0.2 * width)
            _over(picture, layer, np.array(size) / 2 - drift, float(np.exp(zoom * away)), 0.0)
        drawn = t // held * held
        for figure, start, step, turn, beat in zip(figures, starts, steps, turns, beats, strict=True):
            at = start + step * drawn - pan * away + (0, 6 * np.sin(beat * drawn))
            _over(picture, figure, at, 1.0, float(turn * np.sin(beat * drawn)))
        if noise:
            picture += rng.normal(0, noise, picture.shape[:2])[..., None]
        whole = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        frames.append(cv2.cvtColor(whole, cv2.COLOR_RGB2YUV_I420).reshape(-1))
    return split_i420(np.stack(frames), width, height)


def _over(picture: np.ndarray, cel: Cel, middle: np.ndarray, scale: float, turn: float) -> None:
    """Lays a cel onto a picture (H, W, 3), its middle at x, y, turned by radians."""
    height, width = picture.shape[:2]
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([cel.alpha.shape[1], cel.alpha.shape[0]]) / 2
    matrix = np.concatenate([turned, (middle - turned @ centre)[:, None]], 1)
    alpha = cv2.warpAffine(cel.alpha, matrix, (width, height))[..., None]
    # Beyond its film a background goes on; what is not drawn has no weight.
    colour = cv2.warpAffine(cel.colour, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    picture += alpha * (colour - picture)
