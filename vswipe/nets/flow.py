"""Learned completion of the motion inside a hole.

The copy stage knows three motions there: the one measured on the first pass's pictures ("measured"), whose inside is as
good as those are, and two completions of what surrounds the hole, diffused and affine. None wins on every clip, and a
mix of copies cannot mend what all of them get wrong. The network sees the three, how well each agrees with the pictures
and with the way back, and says per cell how much of the first and third to take in place of the second, and what is
missing in all.

Untrained it gives the diffused completion itself. A small U-Net (Ronneberger et al., MICCAI 2015,
https://arxiv.org/abs/1505.04597), on the grid of cells on which the copy stage traces. What it learns from is the
motion of the same pictures without marks.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from vswipe.nets._blocks import DilatedUNet, scaled, silent
from vswipe.nets.spec import Spec
from vswipe.ops.flow import round_trip_error

MULTIPLE = 4
PLANES = 16
STEP_PLANES = 5
X_PLANES, Y_PLANES = (9, 11, 16), (10, 12, 17)
"""Which planes of a description change their sign when the picture is mirrored."""

_WIDTHS = (24, 40, 64)
_DILATIONS = (1, 2, 4, 8)
_LARGEST_SHARE = 1.5  # of another motion; beyond 1 it leads away from the diffused one
_SURE = 0.25  # cells that even an undoubted motion may be moved by
_CELLS = 17  # side of the box that brightness and contrast are taken over
_CONTRAST_FLOOR = 3.0  # levels
_CLIP = 4.0


class Flow(DilatedUNet):
    """Corrections of the completed motion.

    Args:
        width: multiplies all channel counts.
        bottom: channels at a quarter of the resolution.
        depth: dilated convolutions there.
        steps: sees, too, what the cells that both frames show say the diffused motion is off by, and may take of it.
    """

    spec = Spec("flow", radius=0, reference_stride=1, multiple_of=(MULTIPLE, MULTIPLE), kind="flow")

    def __init__(self, width: float = 1, bottom: int = _WIDTHS[2], depth: int = 4, steps: bool = False) -> None:
        a, b, c = (scaled(channels, width) for channels in (*_WIDTHS[:2], bottom))
        dilations = [_DILATIONS[i % len(_DILATIONS)] for i in range(depth)]
        super().__init__(PLANES + steps * STEP_PLANES, (a, b, c), dilations, 4)
        self.options = {"width": width, "bottom": bottom, "depth": depth, "steps": steps}
        self.stepped = silent(a, 1) if steps else None

    def forward(self, planes: Tensor, measured: Tensor, affine: Tensor) -> Tensor:
        """What to add to the diffused motion.

        Args:
            planes: (B, 16 or 21, H, W), what `describe` gives; H and W multiples of 4.
            measured, affine: (B, 2, H, W) cells, these motions minus the diffused one.

        Returns:
            (B, 2, H, W) cells.

        Raises:
            ValueError: sizes do not fit.
        """
        self.spec.check_size(*planes.shape[-2:])
        features = self.features(planes)
        x = self.last(features).float()
        shares = _share(x[:, :2])
        added = shares[:, :1] * measured + shares[:, 1:] * affine
        doubt = _SURE + measured.abs() + affine.abs()
        if self.stepped is not None:
            step = torch.sinh(2 * planes[:, PLANES : PLANES + 2]) / 4
            added = added + _share(self.stepped(features).float()) * step
            doubt = doubt + step.abs()
        return added + doubt * torch.tanh(x[:, 2:])


def _share(x: Tensor) -> Tensor:
    return _LARGEST_SHARE * torch.tanh(x / _LARGEST_SHARE)


def describe(
    first: np.ndarray,
    second: np.ndarray,
    there: np.ndarray,
    back: np.ndarray,
    guard: np.ndarray,
    valid: tuple[np.ndarray, np.ndarray],
    step: np.ndarray | None = None,
) -> np.ndarray:
    """What the network sees of a pair of frames, in one direction.

    Args:
        first, second: (H, W) float32 levels, the first pass's pictures on the grid.
        there: (3, H, W, 2) float32 cells, from `first` to `second`: measured, diffused, affine.
        back: the same from `second` to `first`.
        guard: (H, W) uint8 of `first`, where the motion cannot be trusted.
        valid: (H, W) float32 visible share of `first`'s and of `second`'s cells.
        step: (5, H, W) float32, what `restore.drift.neighbour_step` says of the diffused motion.

    Returns:
        (16, H, W) float32, with `step` (21, H, W): guard, visible shares of both ends, differences of the pictures (3)
        and of the way back (3) along each motion, measured and affine minus diffused (x, y, x, y), size of the motion,
        picture, contrast; `step`.
    """
    height, width = first.shape
    mean = cv2.blur(first, (_CELLS, _CELLS))
    contrast = np.sqrt(np.maximum(cv2.blur(first * first, (_CELLS, _CELLS)) - mean * mean, 0)) + _CONTRAST_FLOOR
    out = np.empty((PLANES if step is None else PLANES + STEP_PLANES, height, width), np.float32)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    grid = np.stack([columns, rows], -1)
    out[0], out[1] = guard, valid[0]
    out[2] = cv2.remap(valid[1], grid + there[1], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    for k in range(3):
        seen = cv2.remap(second, grid + there[k], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        out[3 + k] = 3 * (seen - first) / contrast
        out[6 + k] = np.log1p(4 * round_trip_error(there[k], back[k]))
    for at, k in ((9, 0), (11, 2)):
        apart = there[k] - there[1]
        out[at : at + 2] = np.moveaxis(np.arcsinh(4 * apart) / 2, 2, 0)
    out[13] = np.log1p(np.hypot(there[1][..., 0], there[1][..., 1]))
    out[14] = 1.5 * (first - mean) / contrast
    out[15] = np.log(contrast / 10)
    if step is not None:
        out[PLANES : PLANES + 2], out[PLANES + 2 :] = np.arcsinh(4 * step[:2]) / 2, step[2:]
    return np.clip(out, -_CLIP, _CLIP, out=out)
