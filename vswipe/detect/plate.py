"""The plate behind rows of text: an upright rectangle, darker or lighter than what is around it.

The network sees plates too, but a large translucent one only in parts, because nothing in its middle tells it from the
picture. Its sides do: along the whole of each side the picture changes in the same direction, in every frame, whatever
moves underneath. So the sides are looked for where a mean of the frames' gradients is of one sign. A window behind the
text has such sides, too, but they stay when the text goes: frames of the shot without the text, if any, are subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

REACH = 2.5
"""How far from the text sides are looked for, in heights of a row."""

_MARGIN = 2  # pixels between the strokes and a side, at least: the rims of the letters are steady as well
_ENOUGH = 12.0  # levels of a side beyond which more is no better
# A plate fits its text: cost of a row's height of difference between left and right, and between top and bottom.
_UNEVEN = (0.35, 0.12)
_FAR = 0.06  # cost of a row's height of distance

_STEP = 1.5  # levels: the three best sides change by at least so much
# Steadiness of the three best sides: with support, with little, with hardly any.
_SOLID, _PLAIN, _CLEAR = 0.78, 0.88, 0.95
_WORST = 0.65  # steadiness of the fourth that does without support
_BARE = 0.12  # share of a plate without letters that is needed to see how it changes
_FLAT = 4.0  # levels, standard deviation of what is of one level
_NOISE = 1.0  # levels of change that say nothing
_LIKELY, _FILLED, _FULL = 0.6, 0.83, 0.93  # of `Plate.solid`: with four sides and support, with these, with three
# Mean of the network's probability beside the strokes: what supports a plate, what proves one.
_SEEN, _PROVEN = 0.1, 0.3


@dataclass(frozen=True)
class Plate:
    """An upright rectangle, right and bottom excluded, pixels of what it was looked for in.

    Args:
        left, top, right, bottom: of the rectangle.
        steady: 0..1, how well the gradients agree along a side, mean of the three best: one side may lie over something
            of its own colour.
        least: the same of the fourth.
        step: levels by which the picture changes at a side, the least of the three best.
        solid: 0..1, how well all that lies in it, beside the strokes, agrees in changing the plate's way against frames
            without the text; None where there are no such frames, or letters everywhere.
        flat: whether it is of one level beside the strokes, as opaque plates are.
    """

    left: int
    top: int
    right: int
    bottom: int
    steady: float
    least: float
    step: float
    solid: float | None = None
    flat: bool = False


@dataclass(frozen=True)
class _Sides:
    """Two opposite sides: places, and the steadiness and step of each."""

    at: tuple[int, int]
    steady: tuple[float, float]
    step: tuple[float, float]


def find_plate(lumas: Sequence[np.ndarray], others: Sequence[np.ndarray], strokes: np.ndarray,
               bounds: tuple[int, int, int, int], row: int) -> Plate | None:  # fmt: skip
    """The rectangle around some rows of text, or None.

    Args:
        lumas: (H, W) uint8, frames that show them.
        others: (H, W) uint8, frames of the same shot that show neither them nor any other line; may be none.
        strokes: (H, W) bool, all that belongs to letters.
        bounds: left, top, right, bottom of the letters, right and bottom excluded.
        row: height of a row, pixels.
    """
    height, width = lumas[0].shape
    left, top, right, bottom = bounds
    reach = round(REACH * row)
    x0, x1 = max(0, left - reach), min(width, right + reach)
    y0, y1 = max(0, top - reach), min(height, bottom + reach)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return None
    part = np.s_[y0:y1, x0:x1]
    picture = _mean(lumas, part)
    change = picture - _mean(others, part) if others else picture
    text = (left - x0, top - y0, right - x0, bottom - y0)
    found = [_rectangle(change, text, row, sign) for sign in (-1, 1)]
    plates = [plate for plate in found if plate is not None]
    if not plates:
        return None
    best = max(plates, key=lambda plate: plate.steady * min(plate.step, _ENOUGH))
    solid = _solid(change, strokes[part], best, row) if others else None
    bare = _bare(picture, strokes[part], best)
    flat = bare is not None and float(bare.std()) <= _FLAT
    return replace(best, left=best.left + x0, top=best.top + y0, right=best.right + x0, bottom=best.bottom + y0,
                   solid=solid, flat=flat)  # fmt: skip


def _bare(values: np.ndarray, strokes: np.ndarray, plate: Plate) -> np.ndarray | None:
    """Values inside a plate, away from letters, whose rims and ringing reach three pixels; None: there are too few."""
    inside = np.s_[plate.top + 1 : plate.bottom - 1, plate.left + 1 : plate.right - 1]
    free = values[inside][cv2.dilate(strokes[inside].astype(np.uint8), np.ones((7, 7), np.uint8)) == 0]
    return free if free.size >= _BARE * values[inside].size else None


def _solid(change: np.ndarray, strokes: np.ndarray, plate: Plate, row: int) -> float | None:
    """See `Plate.solid`; `change` is the picture with the plate less that without it."""
    free = _bare(change, strokes, plate)
    if free is None:
        return None
    # What moves changes everywhere: around the plate as much as in it.
    around = np.zeros(change.shape, bool)
    reach = max(row // 2, 4)
    around[max(plate.top - reach, 0) : plate.bottom + reach, max(plate.left - reach, 0) : plate.right + reach] = True
    around[plate.top - 1 : plate.bottom + 1, plate.left - 1 : plate.right + 1] = False
    moving = float(np.abs(change[around]).mean()) if around.any() else 0.0
    return float(abs(free.mean()) / (np.abs(free).mean() + _NOISE + moving / 4))


def is_sure(plate: Plate, seen: float) -> bool:
    """Whether it is a plate.

    Args:
        plate: a rectangle around text.
        seen: the network's mean probability of a plate in it, beside the strokes.
    """
    if plate.step < _STEP or plate.steady < _SOLID:
        return False
    if seen >= _PROVEN:
        return True
    whole = plate.steady >= _PLAIN and plate.least >= _WORST
    if plate.solid is None:
        clear = plate.steady >= _CLEAR
        return whole and ((clear and plate.flat) or seen >= (_SEEN / 5 if clear else _SEEN))
    if whole and seen >= _SEEN:
        return plate.solid >= _LIKELY
    return plate.solid >= (_FILLED if whole else _FULL)


def _mean(lumas: Sequence[np.ndarray], part: tuple[slice, slice]) -> np.ndarray:
    total = np.zeros_like(lumas[0][part], np.float32)
    for luma in lumas:
        total += luma[part]
    return total / len(lumas)


def _rectangle(change: np.ndarray, text: tuple[int, int, int, int], row: int, sign: int) -> Plate | None:
    """The best rectangle that is darker (`sign` -1) or lighter (1) than its surroundings."""
    left, top, right, bottom = text
    # Sides are soft: differences over two pixels, down at y + 1, across at x + 1.
    rows = sign * (change[2:] - change[:-2])
    columns = sign * (change[:, 2:] - change[:, :-2])
    span_x, span_y = (left, right), (top, bottom)
    down = across = None
    for _ in range(2):  # the sides' extents are the text's first, then each other's
        down = _pair(rows[:, slice(*span_x)], top, bottom, row, _UNEVEN[1])
        across = _pair(columns[slice(*span_y)].T, left, right, row, _UNEVEN[0])
        if down is None or across is None:
            return None
        span_x, span_y = (across.at[0] + 2, across.at[1] - 1), (down.at[0] + 2, down.at[1] - 1)
    assert down is not None
    assert across is not None
    least, *steady = sorted(down.steady + across.steady)
    step = sorted(down.step + across.step)[1]
    return Plate(across.at[0], down.at[0], across.at[1] + 1, down.at[1] + 1, float(np.mean(steady)), least, step)


def _pair(gradient: np.ndarray, start: int, stop: int, row: int, uneven: float) -> _Sides | None:
    """The places along the first axis, before `start` and after `stop`, at which most gradients along the second lead
    into what is between them."""
    first = np.arange(0, max(start - _MARGIN, 0))
    last = np.arange(stop - 2 + _MARGIN, gradient.shape[0])
    if not len(first) or not len(last) or gradient.shape[1] < 4:
        return None
    strength = gradient.mean(1)
    size = np.abs(gradient).mean(1) + 0.5
    sides = []
    for places, step in ((first, strength[first]), (last, -strength[last])):
        steady = np.clip(step, 0, None) / size[places]
        sides.append((step, steady, np.clip(step, 0, _ENOUGH) / _ENOUGH * steady**2))
    before, behind = (start - first) / row, (last - stop + 2) / row
    score = sides[0][2][:, None] + sides[1][2][None]
    score = score - uneven * np.abs(before[:, None] - behind[None]) - _FAR * (before[:, None] + behind[None])
    i, j = (int(k) for k in np.unravel_index(score.argmax(), score.shape))
    return _Sides(
        (int(first[i]) + 1, int(last[j]) + 1),
        (float(sides[0][1][i]), float(sides[1][1][j])),
        (float(sides[0][0][i]), float(sides[1][0][j])),
    )
