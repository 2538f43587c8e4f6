"""Drawn logos and watermarks: shapes, rings and letters; static, translucent, blinking, alternating or moving."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw

from .composite import Mark, Overlay, Placement
from .fonts import fonts_for, load_font

_OVERSAMPLE = 4  # shapes are drawn as hard polygons: four times the size gives 17 levels of edge
_WORDS = ("TV", "HD", "ONE", "LIVE", "7", "24", "NEWS", "K2", "MAX", "SPORT", "Nova", "ART", "World",
          "Q", "REC", "@clip")  # fmt: skip
SHAPES = ("disc", "ring", "box", "diamond", "star", "bars", "letters", "badge")


def draw_mark(rng: np.random.Generator, width: int, height: int, area: tuple[float, float] = (0.005, 0.02),
              alpha: tuple[float, float] = (1.0, 1.0)) -> Mark:  # fmt: skip
    """One logo.

    Args:
        rng: every choice comes from it.
        width, height: of the picture, pixels.
        area: smallest and largest share of the picture that its bounding box covers.
        alpha: smallest and largest opacity of its body; edges are softer.
    """
    target = width * height * float(np.exp(rng.uniform(*np.log(area))))
    shape = str(rng.choice(SHAPES))
    aspect = float(rng.uniform(1.6, 3.0)) if shape == "letters" else float(rng.uniform(0.8, 1.6))
    h = max(8, round(np.sqrt(target / aspect)))
    w = max(8, round(target / h))
    ink = _draw_shape(rng, shape, w * _OVERSAMPLE, h * _OVERSAMPLE)
    pixels = cv2.resize(ink, (w, h), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.25:
        # Many logos were scaled before they were burnt in.
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.5, 0.9)))
    return Mark(pixels * np.float32(rng.uniform(*alpha)))


def _draw_shape(rng: np.random.Generator, shape: str, w: int, h: int) -> np.ndarray:
    """(h, w, 4), colour times opacity; two colours, hard edges."""
    body, second = _colours(rng)
    image = Image.new("RGBA", (w, h))
    draw = ImageDraw.Draw(image)
    edge = w // 30 + 1  # keeps one or two picture pixels free, so that nothing is cut off by a blur
    box = (edge, edge, w - edge - 1, h - edge - 1)
    cx, cy, rx, ry = w / 2, h / 2, w / 2 - edge, h / 2 - edge
    if shape == "disc":
        draw.ellipse(box, fill=body)
        draw.polygon([(cx - rx / 3, cy - ry / 2), (cx - rx / 3, cy + ry / 2), (cx + rx / 2, cy)], fill=second)
    elif shape == "ring":
        draw.ellipse(box, outline=body, width=max(2, int(min(rx, ry) * rng.uniform(0.15, 0.4))))
    elif shape == "box":
        draw.rounded_rectangle(box, radius=int(min(w, h) * rng.uniform(0, 0.3)), fill=body)
        draw.rectangle((cx - rx / 2, cy - ry / 3, cx + rx / 2, cy + ry / 3), fill=second)
    elif shape == "diamond":
        draw.polygon([(cx, edge), (w - edge, cy), (cx, h - edge), (edge, cy)], fill=body)
    elif shape == "star":
        points = int(rng.integers(5, 8))
        angle = np.arange(2 * points) * np.pi / points - np.pi / 2
        radius = np.where(np.arange(2 * points) % 2, rng.uniform(0.35, 0.6), 1.0)
        x, y = cx + rx * radius * np.cos(angle), cy + ry * radius * np.sin(angle)
        draw.polygon([(float(a), float(b)) for a, b in zip(x, y, strict=True)], fill=body)
    elif shape == "bars":
        num_bars = int(rng.integers(3, 6))
        for i in range(num_bars):
            left = edge + i * (w - 2 * edge) / num_bars
            top = edge + float(rng.uniform(0, 0.6)) * (h - 2 * edge)
            draw.rectangle((left, top, left + 0.6 * (w - 2 * edge) / num_bars, h - edge), fill=(body, second)[i % 2])
    elif shape == "badge":
        draw.rounded_rectangle(box, radius=min(w, h) // 5, fill=body)
        _fit_word(rng, draw, (w, h), 0.75, second, None)
    else:
        _fit_word(rng, draw, (w, h), 0.95, body, second if rng.random() < 0.5 else None)
    rgba = np.asarray(image, np.float32) / 255.0
    return np.dstack([rgba[..., :3] * rgba[..., 3:], rgba[..., 3]])


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    pale = rng.random() < 0.5
    body = (int(rng.integers(190, 256)),) * 3 if pale else _any_colour(rng, 20)
    second = _any_colour(rng, 0) if rng.random() < 0.5 else (255 - body[0], 255 - body[1], 255 - body[2])
    return body, second


def _any_colour(rng: np.random.Generator, low: int) -> tuple[int, int, int]:
    red, green, blue = (int(x) for x in rng.integers(low, 256, 3))
    return red, green, blue


def _fit_word(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: tuple[int, int], share: float,
              fill: tuple[int, int, int], outline: tuple[int, int, int] | None) -> None:  # fmt: skip
    """Write a word as large as it fits into `share` of the box, in its middle."""
    word = str(rng.choice(_WORDS))
    fonts = fonts_for("latin")
    path = fonts[int(rng.integers(len(fonts)))] if fonts else None
    stroke = max(1, size[1] // 20) if outline else 0
    trial = draw.textbbox((0, 0), word, font=load_font(path, 100))
    scale = min(share * size[0] / (trial[2] - trial[0]), share * (size[1] - 2 * stroke) / (trial[3] - trial[1]))
    font = load_font(path, max(8, int(100 * scale) - 2 * stroke))
    ink = draw.textbbox((0, 0), word, font=font, stroke_width=stroke)
    origin = ((size[0] - ink[2] - ink[0]) / 2, (size[1] - ink[3] - ink[1]) / 2)
    draw.text(origin, word, fill=fill, font=font, stroke_width=stroke, stroke_fill=outline)


def corner(rng: np.random.Generator, mark: Mark, width: int, height: int,
           which: int | None = None) -> tuple[float, float]:  # fmt: skip
    """Left and top of a mark in a corner (0 top left, 1 top right, 2 bottom left, 3 bottom right), on whole pixels."""
    which = int(rng.choice(4, p=[0.3, 0.4, 0.1, 0.2])) if which is None else which
    w, h = mark.size
    x = round(width * float(rng.uniform(0.03, 0.08)))
    y = round(height * float(rng.uniform(0.03, 0.08)))
    return float(x if which % 2 == 0 else width - w - x), float(y if which < 2 else height - h - y)


def draw_logo(rng: np.random.Generator, width: int, height: int, num_frames: int) -> Overlay:
    """A static opaque logo in a corner."""
    mark = draw_mark(rng, width, height)
    place = Placement(0, *corner(rng, mark, width, height))
    return Overlay(width, height, (mark,), ((place,),) * num_frames)


def draw_watermark(rng: np.random.Generator, width: int, height: int, num_frames: int) -> Overlay:
    """A static translucent mark: in a corner, or three times as large in the middle."""
    middle = rng.random() < 0.3
    mark = draw_mark(rng, width, height, area=(0.02, 0.06) if middle else (0.005, 0.025), alpha=(0.2, 0.65))
    w, h = mark.size
    at = (float((width - w) // 2), float((height - h) // 2)) if middle else corner(rng, mark, width, height)
    return Overlay(width, height, (mark,), ((Placement(0, *at),),) * num_frames)


def draw_dynamic(rng: np.random.Generator, width: int, height: int, num_frames: int, how: str | None = None) -> Overlay:
    """A mark that does not stay.

    Args:
        rng: every choice comes from it.
        width, height: of the picture, pixels.
        num_frames: length of the clip.
        how: "blink" (on 8-20 frames, off 6-15), "alternate" (between two corners, 10-24 frames each), "bounce" (0.5-3
            pixels per frame, turned back at the borders); random unless told.
    """
    how = how or str(rng.choice(["blink", "alternate", "bounce"], p=[0.25, 0.25, 0.5]))
    mark = draw_mark(rng, width, height)
    if how == "bounce":
        path = bounce(rng, mark, width, height, num_frames)
        return Overlay(width, height, (mark,), tuple((Placement(0, x, y),) for x, y in path))
    if how == "blink":
        spans: list[tuple[tuple[int, int], tuple[float, float] | None]]
        spans = [((8, 20), corner(rng, mark, width, height)), ((6, 15), None)]
    elif how == "alternate":
        first, second = rng.choice(4, 2, replace=False)
        spans = [((10, 24), corner(rng, mark, width, height, int(c))) for c in (first, second)]
    else:
        raise ValueError(f"draw_dynamic: how must be blink, alternate or bounce, got {how}")
    frames: list[tuple[Placement, ...]] = []
    skip, turn = int(rng.integers(spans[0][0][1])), 0  # the clip begins anywhere in the cycle
    while len(frames) < num_frames + skip:
        (low, high), at = spans[turn % 2]
        frames += [() if at is None else (Placement(0, *at),)] * int(rng.integers(low, high + 1))
        turn += 1
    return Overlay(width, height, (mark,), tuple(frames[skip : skip + num_frames]))


def bounce(rng: np.random.Generator, mark: Mark, width: int, height: int, num_frames: int) -> list[tuple[float, float]]:
    """Left and top per frame of a mark that moves straight and is turned back at the borders of the picture."""
    w, h = mark.size
    room = np.maximum((width - w, height - h), 1).astype(float)
    at = rng.uniform(0, room)
    angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 3.0)
    step = speed * np.array([np.cos(angle), np.sin(angle)])
    # A triangle wave of the unfolded way is the way folded at the borders.
    way = at + step * np.arange(num_frames)[:, None]
    folded = room - np.abs(way % (2 * room) - room)
    return [(float(x), float(y)) for x, y in folded]
