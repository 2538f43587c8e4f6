"""Clips with drawn subtitles for training the perception of text: what stands where, when, and what is no subtitle.

`draw_scene` burns lines that stand still, of 10 to 100 frames, into a background; and, for contrast, text that belongs
to the scene and moves with it, rolling credits, or nothing at all. Only the still lines are labelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from .codec import Planes
from .composite import Mark, Overlay, Placement, composite
from .subtitles import SubtitleStyle, draw_text
from .textdata_fonts import family_fonts, random_line, trainable_scripts
from .textdata_signs import sign_path, warped

CONTENTS = ("lines", "lines+signs", "signs", "credits", "clean")
_CONTENT_SHARES = (0.58, 0.12, 0.1, 0.04, 0.16)
_LATIN_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class Line:
    """A block of subtitles that stands still.

    Args:
        strokes: (h, w) uint8, opacity of letters, outline and shadow at full presence.
        box: (h, w) uint8, opacity of the plate behind them.
        left, top: luma pixels.
        opacity: (T,) uint8, presence in each frame.
    """

    strokes: np.ndarray
    box: np.ndarray
    left: int
    top: int
    opacity: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn clip.

    Args:
        planes: Y (T, H, W), U, V.
        lines: the labels.
        content: one of `CONTENTS`.
        script: of the lines.
        note: how they look, for sheets and tables.
    """

    planes: Planes
    lines: list[Line] = field(default_factory=list)
    content: str = "clean"
    script: str = ""
    note: str = ""


@dataclass(frozen=True)
class Look:
    """What a style of `subtitles.SubtitleStyle` does not know: all shares and colours 0..1.

    Args:
        style: letters, outline, shadow; without a box.
        decoration: its name.
        box_alpha, box_colour: of the plate; 0 draws none.
        slant: italic shear of upright letters.
        karaoke: colour the letters change to, from left to right; None: they do not.
        vertical: letters below each other.
        blur: standard deviation in pixels; text that was scaled before it was burnt in.
    """

    style: SubtitleStyle
    decoration: str
    box_alpha: float = 0.0
    box_colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slant: float = 0.0
    karaoke: tuple[float, float, float] | None = None
    vertical: bool = False
    blur: float = 0.0


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    kind = rng.random()
    if kind < 0.6:
        level = float(rng.uniform(0.8, 1.0))
        return (level, level, level)
    if kind < 0.76:
        return (1.0, float(rng.uniform(0.8, 1.0)), float(rng.uniform(0.0, 0.4)))
    low = 0.55 if kind < 0.88 else 0.1 if kind < 0.96 else 0.0
    high = 1.0 if kind < 0.96 else 0.15
    red, green, blue = (float(c) for c in rng.uniform(low, high, 3))
    return (red, green, blue)


def random_look(rng: np.random.Generator, width: int, height: int, held_out: bool = False,
                script: str | None = None) -> Look:  # fmt: skip
    """A look for the lines of one clip; sizes of 3 to 10 % of the height (of 9/16 of the width if that is less)."""
    scripts = trainable_scripts(held_out)
    if script is None:
        script = "latin" if "latin" in scripts and rng.random() < _LATIN_SHARE else str(rng.choice(scripts))
    fonts = family_fonts(script, held_out)
    size = min(height, 1.2 * width) * float(np.exp(rng.uniform(np.log(0.03), np.log(0.1))))
    size = max(size, 13.0 if script in ("chinese", "japanese", "korean") else 10.0)
    decorations = ("outline", "outline+shadow", "shadow", "plain", "box", "box+outline")
    decoration = str(rng.choice(decorations, p=(0.45, 0.18, 0.1, 0.12, 0.1, 0.05)))
    fill = _colour(rng)
    dark = sum(fill) < 0.6
    rim = float(rng.uniform(0.75, 1.0)) if dark else float(rng.choice([0.0, 0.0, rng.uniform(0, 0.25)]))
    outline = max(size * float(rng.uniform(0.035, 0.14)), 0.6) if "outline" in decoration else 0.0
    shadow = size * float(rng.uniform(0.04, 0.1)) if "shadow" in decoration else 0.0
    box_alpha = 0.0
    if "box" in decoration:
        box_alpha = 1.0 if rng.random() < 0.5 else float(rng.uniform(0.35, 0.9))
    style = SubtitleStyle(
        script=script,
        font=fonts[int(rng.integers(len(fonts)))] if fonts else None,
        size=size,
        fill=fill,
        outline_colour=(rim, rim, rim) if rng.random() < 0.85 else _colour(rng),
        outline=float(outline),
        shadow=float(shadow),
        shadow_blur=float(size * rng.choice([0.0, 0.03, 0.06])),
        shadow_alpha=float(rng.uniform(0.5, 0.95)) if shadow else 0.0,
        opacity=1.0 if rng.random() < 0.9 else float(rng.uniform(0.6, 0.95)),
        align=str(rng.choice(["center", "left", "right"], p=[0.86, 0.1, 0.04])),
    )
    plate = float(rng.uniform(0.7, 1.0)) if dark else float(rng.choice([0.0, rng.uniform(0.0, 0.25)]))
    vertical = script in ("chinese", "japanese", "korean") and rng.random() < 0.15
    return Look(
        style=style,
        decoration=decoration,
        box_alpha=box_alpha,
        box_colour=(plate, plate, plate),
        slant=float(rng.uniform(0.1, 0.25)) if rng.random() < 0.12 and not vertical else 0.0,
        karaoke=_colour(rng) if rng.random() < 0.06 and not vertical else None,
        vertical=vertical,
        blur=float(rng.uniform(0.4, 0.9)) if rng.random() < 0.3 else 0.0,
    )


def harder_look(rng: np.random.Generator, look: Look) -> Look:
    """A look that is easily missed: dark letters, small ones with nothing around them, faint ones, thin rims."""
    style = look.style
    kind = str(rng.choice(["dark", "small", "faint", "thin"], p=[0.35, 0.3, 0.2, 0.15]))
    bare = replace(style, outline=0.0, shadow=0.0, shadow_alpha=0.0)
    if kind == "dark":
        tint = rng.uniform(0, 0.3, 3) if rng.random() < 0.4 else np.zeros(3)
        fill = [float(c) for c in tint + rng.uniform(0, 0.12)]
        rim = float(rng.uniform(0.6, 1.0))
        look = replace(look, box_alpha=0.0, karaoke=None)
        if rng.random() < 0.5:
            style, look = bare, replace(look, decoration="plain")
        style = replace(style, fill=(fill[0], fill[1], fill[2]), outline_colour=(rim, rim, rim))
    elif kind == "small":
        style = replace(bare, size=max(style.size * float(rng.uniform(0.45, 0.75)), 11.0))
        look = replace(look, decoration="plain", box_alpha=0.0)
    elif kind == "faint":
        style = replace(style, opacity=float(rng.uniform(0.35, 0.7)))
    else:
        style = replace(style, outline=style.size * float(rng.uniform(0.02, 0.04)), shadow=0.0, shadow_alpha=0.0)
        look = replace(look, decoration="outline", box_alpha=0.0)
    return replace(look, style=style)


def tonal_look(rng: np.random.Generator, look: Look, ground: float) -> Look:
    """A look close to what it lies over: letters and rim both a little darker or lighter than the picture there.

    Args:
        rng: every choice comes from it.
        look: whose script and size are kept; it gets a rim or nothing around its letters, and no plate.
        ground: mean luma where the lines will stand, 0..1 from black to white.
    """

    def near(least: float, most: float) -> tuple[float, float, float]:
        step = float(rng.uniform(least, most)) * (1 if rng.random() < 0.5 else -1)
        level = ground + (step if 0.02 < ground + step < 0.98 else -step)
        tint = rng.uniform(-0.04, 0.04, 3) if rng.random() < 0.4 else np.zeros(3)
        red, green, blue = (float(c) for c in np.clip(level + tint, 0, 1))
        return (red, green, blue)

    style = look.style
    if rng.random() < 0.5:
        style, look = replace(style, outline=0.0, shadow=0.0, shadow_alpha=0.0), replace(look, decoration="plain")
    else:
        outline = style.size * float(rng.uniform(0.04, 0.14))
        style, look = replace(style, outline=outline), replace(look, decoration="outline")
    style = replace(style, fill=near(0.05, 0.22), outline_colour=near(0.03, 0.2), opacity=1.0)
    return replace(look, style=style, box_alpha=0.0, karaoke=None)


def write_lines(rng: np.random.Generator, look: Look) -> str:
    """Random text of one to three lines, or of one column."""
    style = look.style
    assert style.font is not None
    if look.vertical:
        text = random_line(rng, style.script, style.font).replace(" ", "")
        return "\n".join(text[:12])
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.42, 0.08]))
    return "\n".join(random_line(rng, style.script, style.font) for _ in range(count))


def draw_line(text: str, look: Look, width: int, height: int) -> tuple[Mark, Mark | None, Mark | None]:
    """A block as a mark, its plate, and the same block in the karaoke colour; all of one size."""
    room = (0.9 * width, 0.5 * height) if not look.vertical else (0.5 * width, 0.85 * height)
    marks = [draw_text(text, look.style, *room)]
    if look.karaoke is not None:
        marks.append(draw_text(text, replace(look.style, fill=look.karaoke), *room))
    pad = int(np.ceil(0.3 * look.style.size))
    drawn = []
    for mark in marks:
        pixels = mark.pixels
        if look.slant:
            h, w = pixels.shape[:2]
            extra = int(np.ceil(look.slant * h))
            shear = np.array([[1, -look.slant, extra], [0, 1, 0]], np.float32)
            pixels = cv2.warpAffine(pixels, shear, (w + extra, h), flags=cv2.INTER_LINEAR)
        pixels = cv2.copyMakeBorder(pixels, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
        if look.blur:
            pixels = cv2.GaussianBlur(pixels, (0, 0), look.blur)
        drawn.append(Mark(pixels))
    plate = None
    if look.box_alpha:
        h, w = drawn[0].pixels.shape[:2]
        edge = pad // 3
        alpha = np.zeros((h, w, 1), np.float32)
        alpha[edge : h - edge, edge : w - edge] = look.box_alpha
        plate = Mark(np.dstack([alpha * np.asarray(look.box_colour, np.float32), alpha]))
    return drawn[0], plate, drawn[1] if len(drawn) > 1 else None


def schedule(rng: np.random.Generator, num_frames: int, hold: tuple[int, int] = (10, 100)) -> list[tuple[int, int]]:
    """First frame and frame after the last of each line; holds log-uniform, the gaps often none."""
    spans = []
    start = -int(rng.integers(0, 30)) if rng.random() < 0.6 else int(rng.integers(0, 30))
    while start < num_frames:
        length = round(float(np.exp(rng.uniform(np.log(hold[0]), np.log(hold[1])))))
        if start + length > 0:
            spans.append((start, start + length))
        gap = 0 if rng.random() < 0.3 else int(rng.integers(1, 30))
        start += length + gap
    return spans


def draw_scene(rng: np.random.Generator, planes: Planes, held_out: bool = False, content: str | None = None,
               look: Look | None = None, texts: list[str] | None = None, fades: bool | None = None,
               hold: tuple[int, int] = (10, 100)) -> Scene:  # fmt: skip
    """Draw over a clean clip.

    Args:
        rng: every choice comes from it.
        planes: the background; it is not changed.
        held_out: with the fonts that are never trained with.
        content: one of `CONTENTS`; random unless told.
        look: of the lines; random unless told.
        texts: blocks to choose from instead of random letters.
        fades: whether lines fade; one clip in six unless told.
        hold: shortest and longest line, frames.
    """
    num_frames, height, width = planes[0].shape
    content = content or str(rng.choice(CONTENTS, p=_CONTENT_SHARES))
    marks: list[Mark] = []
    frames: list[list[Placement]] = [[] for _ in range(num_frames)]
    if "signs" in content:
        for _ in range(int(rng.integers(1, 4))):
            _add_sign(rng, planes[0], marks, frames, held_out)
    if content == "credits":
        _add_credits(rng, width, height, marks, frames, held_out)
    lines: list[Line] = []
    note = ""
    if "lines" in content:
        look = look or random_look(rng, width, height, held_out)
        note = f"{look.decoration}{' italic' if look.slant else ''}{' karaoke' if look.karaoke else ''}"
        note += " vertical" if look.vertical else ""
        fades = rng.random() < 0.17 if fades is None else fades
        note += " fade" if fades else ""
        lines = _add_lines(rng, look, width, height, marks, frames, texts, fades, hold)
    overlay = Overlay(width, height, tuple(marks), tuple(tuple(places) for places in frames))
    siting = "left" if rng.random() < 0.6 else "center"
    drawn = composite(planes, overlay, siting).planes if marks else planes
    return Scene(drawn, lines, content, look.style.script if look and lines else "", note)


def _add_lines(rng: np.random.Generator, look: Look, width: int, height: int, marks: list[Mark],
               frames: list[list[Placement]], texts: list[str] | None, fades: bool,
               hold: tuple[int, int]) -> list[Line]:  # fmt: skip
    num_frames = len(frames)
    margin = round(height * float(rng.uniform(0.02, 0.1)))
    at_top = rng.random() < 0.14
    at_right = rng.random() < 0.6
    lines = []
    fade = int(rng.integers(2, 10)) if fades else 0
    text = ""
    for first, stop in schedule(rng, num_frames, hold):
        # The same text twice in a row is one line.
        text = str(rng.choice(np.array([t for t in texts if t != text], object))) if texts else write_lines(rng, look)
        mark, plate, sung = draw_line(text, look, width, height)
        w, h = mark.size
        if look.vertical:
            x = width - margin - w if at_right else margin
            y = round(float(rng.uniform(0.3, 0.7)) * max(height - h, 0))
        else:
            x = {"left": margin, "center": (width - w) // 2, "right": width - w - margin}[look.style.align]
            y = margin if at_top else height - margin - h
        x, y = max(min(x, width - w), 0), max(min(y, height - h), 0)
        if w > width or h > height:
            continue
        opacity = np.zeros(num_frames, np.float32)
        shown = np.arange(max(first, 0), min(stop, num_frames))
        from_edge = np.minimum(shown - first, stop - 1 - shown) + 1
        opacity[shown] = np.minimum(1.0, from_edge / (fade + 1)) if fade else 1.0
        base = len(marks)
        marks += [mark, *([plate] if plate else [])]
        for n in shown:
            if plate:
                frames[n].append(Placement(base + 1, float(x), float(y), float(opacity[n])))
            here = base
            if sung is not None:
                done = round(w * (n - first + 1) / (stop - first))
                mixed = mark.pixels.copy()
                mixed[:, :done] = sung.pixels[:, :done]
                here = len(marks)
                marks.append(Mark(mixed))
            frames[n].append(Placement(here, float(x), float(y), float(opacity[n])))
        box = plate.pixels[..., 3] if plate else np.zeros((h, w), np.float32)
        lines.append(Line(_byte(mark.pixels[..., 3]), _byte(box), x, y, _byte(opacity)))
    return lines


def _byte(share: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(share * 255), 0, 255).astype(np.uint8)


def _add_sign(rng: np.random.Generator, luma: np.ndarray, marks: list[Mark], frames: list[list[Placement]],
              held_out: bool) -> None:  # fmt: skip
    """Text on something of the scene: in perspective, and moving as the picture under it does."""
    _, height, width = luma.shape
    look = replace(random_look(rng, width, height, held_out), vertical=False)
    look = replace(look, style=replace(look.style, size=look.style.size * float(rng.uniform(0.8, 2.2))))
    mark, plate, _ = draw_line(write_lines(rng, look), look, round(0.8 * width), height)
    pixels = mark.pixels
    if plate:
        pixels = plate.pixels * (1 - pixels[..., 3:]) + pixels
    pixels = warped(rng, pixels)
    h, w = pixels.shape[:2]
    x, y = float(rng.uniform(-0.1, 1.0)) * (width - w), float(rng.uniform(0.0, 1.0)) * (height - h)
    path = sign_path(rng, luma, x + w / 2, y + h / 2)
    grown = np.std(path[:, 2]) > 0.004
    for n, (dx, dy, scale) in enumerate(path):
        if grown or n == 0:
            size = (max(2, round(w * scale)), max(2, round(h * scale)))
            marks.append(Mark(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
                              if grown else pixels))  # fmt: skip
        frames[n].append(Placement(len(marks) - 1, x + dx, y + dy))


def _add_credits(rng: np.random.Generator, width: int, height: int, marks: list[Mark],
                 frames: list[list[Placement]], held_out: bool) -> None:  # fmt: skip
    """Lines that roll upwards, or one that runs to the left."""
    look = replace(random_look(rng, width, height, held_out), karaoke=None, vertical=False)
    upwards = rng.random() < 0.7
    speed = float(rng.choice([0.5, 1.0, 1.5, 2.0, 3.0]))
    texts = [write_lines(rng, look) for _ in range(5 if upwards else 1)]
    text = "\n".join(texts) if upwards else "  ".join(texts[0].split("\n"))
    mark = draw_text(text, look.style, (0.9 if upwards else 3.0) * width, (2.0 if upwards else 0.5) * height)
    marks.append(mark)
    w, h = mark.size
    begin = float(rng.uniform(0.2, 1.0))
    for n, places in enumerate(frames):
        if upwards:
            places.append(Placement(len(marks) - 1, float((width - w) // 2), begin * height - speed * n))
        else:
            places.append(Placement(len(marks) - 1, begin * width - 2 * speed * n, float(round(0.95 * height - h))))
