"""The demo's sheet: before, mask and after at several moments, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .subtitle import FONTS

GROUND, PANEL, INK, FAINT = (18, 20, 24), (34, 37, 43), (236, 238, 240), (146, 152, 162)
HEADS = ("before", "mask", "after")
CELL = 560  # pixels: the longer side of one picture
GAP, EDGE = 14, 34


@dataclass(frozen=True)
class Moment:
    """One row: a label and three pictures of one size, (height, width, 3) RGB."""

    label: str
    before: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    after: NDArray[np.uint8]


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in FONTS if bold else [name.replace("-Bold", "").replace("bd", "").replace(" Bold", "") for name in FONTS]:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size=size)


def _rounded(picture: Image.Image, radius: int = 6) -> tuple[Image.Image, Image.Image]:
    """The picture and a mask that rounds its corners."""
    corners = Image.new("L", picture.size, 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, picture.width - 1, picture.height - 1), radius, fill=255)
    return picture, corners


def draw_sheet(moments: Sequence[Moment], title: str, note: str) -> Image.Image:
    """One picture of all moments, each a row of before | mask | after.

    Args:
        moments: at least one, all pictures of the same size.
        title: large, above.
        note: small, beside the title.

    Raises:
        ValueError: there is no moment.
    """
    if not moments:
        raise ValueError("draw_sheet: moments must not be empty, got none")
    height, width = moments[0].before.shape[:2]
    scale = min(1.0, CELL / max(width, height))
    cell = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Narrow pictures still need room for the title.
    across = max(cell[0] * 3 + GAP * 2, 560)
    left = EDGE + (across - cell[0] * 3 - GAP * 2) // 2
    top, label = EDGE + 78, 30
    sheet = Image.new("RGB", (across + 2 * EDGE, top + len(moments) * (cell[1] + label + GAP) + EDGE // 2), GROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((EDGE, EDGE + 18), title, INK, _font(25, bold=True), anchor="lm")
    pen.text((EDGE + across, EDGE + 18), note, FAINT, _font(15), anchor="rm")
    for column, head in enumerate(HEADS):
        x = left + column * (cell[0] + GAP)
        pen.text((x, top - 10), head, INK, _font(17, bold=True), anchor="ls")
    for row, moment in enumerate(moments):
        y = top + row * (cell[1] + label + GAP)
        for column, picture in enumerate((moment.before, moment.mask, moment.after)):
            x = left + column * (cell[0] + GAP)
            small = Image.fromarray(picture).resize(cell, Image.Resampling.LANCZOS)
            pen.rounded_rectangle((x - 1, y - 1, x + cell[0], y + cell[1]), 6, fill=PANEL)
            shaped, corners = _rounded(small)
            sheet.paste(shaped, (x, y), corners)
        pen.text((left, y + cell[1] + label / 2 + 3), moment.label, FAINT, _font(14), anchor="lm")
    return sheet
