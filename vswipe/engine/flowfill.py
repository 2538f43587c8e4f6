"""Learned completion of motion in the engine: what a pair of frames looks like to it, and its answer as flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.engine.region import Rect
from vswipe.nets.flow import MULTIPLE, describe
from vswipe.ops.precision import has_fast_bf16
from vswipe.restore.drift import neighbour_step

MARGIN = 16  # cells around what is guarded that the network sees
_RASTER = 8  # cells; crops begin and end on it

_APART, _APART_BOX = (0.5, 0.8), 9
"""From which difference of the known shares on, in the mean over so many cells, motion is believed less, and not at
all. Believed less in proportion to every difference, it loses as much on some clips as it gains on others."""

Both = tuple[np.ndarray, np.ndarray]  # of the first and of the second frame of a pair, or of the way there and back


@dataclass(frozen=True)
class Pair:
    """Two neighbouring frames of a region, on the grid of cells.

    Args:
        n: number of the first frame.
        rect: the region.
        pictures: (h, w) float32 levels, the first pass's.
        measured: (h, w, 2) float32 cells, the motion between these pictures there and back.
        completed: (2, h, w, 2), the diffused and the affine completion of each.
        guards: (h, w) uint8, where a motion cannot be trusted.
        valid: (h, w) float32, visible share.
        known: (h, w) float32, share of the pictures that is visible or was copied from other frames.
    """

    n: int
    rect: Rect
    pictures: Both
    measured: Both
    completed: Both
    guards: Both
    valid: Both
    known: Both

    def box(self) -> tuple[slice, slice] | None:
        """What the network is to see: both guards and the margin around them."""
        rows, columns = np.nonzero(self.guards[0] | self.guards[1])
        if not rows.size:
            return None
        height, width = self.guards[0].shape
        top, left = (max(0, (int(first.min()) - MARGIN) // _RASTER * _RASTER) for first in (rows, columns))
        bottom, right = (min(size, -(-(int(last.max()) + 1 + MARGIN) // _RASTER) * _RASTER)
                         for last, size in ((rows, height), (columns, width)))  # fmt: skip
        return slice(top, bottom), slice(left, right)

    def alike(self) -> np.ndarray:
        """(h, w) float32, 0 where one picture shows a copy and the other a fill of its own, else 1.

        The motion measured between the two is anything, and no network can better it. Every line that comes or goes
        leaves such a pair where the first pass's reach ends, and all frames beyond it are traced through that one.
        """
        apart = cv2.blur(np.abs(self.known[0] - self.known[1]), (_APART_BOX, _APART_BOX))
        return ((_APART[1] - apart) / (_APART[1] - _APART[0])).clip(0, 1)

    def seen(self, box: tuple[slice, slice], way: int, steps: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """In a box, there (0) or back (1): the description (16, h, w), with `steps` (21, h, w), and measured and affine
        minus diffused motion (2, h, w)."""
        there, back = (
            np.stack([self.measured[k][box], *self.completed[k][(slice(None), *box)]]) for k in (way, 1 - way)
        )
        first, second = (np.ascontiguousarray(self.pictures[k][box]) for k in (way, 1 - way))
        valid = self.valid[way][box], np.ascontiguousarray(self.valid[1 - way][box])
        step = _step(first, second, valid, there[1]) if steps else None
        planes = describe(first, second, there, back, self.guards[way][box], valid, step)
        measured, affine = (np.moveaxis(there[k] - there[1], 2, 0) for k in (0, 2))
        return planes, measured, affine


def _step(first: np.ndarray, second: np.ndarray, valid: Both, diffused: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(first.shape, np.float32)
    own, other = np.stack([first, valid[0]], -1), np.stack([second * valid[1], valid[1]], -1)
    return neighbour_step(own, other, np.stack([columns, rows], -1) + diffused)


class MotionFill(Protocol):
    """What may better the diffused completion."""

    def complete(self, pair: Pair) -> Both:
        """The motions to use, (2, h, w, 2) there and back; must depend on the pair only."""
        ...


class FlowFill:
    """Runs the network for one filter.

    Args:
        net: `vswipe.nets.flow.Flow`.
        device: torch device.
        fp16: half precision on CUDA. CPUs that have bf16 use it in any case.
    """

    def __init__(self, net: Any, device: torch.device, fp16: bool) -> None:
        self.net = net.to(device).to(memory_format=torch.channels_last).eval()
        self.device = device
        self.steps = bool(net.options["steps"])
        self.half = has_fast_bf16(device) or (fp16 and device.type == "cuda")

    def complete(self, pair: Pair) -> Both:
        """See `MotionFill`."""
        box = pair.box()
        if box is None:
            return pair.completed
        parts = [np.stack(arrays) for arrays in zip(*(pair.seen(box, way, self.steps) for way in (0, 1)), strict=True)]
        height, width = parts[0].shape[-2:]
        padding = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        tensors = [self._padded(part, padding) for part in parts]
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            added = self.net(*tensors)[..., :height, :width].float().cpu().numpy()
        out, alike = [], pair.alike()[box]
        for way in (0, 1):
            flows = pair.completed[way].copy()
            inside = (pair.guards[way][box] * alike)[..., None]
            flows[(0, *box)] += np.moveaxis(added[way], 0, 2) * inside
            out.append(flows)
        return out[0], out[1]

    def _padded(self, part: np.ndarray, padding: tuple[int, int, int, int]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(part)).to(self.device)
        return F.pad(tensor, padding, mode="replicate") if any(padding) else tensor


def on_grid(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32 of a working picture (H, W) uint8."""
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.float32)
