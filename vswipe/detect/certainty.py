"""How sure it is that what was followed is a line of text laid over the picture.

A logistic regression on what a track looks like and does. Its constants are fitted on the training clips, with and
without drawn lines, by `scripts/fit_certainty.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vswipe.detect.tracks import Track

_SURE = 0.8  # pooled probability of pixels that are a stroke beyond doubt
_LOOKS = 6  # frames of a track that its brightness is read from

WEIGHTS: dict[str, float] = {"one": -6.6, "high": 3.0, "area": 1.04, "switch": 0.88, "aspect": -0.49}
"""Of each fact in `track_facts`; those without a weight were found to add nothing. "one" is where the clips without
subtitles have no line: 1.8 higher than the fit to the first weights, which gave false tracks by the hundred."""


def track_facts(track: Track, core: np.ndarray, lumas: Mapping[int, np.ndarray]) -> dict[str, float]:
    """What a track looks like and does, in numbers of order one.

    Args:
        track: placed, with its span and its pooled strokes.
        core: (h, w) bool, its strokes; not empty.
        lumas: (H, W) uint8 at working size, by frame number.

    Returns:
        one: 1. high: share of the strokes that are beyond doubt. area: log of their number of pixels. switch: how many
        of its ends come from one frame to the next. aspect: log of width over height. even: how alike in brightness
        the strokes are (log of the deviation, levels). steady: how little they change over time (the same).
        contrast: how much they differ from what lies around them (log of levels). frames: log of the length.
    """
    width, height = int(core.any(0).sum()), int(core.any(1).sum())
    sure = core & (track.strokes > _SURE)
    inner = sure if sure.sum() >= 8 else core
    part = np.s_[track.top : track.bottom, track.left : track.right]
    known = [n for n in sorted(lumas) if track.first.n <= n <= track.last.n]
    looks = [known[i * len(known) // _LOOKS] for i in range(_LOOKS)] if known else []
    pictures = [lumas[n][part].astype(np.float32) for n in dict.fromkeys(looks)]
    facts = {
        "one": 1.0,
        "high": float((track.strokes[core] > _SURE).mean()),
        "area": float(np.log(core.sum())),
        "switch": float((track.first.how == "switch") + (track.last.how == "switch")),
        "aspect": float(np.log(width / height)),
        "frames": float(np.log(track.last.n - track.first.n + 1)),
    }
    if pictures:
        strokes = np.stack([p[inner] for p in pictures])
        outside = np.stack([p[track.strokes < 0.1] for p in pictures])
        # The spread between quartiles: outline, shadow and antialiasing are a minority of the surest pixels.
        low, high = np.percentile(strokes.mean(0), [25, 75])
        facts["even"] = float(np.log1p(high - low))
        facts["steady"] = float(np.log1p(np.median(strokes.std(0))))
        facts["around"] = float(np.log1p(np.median(outside.std(0)))) if outside.size else 0.0
        middle = np.median(outside) if outside.size else 0.0
        facts["contrast"] = float(np.log1p(abs(float(np.median(strokes)) - float(middle))))
    return facts


def certainty(facts: Mapping[str, float]) -> float:
    """0..1; 0.5 is where errors of both kinds are weighed alike."""
    value = sum(weight * facts.get(name, 0.0) for name, weight in WEIGHTS.items())
    return float(1 / (1 + np.exp(-value)))
