"""TextSeg: where the strokes of burnt-in subtitles are, from a frame and what its pixels do over time.

A half-resolution U-Net (Ronneberger et al., MICCAI 2015, https://arxiv.org/abs/1505.04597) over eleven planes made by
`describe`. A single frame cannot tell a subtitle from text of the scene; time can: overlays stand still and switch at
one moment while the scene moves under them. The planes say how a pixel compares with itself: with its temporal median,
with its spread around it, and for how many frames before and after it keeps its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

RADIUS = 12
"""Frames on each side of a frame that its description looks at."""

LUMA_PLANES, CHROMA_PLANES = 9, 2
WIDTHS = (24, 40, 64, 96)
WEIGHTS = "textseg_v1.safetensors"
MULTIPLE = 16
"""Height and width of the input must be multiples of this many pixels: four halvings."""

_FAR = (-12, -9, -6, -3, 0, 3, 6, 9, 12)
_NEAR = (-4, -2, 0, 2, 4)
_NEIGHBOUR = 6
_SAME = 14  # levels within which a pixel counts as unchanged: beyond the noise of H.264 at CRF 28 on stroke edges
_STEP = 21  # 12 frames of an unchanged pixel fill a byte
_SPREAD = 4  # levels of mean deviation are small: times four they use the byte


def median(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Median of 3, 5 or 9 planes (H, W) uint8, by selection networks of byte minima and maxima.

    Raises:
        ValueError: another number of planes.
    """
    p = list(planes)

    def sort(i: int, j: int) -> None:
        p[i], p[j] = cv2.min(p[i], p[j]), cv2.max(p[i], p[j])

    # Smallest networks for the median: N. Devillard, Fast median search: an ANSI C implementation (1998).
    networks = {
        3: ((0, 1), (1, 2), (0, 1)),
        5: ((0, 1), (3, 4), (0, 3), (1, 4), (1, 2), (2, 3), (1, 2)),
        9: ((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8), (4, 7), (3, 6),
            (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
    }  # fmt: skip
    if len(p) not in networks:
        raise ValueError(f"median: planes must be 3, 5 or 9, got {len(p)}")
    for i, j in networks[len(p)]:
        sort(i, j)
    return p[len(p) // 2]


def describe(luma: Sequence[np.ndarray]) -> np.ndarray:
    """What the network sees of the luma around a frame.

    Args:
        luma: 2 * RADIUS + 1 planes (H, W) uint8, contiguous; the frame in the middle. Beyond the clip's ends its first
            or last frame is repeated.

    Returns:
        (9, H, W) uint8: the frame, its neighbours 6 frames before and after, the signed distance to the median and
        the mean deviation over +-12 frames, the same over +-4, and for how long each pixel kept its value before and
        after (255: 12 frames).

    Raises:
        ValueError: not 25 planes.
    """
    if len(luma) != 2 * RADIUS + 1:
        raise ValueError(f"describe: luma must be {2 * RADIUS + 1} planes, got {len(luma)}")
    here = luma[RADIUS]
    out = np.empty((LUMA_PLANES, *here.shape), np.uint8)
    out[0] = here
    out[1], out[2] = luma[RADIUS - _NEIGHBOUR], luma[RADIUS + _NEIGHBOUR]
    for k, offsets in ((3, _FAR), (5, _NEAR)):
        planes = [luma[RADIUS + d] for d in offsets]
        middle = median(planes)
        # 128 + (here - middle) / 2 in saturated bytes.
        out[k] = cv2.addWeighted(here, 0.5, middle, -0.5, 128.0)
        total = np.zeros(here.shape, np.uint16)
        for plane in planes:
            total = cv2.add(total, cv2.absdiff(plane, middle), dtype=cv2.CV_16U)
        out[k + 1] = cv2.convertScaleAbs(total, alpha=_SPREAD / len(planes))
    for k, sign in ((7, -1), (8, 1)):
        alive = np.full(here.shape, _STEP, np.uint8)
        run = out[k]
        run[...] = 0
        for d in range(1, RADIUS + 1):
            same = cv2.compare(cv2.absdiff(here, luma[RADIUS + sign * d]), _SAME, cv2.CMP_LE)
            cv2.min(alive, same, dst=alive)
            cv2.add(run, alive, dst=run)
    return out


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, convolutions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(convolutions):
            layers += [nn.Conv2d(inputs if i == 0 else outputs, outputs, 3, padding=1, bias=False),
                       nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]  # fmt: skip
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class TextSeg(nn.Module):
    """Stroke and box logits of a described frame; 0.4 M parameters, about 7.5 k multiply-adds per pixel."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = nn.Conv2d(4 * LUMA_PLANES + CHROMA_PLANES, a, 1)
        self.down = nn.ModuleList([_Block(a, a, 1), _Block(a, b, 2), _Block(b, c, 2), _Block(c, d, 2)])
        self.reduce = nn.ModuleList([nn.Conv2d(b, a, 1), nn.Conv2d(c, b, 1), nn.Conv2d(d, c, 1)])
        self.up = nn.ModuleList([_Block(a, a, 1), _Block(b, b, 1), _Block(c, c, 1)])
        self.head = nn.Conv2d(a, 5, 1)
        nn.init.constant_(self.head.bias, -3.0)  # type: ignore[arg-type]  # strokes are rare: begin at 5 %

    def forward(self, luma: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor]:
        """Logits.

        Args:
            luma: (B, 9, H, W), bytes of `describe` as floats / 255; H and W multiples of 16.
            chroma: (B, 2, H/2, W/2), U and V / 255.

        Returns:
            Strokes (B, 1, H, W): letters with outline and shadow; box (B, 1, H/2, W/2): the plate behind them.

        Raises:
            ValueError: sizes do not fit.
        """
        height, width = luma.shape[-2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise ValueError(f"TextSeg: height and width must be multiples of {MULTIPLE}, got {width}x{height}")
        x = torch.cat([F.pixel_unshuffle(luma, 2), chroma], 1) - 0.5  # (B, 38, H/2, W/2)
        x = self.stem(x)
        kept = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        for i in (2, 1, 0):
            x = self.up[i](F.interpolate(self.reduce[i](x), scale_factor=2.0, mode="nearest") + kept[i])
        x = self.head(x)
        return F.pixel_shuffle(x[:, :4], 2), x[:, 4:]

    def fused(self) -> TextSeg:
        """The same network with its normalisations folded into the convolutions before them; for inference only."""
        from torch.nn.utils.fusion import fuse_conv_bn_eval

        copy = deepcopy(self).eval()
        for block in [*copy.down, *copy.up]:
            assert isinstance(block, _Block)
            layers = list(block.layers)
            for i in range(0, len(layers), 3):
                conv, norm = layers[i], layers[i + 1]
                assert isinstance(conv, nn.Conv2d)
                assert isinstance(norm, nn.BatchNorm2d)
                layers[i], layers[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
            block.layers = nn.Sequential(*layers)
        return copy


def load_textseg(path: str | Path | None = None) -> TextSeg:
    """The network with weights from a file.

    Args:
        path: a file of ours; unless told the installed one, looked for where every network's is.

    Raises:
        ValueError: there is none, or it does not fit.
    """
    from vswipe.nets.weights import places, read

    if path is None:
        found = next((folder / WEIGHTS for folder in places() if (folder / WEIGHTS).is_file()), None)
        if found is None:
            where = ", ".join(str(folder) for folder in places())
            raise ValueError(f"textseg: weights {WEIGHTS} must be installed, got none; searched {where}")
        path = found
    if not Path(path).is_file():
        raise ValueError(f"textseg: weights must be a file, got {path}")
    state, header = read(Path(path))
    if header.get("name") != "textseg":
        raise ValueError(f"textseg: weights must be of textseg, got {header.get('name')} in {path}")
    net = TextSeg()
    wanted = net.state_dict()
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    odd = (set(wanted) - counters) ^ set(state)
    if odd:
        raise ValueError(
            f"textseg: weights must hold the network's tensors, got other ones ({sorted(odd)[0]}) in {path}"
        )
    net.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)
    return net.eval()
