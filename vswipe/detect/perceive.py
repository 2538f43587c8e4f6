"""Running TextSeg over a clip's working frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from vswipe.detect.working import WorkingFrame, WorkingSize
from vswipe.nets.textseg import RADIUS, TextSeg, describe, load_textseg
from vswipe.ops.precision import has_fast_bf16


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the network says of one frame.

    Args:
        strokes: (H, W) uint8 at working size, probability of a stroke * 255.
        box: (H/2, W/2) uint8, probability of a plate behind text * 255.
    """

    strokes: np.ndarray
    box: np.ndarray


class Perception:
    """A loaded network; `see` may be called from several threads.

    Args:
        device: of PyTorch.
        weights: file; the installed one unless told.

    Raises:
        ValueError: no weights, or damaged ones.
    """

    def __init__(self, device: str = "cpu", weights: str | None = None, net: TextSeg | None = None) -> None:
        self.device = torch.device(device)
        half = torch.bfloat16 if has_fast_bf16(self.device) else torch.float32
        self.dtype = half if self.device.type == "cpu" else torch.float16
        net = (net or load_textseg(weights)).eval().fused()
        self.net = net.to(self.device, self.dtype).to(memory_format=torch.channels_last)

    def see(
        self, n: int, frames: Mapping[int, WorkingFrame], num_frames: int, size: WorkingSize, mirrored: bool = False
    ) -> Evidence:
        """The evidence of frame n.

        Args:
            n: its number.
            mirrored: look at it from left to right: errors differ, so that frames seen both ways average better.
            frames: working frames n - RADIUS to n + RADIUS, as far as the clip has them.
            num_frames: length of the clip.
            size: of the clip.
        """
        numbers = [min(max(n + d, 0), num_frames - 1) for d in range(-RADIUS, RADIUS + 1)]
        luma = torch.from_numpy(describe([frames[k].luma for k in numbers]))[None]
        chroma = torch.from_numpy(frames[n].chroma)[None]
        with torch.inference_mode():
            scaled = [x.to(self.device).to(self.dtype) / 255 for x in (luma, chroma)]
            if mirrored:
                scaled = [x.flip(-1) for x in scaled]
            strokes, box = self.net(*(x.contiguous(memory_format=torch.channels_last) for x in scaled))
            if mirrored:
                strokes, box = strokes.flip(-1), box.flip(-1)
            strokes, box = ((x[0, 0].float().sigmoid() * 255).round().to(torch.uint8).cpu() for x in (strokes, box))
        return Evidence(
            np.ascontiguousarray(strokes.numpy()[: size.height, : size.width]),
            np.ascontiguousarray(box.numpy()[: size.height // 2, : size.width // 2]),
        )
