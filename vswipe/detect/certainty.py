"""How sure it is that what was followed is a line of text laid over the picture.

A logistic curve over what a track looks like and does. Its constants are chosen on the training clips, with and without
drawn lines, by `scripts/fit_certainty.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vswipe.detect.tracks import Track

_LONG = 24  # frames; most lines stay longer than a second
_SURE = 0.8  # pooled probability of pixels that are a stroke beyond doubt

WEIGHTS: dict[str, float] = {"one": -8.6, "high": 2.97, "area": 1.04, "switch": 1.85, "aspect": -0.18, "brief": -1.66}
"""Of each fact in `track_facts`. Chosen on the training clips: the mean of some searches for those that lose the least
of the drawn lines while next to nothing (0.05 % of the frames) is taken in the clips without text."""


def track_facts(track: Track, core: np.ndarray) -> dict[str, float]:
    """What a track looks like and does, in numbers of order one.

    Args:
        track: placed, with its span and its pooled strokes.
        core: (h, w) bool, its strokes; not empty.

    Returns:
        one: 1. high: share of the strokes that are beyond doubt. area: log of their number of pixels. switch: how many
        of its ends come from one frame to the next. aspect: log of width over height. brief: log of how many times
        shorter than a second a track is whose both ends are seen. change: log of 1 + the levels by which its strokes
        change from frame to frame; it weighs nothing here, but tells whose part a part is (`subtitle.choose`).
    """
    seen_whole = "open" not in (track.first.how, track.last.how)
    width, height = int(core.any(0).sum()), int(core.any(1).sum())
    return {
        "one": 1.0,
        "high": float((track.strokes[core] > _SURE).mean()),
        "area": float(np.log(core.sum())),
        "switch": float((track.first.how == "switch") + (track.last.how == "switch")),
        "aspect": float(np.log(width / height)),
        "change": float(np.log1p(track.change)),
        "brief": float(np.log(_LONG / min(track.last.n - track.first.n + 1, _LONG))) if seen_whole else 0.0,
    }


def certainty(facts: Mapping[str, float]) -> float:
    """0..1; 0.5 is where errors of both kinds are weighed alike."""
    value = sum(weight * facts[name] for name, weight in WEIGHTS.items())
    return float(1 / (1 + np.exp(-value)))
