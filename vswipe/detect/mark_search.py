"""Where in a frame a known mark stands, and how strongly.

Two measures at every place, by correlation: how well the gradients agree (they do for translucent marks too), and how
far the levels are off (for opaque marks the surest). The best places are looked at closely: the mark's contrast to what
would be there without it, filled in from around, is projected on what it ought to be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from vswipe.detect.mark_look import Look, Planes, crop, halved
from vswipe.ops.pyramid import push_pull

_FLAT = 4.0  # gradient energy per pixel, levels^2, below which a patch is too flat to agree with anything
_FAR = 150.0  # mean square difference of levels that halves the agreement
FAR_COARSE = 600.0  # the same at half size, where fine strokes may lie half a pixel beside each other
_OPAQUE = (0.95, 0.1)  # fit from which, and difference of the opacity from 1 up to which, a mark is opaque there
_PLACES = 4
_NEAR = 2  # pixels around a coarse place that are tried


@dataclass(frozen=True)
class Sighting:
    """A place that may show the mark.

    Args:
        left, top: of the look's crop, working pixels, fractions included.
        gradient: -1..1, how well the gradients agree.
        level: 0..1, how close the levels are.
        opacity: 0 without the mark, 1 as in the look, by projection.
        fit: 0..1, share of the contrast to the surroundings that the look explains.
    """

    left: float
    top: float
    gradient: float
    level: float
    opacity: float = 0.0
    fit: float = 0.0

    @property
    def score(self) -> float:
        """-0.5 to 1. Of a mark that is opaque there the contrast stands in for the gradients.

        Its outline runs from dark to bright over a dark floor, and from bright to dark before a white wall.
        """
        fit, off = _OPAQUE
        opaque = self.fit > fit and abs(self.opacity - 1) < off
        return (max(self.gradient, self.fit if opaque else -1.0) + self.level) / 2


def agreement(planes: Planes, look: Look, far_off: float = _FAR) -> tuple[np.ndarray, np.ndarray]:
    """Agreement of gradients, -1..1, and of levels, 0..1, at every place of the look's crop inside the planes.

    Args:
        planes: of a frame or a part of it.
        look: of the mark, no larger.
        far_off: mean square difference of levels that halves their agreement.
    """

    def correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return cv2.matchTemplate(np.ascontiguousarray(image), np.ascontiguousarray(kernel), cv2.TM_CCORR)

    sure, held = look.sure, look.held
    weighted = look.gradients * sure[..., None]
    own = float((weighted * look.gradients).sum()) + 1e-3
    energy = correlate((planes.gradients**2).sum(axis=2), sure)
    floor = _FLAT * float(sure.sum()) * 0.1
    gradient = correlate(planes.gradients, weighted) / np.sqrt(own * (np.maximum(energy, 0) + floor))
    total = float(held[..., 0].sum()) + 1e-3
    far = correlate(planes.levels**2, held) - 2 * correlate(planes.levels, look.levels * held)
    far += float((look.levels**2 * held).sum())
    return gradient, 1 / (1 + np.maximum(far, 0) / (total * far_off))


def find_places(planes: Planes, look: Look, small: Planes | None = None, small_look: Look | None = None,
                places: int = _PLACES) -> list[Sighting]:  # fmt: skip
    """The best places of a frame, best first.

    Args:
        planes: of the frame.
        look: of the mark.
        small, small_look: the same at half size, where they are at hand.
        places: at most so many.
    """
    small, small_look = small or halved(planes), small_look or look.halved()
    border = max(small_look.size) // 3  # a mark may reach over the picture's border
    padded = Planes(*(cv2.copyMakeBorder(x, border, border, border, border, cv2.BORDER_REPLICATE)
                      for x in (small.levels, small.gradients)))  # fmt: skip
    if padded.levels.shape[0] < small_look.size[0] or padded.levels.shape[1] < small_look.size[1]:
        return []
    gradient, level = agreement(padded, small_look, FAR_COARSE)
    total = gradient + level
    found = []
    reach = max(2, min(small_look.size) // 3)
    for _ in range(places):
        _, best, _, (x, y) = cv2.minMaxLoc(total)
        if best <= -1:
            break
        found.append(closely(planes, look, 2 * (x - border), 2 * (y - border)))
        around = np.s_[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        total[around], level[around] = -2, 0
    # Where the levels alone agree best: looked at for its contrast, which says whether there is anything at all.
    _, _, _, (x, y) = cv2.minMaxLoc(level)
    alone = measured(planes, look, closely(planes, look, 2 * (x - border), 2 * (y - border), share=0.0))
    if alone.fit > _OPAQUE[0]:
        found.append(alone)
    return sorted(found, key=lambda s: -s.score)


def closely(planes: Planes, look: Look, left: float, top: float, near: int = _NEAR, share: float = 1.0) -> Sighting:
    """The best place within a few pixels of one, to a fraction of a pixel.

    Args:
        planes, look: of the frame and of the mark.
        left, top: of the place.
        near: so many pixels around it are tried.
        share: what the gradients count beside the levels.
    """
    height, width = look.size
    x, y = round(left) - near, round(top) - near
    size = height + 2 * near, width + 2 * near
    around = Planes(crop(planes.levels, x, y, size), crop(planes.gradients, x, y, size))
    gradient, level = agreement(around, look)
    total = share * gradient + level
    _, _, _, (bx, by) = cv2.minMaxLoc(total)
    dx, dy = _peak(total[by], bx), _peak(total[:, bx], by)
    left, top = x + bx + dx, y + by + dy
    there = Planes(crop(planes.levels, left, top, look.size), crop(planes.gradients, left, top, look.size))
    exact_gradient, exact_level = (float(v[0, 0]) for v in agreement(there, look))
    if share * exact_gradient + exact_level < total[by, bx]:
        left, top = float(x + bx), float(y + by)
        exact_gradient, exact_level = float(gradient[by, bx]), float(level[by, bx])
    return Sighting(float(left), float(top), exact_gradient, exact_level)


def measured(planes: Planes, look: Look, sighting: Sighting) -> Sighting:
    """The sighting with its opacity."""
    opacity, fit = contrast(planes, look, sighting.left, sighting.top)
    return replace(sighting, opacity=opacity, fit=fit)


def _peak(values: np.ndarray, at: int) -> float:
    """Offset, within half a pixel, of the top of the parabola through a maximum and its neighbours."""
    if at in (0, len(values) - 1):
        return 0.0
    before, middle, after = (float(v) for v in values[at - 1 : at + 2])
    bend = before - 2 * middle + after
    return 0.0 if bend > -1e-6 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def contrast(planes: Planes, look: Look, left: float, top: float) -> tuple[float, float]:
    """Opacity of the mark at a place, and the share of the contrast there that it explains."""
    there = crop(planes.levels, left, top, look.size)
    hidden = cv2.dilate(look.mask, np.ones((3, 3), np.uint8)) > 0
    visible = (~hidden).astype(np.float32)
    fill = push_pull(np.ascontiguousarray(there), visible)
    weight = look.held
    wanted, got = look.levels - fill, there - fill
    own = float((weight * wanted * wanted).sum()) + 1e-3
    opacity = float((weight * wanted * got).sum()) / own
    # Without contrast there is nothing to be explained: a few levels of it are asked for.
    all_of_it = float((weight * got * got).sum()) + 4.0 * float(look.held[..., 0].sum())
    rest = float((weight * (got - opacity * wanted) ** 2).sum())
    return opacity, max(0.0, 1 - rest / all_of_it)
