"""The demo's subtitles: when they show, how they look, and which pixels they cover."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TEXTS = (
    "Everything that is written here\nwill be gone in a moment.",
    "And the meadow behind it\nhas been there all along.",
)
# A line is held a little longer than it takes to read, then the picture is free for some frames, as in most films.
PERIOD, LEAD, HELD = 48, 6, 38
SIZE = 0.066  # height of the letters, share of the frame's height
MARGIN = 0.055  # from the lower edge

# Bold sans serif faces of the common systems; Pillow searches the system's font folders for these names.
FONTS = ("DejaVuSans-Bold.ttf", "LiberationSans-Bold.ttf", "arialbd.ttf", "Arial Bold.ttf", "NotoSans-Bold.ttf")


@dataclass(frozen=True)
class Line:
    """A subtitle shown from frame `first` to frame `last`, both included; `text` is an index into TEXTS."""

    first: int
    last: int
    text: int


def schedule(num_frames: int) -> list[Line]:
    """When each subtitle shows in a clip of this length: lines with gaps between, at least one line in all."""
    if num_frames < PERIOD:
        edge = num_frames // 8
        return [Line(edge, num_frames - 1 - edge, 0)]
    starts = range(LEAD, num_frames, PERIOD)
    return [Line(first, min(first + HELD, num_frames) - 1, k % len(TEXTS)) for k, first in enumerate(starts)]


def shown(lines: Sequence[Line], n: int) -> Line | None:
    """The line on frame n, if there is one; lines are in the order of time."""
    k = bisect_right(lines, n, key=lambda line: line.first) - 1
    return lines[k] if k >= 0 and n <= lines[k].last else None


def when(num_frames: int, text: int) -> str:
    """The same as an expression of ffmpeg, 1 on the frames (n) where a text shows: short, however long the clip."""
    if num_frames < PERIOD:
        (line,) = schedule(num_frames)
        return f"between(n,{line.first},{line.last})" if line.text == text else "0"
    first = LEAD + PERIOD * text
    return f"gte(n,{first})*lt(mod(n-{first},{PERIOD * len(TEXTS)}),{HELD})"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size=size)  # comes with Pillow


def draw(text: str, width: int, height: int) -> NDArray[np.uint8]:
    """A subtitle as players draw it: white, outlined in black, centred at the bottom.

    Returns:
        (height, width, 4) RGBA, not premultiplied, transparent outside the letters.
    """
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    size = max(6, round(height * SIZE))
    while True:
        font, outline = _font(size), max(1, round(size * 0.085))
        spacing = round(size * 0.22)
        box = pen.multiline_textbbox((0, 0), text, font=font, spacing=spacing, stroke_width=outline, align="center")
        if box[2] - box[0] <= width * 0.92 or size <= 6:  # a picture held upright needs smaller letters
            break
        size -= 1
    at = ((width - box[2] - box[0]) / 2, height * (1 - MARGIN) - box[3])
    ink, edge = (250, 249, 243, 255), (8, 8, 8, 255)
    pen.multiline_text(at, text, ink, font, spacing=spacing, align="center", stroke_width=outline, stroke_fill=edge)
    return np.asarray(picture)


def stroke_mask(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 where the subtitle covers the frame, letters and outline, grown by 1 px; 0 elsewhere.

    The pixel is for the soft edge: chroma subsampling and compression carry some of the outline there.
    """
    covered = (picture[..., 3] > 0).astype(np.uint8) * 255
    grown = cv2.dilate(covered, cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3)))
    return grown.astype(np.uint8, copy=False)
