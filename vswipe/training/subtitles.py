"""Drawn subtitles: blocks of one to three lines in many scripts and styles, and when each of them is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from .composite import Mark, Overlay, Placement
from .fonts import SCRIPTS, fonts_for, load_font, scripts_available

_OVERSAMPLE = 2  # drawn at twice the size and averaged: outlines of half a pixel, and edges softer than the font's own
_BOTH_MARGINS = 0.08  # share of the width that stays free beside the longest line

DECORATIONS = ("outline", "outline+shadow", "shadow", "plain", "box")


@dataclass(frozen=True)
class SubtitleStyle:
    """How the lines of one clip look; all lengths in pixels.

    Args:
        script: key of `fonts.SCRIPTS`.
        font: file, or None for Pillow's own.
        size: font size.
        fill, outline_colour, box_colour: red, green, blue, 0..1.
        outline: width; 0 draws none.
        shadow: offset right and down; 0 draws none.
        shadow_blur: standard deviation.
        shadow_alpha, box_alpha, opacity: 0..1; box_alpha 0 draws no box, opacity multiplies everything.
        top: at the top of the picture instead of the bottom.
        align: "left", "center" or "right": how the lines of a block stand to each other.
    """

    script: str
    font: Path | None
    size: float
    fill: tuple[float, float, float]
    outline_colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    box_colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    outline: float = 0.0
    shadow: float = 0.0
    shadow_blur: float = 0.0
    shadow_alpha: float = 0.0
    box_alpha: float = 0.0
    opacity: float = 1.0
    top: bool = False
    align: str = "center"


def random_style(rng: np.random.Generator, width: int, height: int) -> SubtitleStyle:
    """A style as films have them: mostly white or yellow with a dark outline, sometimes a shadow, a box, or plain.

    Sizes are 3 to 9 % of the height, of 9/16 of the width where the picture stands upright.
    """
    scripts = scripts_available()
    # Latin first: half of the clips, and all where nothing else is installed.
    script = "latin" if rng.random() < 0.5 else str(rng.choice(scripts))
    fonts = fonts_for(script)
    size = min(height, width) * float(np.exp(rng.uniform(np.log(0.03), np.log(0.09))))
    size = max(size, 9.0)
    decoration = str(rng.choice(DECORATIONS, p=(0.45, 0.2, 0.12, 0.11, 0.12)))
    outline = max(size * rng.uniform(0.04, 0.13), 0.6) if "outline" in decoration else 0.0
    shadow = size * rng.uniform(0.04, 0.1) if "shadow" in decoration else 0.0
    box_alpha = 0.0
    if decoration == "box":
        box_alpha = 1.0 if rng.random() < 0.5 else float(rng.uniform(0.4, 0.85))
    return SubtitleStyle(
        script=script,
        font=fonts[int(rng.integers(len(fonts)))] if fonts else None,
        size=size,
        fill=_fill_colour(rng),
        outline_colour=tuple(rng.uniform(0.0, 0.12, 3)),
        box_colour=tuple(rng.uniform(0.0, 0.2, 3)),
        outline=float(outline),
        shadow=float(shadow),
        shadow_blur=float(size * rng.choice([0.0, 0.03, 0.06])),
        shadow_alpha=float(rng.uniform(0.6, 0.95)) if shadow else 0.0,
        box_alpha=box_alpha,
        opacity=1.0 if rng.random() < 0.92 else float(rng.uniform(0.7, 0.95)),
        top=rng.random() < 0.12,
        align=str(rng.choice(["center", "left", "right"], p=[0.88, 0.08, 0.04])),
    )


def _fill_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    kind = rng.random()
    if kind < 0.62:
        level = rng.uniform(0.88, 1.0)
        return (level, level, level)
    if kind < 0.82:
        return (1.0, rng.uniform(0.82, 1.0), rng.uniform(0.0, 0.35))
    return tuple(rng.uniform(0.5 if kind < 0.95 else 0.1, 1.0, 3))


def draw_block(rng: np.random.Generator, style: SubtitleStyle, width: int, height: int) -> Mark:
    """One subtitle of one to three lines, no wider than the picture less its margins."""
    num_lines = int(rng.choice([1, 2, 3], p=[0.45, 0.45, 0.1]))
    phrases = SCRIPTS[style.script].phrases
    lines = [phrases[int(i)] for i in rng.choice(len(phrases), num_lines, replace=False)]
    return draw_text("\n".join(lines), style, width * (1.0 - _BOTH_MARGINS), height * 0.5)


def draw_text(text: str, style: SubtitleStyle, max_width: float, max_height: float) -> Mark:
    """A block of text in a style, made smaller where it would pass `max_width` or `max_height` pixels."""
    scale = float(_OVERSAMPLE)
    extent = _ink_box(text, style, scale)
    around = 0.3 * style.size if style.box_alpha else 0.0
    reach = 2.0 * (style.outline + style.shadow + 2.0 * style.shadow_blur + around)
    need_w, need_h = (extent[2] - extent[0]) / scale + reach, (extent[3] - extent[1]) / scale + reach
    scale *= min(1.0, max_width / need_w, max_height / need_h)
    ink = _ink_box(text, style, scale)
    pad = int(np.ceil(scale * reach / 2)) + 2 * _OVERSAMPLE
    w, h = int(ink[2] - ink[0]) + 2 * pad, int(ink[3] - ink[1]) + 2 * pad
    w, h = (-(-side // _OVERSAMPLE) * _OVERSAMPLE for side in (w, h))
    origin = (pad - ink[0], pad - ink[1])

    letters = _letters(text, style, scale, (w, h), origin, 0)
    stroke = _stroke(style, scale)
    body = np.maximum(letters, _letters(text, style, scale, (w, h), origin, stroke)) if stroke else letters
    pixels = np.zeros((h, w, 4), np.float32)
    if style.box_alpha:
        edge = pad - round(0.25 * style.size * scale)
        box = np.zeros((h, w), np.float32)
        box[edge : h - edge, edge : w - edge] = style.box_alpha
        _over(pixels, box, style.box_colour)
    if style.shadow:
        offset = style.shadow * scale
        move = np.array([[1, 0, offset], [0, 1, offset]], np.float32)
        shade = cv2.warpAffine(body, move, (w, h), flags=cv2.INTER_LINEAR)
        if style.shadow_blur:
            shade = cv2.GaussianBlur(shade, (0, 0), style.shadow_blur * scale)
        _over(pixels, shade * style.shadow_alpha, (0.0, 0.0, 0.0))
    if stroke:
        _over(pixels, body, style.outline_colour)
    _over(pixels, letters, style.fill)
    pixels *= style.opacity
    return Mark(cv2.resize(pixels, (w // _OVERSAMPLE, h // _OVERSAMPLE), interpolation=cv2.INTER_AREA))


def _stroke(style: SubtitleStyle, scale: float) -> int:
    return max(1, round(style.outline * scale)) if style.outline else 0


def _ink_box(text: str, style: SubtitleStyle, scale: float) -> tuple[float, float, float, float]:
    draw = ImageDraw.Draw(Image.new("L", (8, 8)))
    font = load_font(style.font, max(4, round(style.size * scale)))
    return draw.multiline_textbbox((0, 0), text, font=font, align=style.align, stroke_width=_stroke(style, scale))


def _letters(text: str, style: SubtitleStyle, scale: float, size: tuple[int, int], origin: tuple[float, float],
             stroke: int) -> np.ndarray:  # fmt: skip
    image = Image.new("L", size)
    font = load_font(style.font, max(4, round(style.size * scale)))
    ImageDraw.Draw(image).multiline_text(origin, text, fill=255, font=font, align=style.align, stroke_width=stroke)
    return np.asarray(image, np.float32) / 255.0


def _over(pixels: np.ndarray, alpha: np.ndarray, colour: tuple[float, float, float]) -> None:
    pixels *= 1.0 - alpha[..., None]
    pixels[..., :3] += alpha[..., None] * np.asarray(colour, np.float32)
    pixels[..., 3] += alpha


@dataclass(frozen=True)
class Timing:
    """How long lines last; all in frames, both ends included.

    Args:
        hold: how long a line is shown.
        gap: how long nothing is shown after it.
        fade: how long a line takes to appear and to go, inside its hold; (0, 0) switches it on and off.
    """

    hold: tuple[int, int] = (22, 40)
    gap: tuple[int, int] = (4, 12)
    fade: tuple[int, int] = (0, 0)


def schedule_lines(rng: np.random.Generator, timing: Timing, num_frames: int) -> list[list[tuple[int, float]]]:
    """For every frame the lines shown, as (number of the line, opacity).

    The clip begins somewhere within the first line or the gap after it, as a window cut from a film would.
    """
    shown: list[list[tuple[int, float]]] = [[] for _ in range(num_frames)]
    line, first = 0, True
    t = 0
    while t < num_frames:
        hold = int(rng.integers(timing.hold[0], timing.hold[1] + 1))
        gap = int(rng.integers(timing.gap[0], timing.gap[1] + 1))
        fade = int(rng.integers(timing.fade[0], timing.fade[1] + 1))
        if first:
            t = -int(rng.integers(hold + gap))
            first = False
        for n in range(max(t, 0), min(t + hold, num_frames)):
            if fade:
                from_edge = min(n - t, t + hold - 1 - n) + 1
                shown[n].append((line, min(1.0, from_edge / (fade + 1))))
            else:
                shown[n].append((line, 1.0))
        t += hold + gap
        line += 1
    return shown


def draw_subtitles(rng: np.random.Generator, width: int, height: int, num_frames: int, timing: Timing | None = None,
                   style: SubtitleStyle | None = None) -> Overlay:  # fmt: skip
    """Subtitles over a clip: one style, a new text for every line.

    Args:
        rng: every choice comes from it.
        width, height: of the picture, pixels.
        num_frames: length of the clip.
        timing: lines with gaps unless told.
        style: random unless told.
    """
    style = style or random_style(rng, width, height)
    shown = schedule_lines(rng, timing or Timing(), num_frames)
    margin = height * float(rng.uniform(0.03, 0.09))
    numbers = sorted({number for frame in shown for number, _ in frame})
    marks, places = [], {}
    for index, number in enumerate(numbers):
        mark = draw_block(rng, style, width, height)
        marks.append(mark)
        w, h = mark.size
        x = {"left": margin, "center": (width - w) / 2, "right": width - w - margin}[style.align]
        y = margin if style.top else height - margin - h
        # Subtitles stand on whole pixels; only marks that move use fractions.
        places[number] = (index, float(round(x)), float(round(y)))
    frames = tuple(tuple(Placement(*places[number], opacity) for number, opacity in frame) for frame in shown)
    return Overlay(width, height, tuple(marks), frames)
