"""How strongly a known line of text is present in a frame, and from this its first and last frame.

The line's own look is the measure: the luma inside and just around its strokes, less the local mean, is projected on
what it is while the line stands. That gives 1 while the line is shown, its opacity while it fades, and about 0 without
it, whatever moves underneath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

_LOCAL = 13  # box over which the local mean is taken, working pixels: about a letter
_JUMP = 0.45  # change of presence between two frames that is a switch, not a fade
_PRESENT = 0.5  # presence of a line that is shown
_FAINT = 0.2  # presence below which a fading line is taken to be gone


class Template:
    """The look of a line.

    Args:
        lumas: crops (h, w) uint8 of frames that show it.
        strokes: (h, w) bool.
    """

    def __init__(self, lumas: list[np.ndarray], strokes: np.ndarray) -> None:
        around = cv2.dilate(strokes.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        # Median over time: what moves underneath is not part of the line.
        middle = np.median(np.stack(lumas), axis=0) if len(lumas) > 1 else lumas[0]
        looks = detail(middle)
        self.around = around
        self.look = looks[around]
        self.energy = float((self.look**2).sum()) + 1e-6

    def presence(self, luma: np.ndarray) -> float:
        """How strongly a crop (h, w) uint8 shows the line: 1 = as in the template."""
        return float(self.look @ detail(luma)[self.around]) / self.energy


def detail(luma: np.ndarray) -> np.ndarray:
    """A luma crop (h, w) uint8 less its local mean, float32."""
    luma = luma.astype(np.float32)
    return luma - cv2.blur(luma, (_LOCAL, _LOCAL), borderType=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class Edge:
    """One end of a line.

    Args:
        n: the last frame, in the direction looked, that shows it.
        how: "switch": it is gone in the next frame; "fade": it went slowly; "cut": the shot ends; "open": it goes on
            to the last frame at hand.
    """

    n: int
    how: str


def edge_of(seen: int, step: int, presence: Callable[[int], float], linked: Callable[[int, int], bool],
            exists: Callable[[int], bool]) -> Edge:  # fmt: skip
    """The end of a line that lies before (`step` -1) or after (1) a frame that shows it.

    Args:
        seen: the frame.
        step: 1 or -1.
        presence: of the line in a frame.
        linked: whether two neighbouring frames belong to one shot.
        exists: whether there is a frame of this number at hand.
    """
    n = seen
    values = [presence(seen)]
    while True:
        following = n + step
        if not exists(following):
            return Edge(n, "open")
        if not linked(n, following):
            return Edge(n, "cut")
        value = presence(following)
        if values[-1] - value > _JUMP and value < _PRESENT:
            return Edge(n, "switch")
        if value < _FAINT or (values[-1] < _PRESENT and value > values[-1] + 0.1):
            rest = _rest_of_fade(values)
            while rest > 0 and exists(n + step) and linked(n, n + step):
                n += step
                rest -= 1
            return Edge(n, "fade")
        values.append(value)
        n = following


def _rest_of_fade(values: list[float]) -> int:
    """Frames of a fade after presence fell below what can be told: as many as its slope leaves."""
    if len(values) < 3 or values[-1] > 0.75:
        return 0
    slope = (values[-3] - values[-1]) / 2
    return min(int(values[-1] / slope), 3) if slope > 0.03 else 0
