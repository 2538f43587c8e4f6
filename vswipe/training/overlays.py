"""Foregrounds drawn over clean clips, by kind: what the networks are trained on and the quality is measured with.

rng = overlay_rng("talk-blue", "sub")
overlay = draw_overlay("sub", rng, width, height, num_frames)
drawn = composite(planes, overlay)      # drawn.planes, drawn.mask, drawn.alpha
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

import numpy as np

from .composite import Composite, Overlay, composite
from .marks import draw_dynamic, draw_logo, draw_watermark
from .subtitles import Timing, draw_subtitles

__all__ = ["KINDS", "STATIC_KINDS", "Composite", "Overlay", "composite", "draw_overlay", "overlay_rng"]

_Draw = Callable[[np.random.Generator, int, int, int], Overlay]
_DRAW: dict[str, _Draw] = {
    "sub": draw_subtitles,
    "subnogap": partial(draw_subtitles, timing=Timing(gap=(0, 0))),
    "subfade": partial(draw_subtitles, timing=Timing(fade=(3, 8))),
    "logo": draw_logo,
    "dyn": draw_dynamic,
    "wm": draw_watermark,
}

KINDS = tuple(_DRAW)
"""sub: lines with gaps between them; subnogap: without; subfade: lines that fade in and out; logo: static and opaque;
dyn: blinking, alternating or moving; wm: static and translucent."""

STATIC_KINDS = ("logo", "wm")
"""Kinds whose mask is the same in every frame."""


def overlay_rng(*names: str) -> np.random.Generator:
    """A generator seeded by names, e.g. of a clip and a kind: the same drawing in every run (with the same fonts)."""
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def draw_overlay(kind: str, rng: np.random.Generator, width: int, height: int, num_frames: int) -> Overlay:
    """A foreground of one of `KINDS` for a clip of this size (pixels) and length (frames).

    Raises:
        ValueError: another kind.
    """
    if kind not in _DRAW:
        raise ValueError(f"draw_overlay: kind must be one of {', '.join(KINDS)}, got {kind}")
    return _DRAW[kind](rng, width, height, num_frames)
