"""How sure it is that what was followed is a line of text laid over the picture.

A logistic regression on what a track looks like and does. Its constants are fitted on the training clips, with and
without drawn lines, by `scripts/fit_certainty.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vswipe.detect.tracks import Track

_SURE = 0.8  # pooled probability of pixels that are a stroke beyond doubt

WEIGHTS: dict[str, float] = {"one": -7.5, "high": 3.0, "area": 1.04, "switch": 0.88, "aspect": -0.49}
"""Of each fact in `track_facts`. "one" is where the clips without subtitles have no line, with a margin of 0.15: at
-6.6 the labels of bottles and the frill of a dress were taken for lines, in 3 of 212 clips."""


def track_facts(track: Track, core: np.ndarray) -> dict[str, float]:
    """What a track looks like and does, in numbers of order one.

    Args:
        track: placed, with its span and its pooled strokes.
        core: (h, w) bool, its strokes; not empty.

    Returns:
        one: 1. high: share of the strokes that are beyond doubt. area: log of their number of pixels. switch: how many
        of its ends come from one frame to the next. aspect: log of width over height.
    """
    width, height = int(core.any(0).sum()), int(core.any(1).sum())
    return {
        "one": 1.0,
        "high": float((track.strokes[core] > _SURE).mean()),
        "area": float(np.log(core.sum())),
        "switch": float((track.first.how == "switch") + (track.last.how == "switch")),
        "aspect": float(np.log(width / height)),
    }


def certainty(facts: Mapping[str, float]) -> float:
    """0..1; 0.5 is where errors of both kinds are weighed alike."""
    value = sum(weight * facts[name] for name, weight in WEIGHTS.items())
    return float(1 / (1 + np.exp(-value)))
