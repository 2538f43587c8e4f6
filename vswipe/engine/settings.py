"""Checked settings of one filter call; every number a user may turn, in one place."""

from __future__ import annotations

from dataclasses import dataclass

Region = tuple[int, int, int, int]

COPY = "copy"  # the model without a network
WIPE = "wipe"  # the network that corrects the mix of the copies; the others fill what no other frame shows
FLOW = "flow"  # the one that betters the motion by which WIPE's copies are made


@dataclass(frozen=True)
class Settings:
    """Settings of the erasing engine.

    Args:
        model: registry name, or "copy" for the stages without a network.
        regions: rectangles (left, top, width, height) in luma pixels; the mask counts only inside them. None given:
            everywhere.
        radius: frames of context on each side that may give pixels, >= 0.
        dilate: pixels the mask is grown by, >= 0.
        feather: pixels over which the result fades into the source, inside the dilation, >= 0.
        grain: 0..1, share of the surrounding grain that is put back on filled pixels.
        device: torch device name.
        fp16: half precision for networks; the copy stage does not read it.
        weights: file with weights for the network, instead of the installed one.
        shots: passes of a network that works in several; 0 = as many as the hole is deep; None: its own default.
    """

    model: str = COPY
    regions: tuple[Region, ...] = ()
    radius: int = 30
    dilate: int = 1
    feather: int = 0
    grain: float = 0.0
    device: str = "cpu"
    fp16: bool = False
    weights: str | None = None
    shots: int | None = None


def best_model() -> str:
    """The model behind "auto": `WIPE` where both of its networks are installed, as they are with vswipe itself."""
    from vswipe.nets import weights  # here: it brings torch, and settings alone shall not

    return COPY if any(weights.find(network) is None for network in (WIPE, FLOW)) else WIPE
