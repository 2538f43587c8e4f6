"""vswipe's own network in the engine: a frame's hidden samples as blocks of a crop, and corrections back to samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.engine.region_view import RegionView
from vswipe.engine.tiles import Tile, plan_tiles, tile_weight
from vswipe.nets.wipe import EXCHANGED, MULTIPLE, NUM_COPIES, OF_COPIES, Found, own_share
from vswipe.ops.morphology import shrink_any
from vswipe.ops.precision import has_fast_bf16
from vswipe.ops.sampling import box_mean, sample_points
from vswipe.restore.compare import Tuning
from vswipe.restore.fills import plain_fills
from vswipe.restore.onion import KNOWN
from vswipe.restore.propagate import Copies, Rim

CONTEXT = 16  # blocks around the hole that the network sees
MAX_BLOCKS = 1 << 16  # of a tile: 50 MiB of features, 60 ms of one core
View = tuple[tuple[int, ...], bool]
VIEWS: tuple[View, ...] = (((), False), ((-1,), True), ((-2,), True), ((-2, -1), False))
"""How a crop is looked at: the axes that are mirrored, and whether past and future change places."""
_COPIED = 1.2
"""Share of the residuals that is taken where copies are mixed: a loss of absolute errors teaches too little there."""
_DISAGREEMENT, _AROUND = 24.0, 25
_WIDE, _WIDE_BOX = (0.5, 0.95), 17
"""In the middle of wide holes of which no frame shows anything, the views' mean is believed by its square over this and
so many of their variances, in the mean over so many blocks: they err alike, and their variance says too little. Wide:
from which share of a box of so many blocks on that begins, and where it is all."""
_SMALL = 12_288  # blocks up to which all four are asked for: no more work than two of two lines of text
_FULL_RANGE = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)


@dataclass(frozen=True)
class Hidden:
    """What was found for one plane group's hidden samples in one frame.

    Args:
        copies: candidates of its blocks.
        block: (N,) the block of each hidden sample, and its place in it.
        place: (N,)
        spatial: (N, C) levels, the fill from the frame itself.
        own: (N,) its logit.
        texture: (N,) levels.
    """

    copies: Copies
    block: Tensor
    place: Tensor
    spatial: np.ndarray
    own: np.ndarray
    texture: np.ndarray


@dataclass(frozen=True)
class Beside:
    """What the copies would be in visible blocks beside the hole: (R,) rows and columns of these blocks."""

    rim: Rim
    rows: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True)
class Correction:
    """For one plane group: (M, blocks) to add to the copies' logits, and (N, C) levels to add to the mix."""

    logits: Tensor
    residual: Tensor


class Fusion(Protocol):
    """What may correct the mix of the candidates."""

    wants_rim: bool
    """Whether it looks at what lies beside the hole."""

    def correct(
        self, view: RegionView, n: int, side: int, groups: Sequence[Hidden], beside: Beside | None
    ) -> list[Correction]:
        """Corrections of frame n, whose blocks are `side` pixels wide; must depend on the arguments only."""
        ...


def own_logit(depth: np.ndarray, texture: np.ndarray, tuning: Tuning) -> np.ndarray:
    """Logit of the spatial fill, as `restore.propagate.blend` has it."""
    return -tuning.depth_power * np.log(np.maximum(depth, 0.5)) - tuning.texture_power * np.log1p(texture)


class WipeFill:
    """Runs the network for one filter.

    Args:
        net: `vswipe.nets.wipe.Wipe`.
        device: torch device.
        fp16: half precision on CUDA. CPUs that have bf16 use it in any case.
        max_blocks: area of a tile.
    """

    def __init__(self, net: Any, device: torch.device, fp16: bool, max_blocks: int = MAX_BLOCKS) -> None:
        self.net = net.to(device).to(memory_format=torch.channels_last).eval()
        self.device, self.max_blocks = device, max_blocks
        self.half = has_fast_bf16(device) or (fp16 and device.type == "cuda")
        self.wants_rim = bool(net.options["rim"])

    def correct(
        self, view: RegionView, n: int, side: int, groups: Sequence[Hidden], beside: Beside | None
    ) -> list[Correction]:
        """See `Fusion`."""
        crop = _Crop(view, n, side, self.device)
        found = crop.found(groups, beside)
        logits, residual = self._run(found, crop)
        return crop.corrections(groups, logits, residual)

    def _run(self, found: Found, crop: _Crop) -> tuple[Tensor, Tensor]:
        """(M, H, W) and (3, H, W): tile by tile where the crop is large; tiles without a hole are left out."""
        height, width = found.hole.shape[-2:]
        views = VIEWS if height * width <= _SMALL else VIEWS[:2]  # those of the whole in every tile
        tiles = plan_tiles(height, width, self.max_blocks)
        if len(tiles) == 1:
            logits, residual = self.ask(found, views)
            return logits[0], residual[0]
        sums = torch.zeros(NUM_COPIES + 3, height, width, device=self.device)
        shares = torch.zeros(height, width, device=self.device)
        for tile in tiles:
            part = _cut(found, tile)
            if not bool(part.hole.any()):
                continue
            weight = torch.from_numpy(tile_weight(tile, height, width)[..., 0]).to(self.device)
            sums[(slice(None), *tile.box)] += weight * torch.cat(self.ask(part, views), 1)[0]
            shares[tile.box] += weight
        sums /= shares.clamp(min=1e-6)
        return sums[:NUM_COPIES], sums[NUM_COPIES:]

    def ask(self, found: Found, views: Sequence[View]) -> tuple[Tensor, Tensor]:
        """The mean over some of `VIEWS` of one crop or tile, (1, M, H, W) and (1, 3, H, W), as `nets.wipe.Wipe` has
        them; of the residuals what is taken."""
        height, width = found.hole.shape[-2:]
        padding = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        if any(padding):
            found = Found(**{key: F.pad(value, padding, mode="replicate") for key, value in vars(found).items()})
        batch = Found(**{key: torch.cat([_turned(value, view, key in OF_COPIES) for view in views])
                         for key, value in vars(found).items()})  # fmt: skip
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits, residual = self.net(batch)
        turned = [(_turned(a[None], view, True), _turned(b[None], view, False))
                  for a, b, view in zip(logits, residual, views, strict=True)]  # fmt: skip
        logits, residuals = (torch.stack(parts) for parts in zip(*turned, strict=True))
        logits, residual = logits.mean(0), residuals.mean(0)
        alone, agreed = own_share(found, logits), _agreement(residuals, found.hole)
        residual = (_COPIED + (agreed - _COPIED) * alone) * residual
        return logits[..., :height, :width], residual[..., :height, :width]


def _agreement(residuals: Tensor, hole: Tensor) -> Tensor:
    """(1, 1, H, W): what share of the mean of several residuals (V, 1, 3, H, W) their agreement warrants."""
    mean = residuals.mean(0)
    variance = (residuals - mean).square_().sum((0, 2)) / (len(residuals) - 1)
    around = box_mean(torch.stack([mean.square().sum(1), variance], -1), _AROUND)
    share = box_mean(hole[:, 0, :, :, None], _WIDE_BOX)[..., 0]
    wide = ((share - _WIDE[0]) / (_WIDE[1] - _WIDE[0])).clamp(0, 1)
    return (around[..., 0] / (around[..., 0] + _DISAGREEMENT * wide * around[..., 1]).clamp(min=1e-6))[:, None]


def _turned(value: Tensor, view: View, of_copies: bool) -> Tensor:
    """(1, C, H, W) in one of `VIEWS`, or back; `of_copies`: its channels are the copies."""
    axes, exchanged = view
    if of_copies and exchanged:
        value = value[:, list(EXCHANGED)]
    return value.flip(axes) if axes else value


def _cut(found: Found, tile: Tile) -> Found:
    return Found(**{key: value[(slice(None), slice(None), *tile.box)] for key, value in vars(found).items()})


class _Crop:
    """The blocks around one frame's hole.

    Args:
        view: the region.
        n: the frame.
        side: pixels of a block.
        device: torch device.
    """

    def __init__(self, view: RegionView, n: int, side: int, device: torch.device) -> None:
        self.view, self.n, self.side, self.device = view, n, side, device
        whole = view.mask(n, 0)
        assert whole is not None  # called for frames with a hole
        blocks = shrink_any(whole, side, side)
        rows, columns = np.nonzero(blocks)
        height, width = blocks.shape
        # On a fixed raster: chroma samples and the coarse cells of the statistics lie alike in every crop.
        self.top = max(0, (int(rows.min()) - CONTEXT) // 8 * 8)
        self.left = max(0, (int(columns.min()) - CONTEXT) // 8 * 8)
        self.bottom = min(height, -(-(int(rows.max()) + 1 + CONTEXT) // 8) * 8)
        self.right = min(width, -(-(int(columns.max()) + 1 + CONTEXT) // 8) * 8)
        self.size = (self.bottom - self.top, self.right - self.left)
        flat = (rows - self.top) * self.size[1] + columns - self.left
        self.where = torch.from_numpy(flat).to(device)  # of every block

    # To blocks -----------------------------------------------------------------------------------------------------

    def found(self, groups: Sequence[Hidden], beside: Beside | None) -> Found:
        """What the network sees."""
        first = groups[0]
        logits, own = first.copies.logits, self._mean(first, first.own[:, None])
        values, spatial = self._ycc(self._values(first)), self._ycc(self._mean(first, first.spatial))
        weights = torch.softmax(torch.cat([logits, own.T]), 0)
        mixed = (weights[:-1, :, None] * values).sum(0) + weights[-1][:, None] * spatial
        hole = self._dense(torch.ones(1, self.where.numel(), device=self.device))
        picture = self._picture()
        if len(groups) > 1:
            picture = self._with_chroma(picture, groups, weights)
            mixed = mixed[:, :1]
        inside = picture[:, : mixed.shape[1]]
        inside.copy_(torch.where(hole > 0, self._dense(mixed.T), inside))
        left = self._dense(weights[-1:])[0, 0].cpu().numpy() > 1 - KNOWN
        fills = plain_fills(picture[0, 0].cpu().numpy(), left)  # reach to the copies, like the spatial fill
        return Found(
            hole,
            picture,
            self._dense(values[..., 0]),
            self._dense(logits, -torch.inf),
            self._dense(spatial[:, :1].T),
            self._dense(own.T),
            self._dense(self._mean(first, first.texture[:, None]).T),
            torch.from_numpy(fills).to(self.device)[None],
            *self._beside(beside, len(logits)),
        )

    def _beside(self, beside: Beside | None, num: int) -> tuple[Tensor, Tensor]:
        """(1, M, H, W) luma of the copies beside the hole, and 1 where there is one."""
        values, there = (torch.zeros(num, *self.size, device=self.device) for _ in range(2))
        if beside is not None:
            rows, columns = (torch.from_numpy(x - first).to(self.device)
                             for x, first in ((beside.rows, self.top), (beside.columns, self.left)))  # fmt: skip
            values[:, rows, columns] = self._ycc(beside.rim.values)[..., 0]
            there[:, rows, columns] = beside.rim.there.float()
        return values[None], there[None]

    def _values(self, hidden: Hidden) -> Tensor:
        """(M, blocks, C): the mean of each copy over the hidden samples of a block."""
        values = hidden.copies.values
        if values.shape[2] == 1:
            return values[:, :, 0]
        share = torch.zeros(values.shape[1:3], device=self.device)
        share[hidden.block, hidden.place] = 1
        share /= share.sum(1, keepdim=True).clamp(min=1)
        return (values * share[..., None]).sum(2)

    def _mean(self, hidden: Hidden, samples: np.ndarray) -> Tensor:
        """(blocks, C): mean over the hidden samples of each block, of (N, C)."""
        given = torch.from_numpy(np.ascontiguousarray(samples, np.float32)).to(self.device)
        num = hidden.copies.logits.shape[1]
        if len(given) == num:  # one sample per block
            return given
        count = torch.zeros(num, device=self.device).index_add_(0, hidden.block, torch.ones_like(given[:, 0]))
        total = torch.zeros(num, given.shape[1], device=self.device).index_add_(0, hidden.block, given)
        return total / count.clamp(min=1)[:, None]

    def _dense(self, values: Tensor, outside: float = 0.0) -> Tensor:
        """(1, C, H, W) of (C, blocks)."""
        out = torch.full((values.shape[0], self.size[0] * self.size[1]), outside, device=self.device)
        out[:, self.where] = values
        return out.view(1, -1, *self.size)

    def _picture(self) -> Tensor:
        """(1, 3, H, W) Y, Cb, Cr of the crop; grey without chroma of its own."""
        main = self.view.levels(self.n, 0)
        height, width = self.size
        part = main[self.top * self.side : self.bottom * self.side, self.left * self.side : self.right * self.side]
        small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
        planes = self._ycc(torch.from_numpy(np.ascontiguousarray(small)).to(self.device))
        if planes.shape[2] < 3:
            planes = torch.cat([planes, torch.full_like(planes, 128.0).expand(-1, -1, 2)], 2)
        return planes.permute(2, 0, 1)[None].contiguous()

    def _with_chroma(self, picture: Tensor, groups: Sequence[Hidden], weights: Tensor) -> Tensor:
        """The picture with subsampled chroma, inside the hole mixed."""
        hidden, planes = groups[1], self.view.groups[1]
        top, bottom, left, right = (
            edge * self.side // sub
            for edge, sub in (
                (self.top, planes.sub_y),
                (self.bottom, planes.sub_y),
                (self.left, planes.sub_x),
                (self.right, planes.sub_x),
            )
        )
        part = self.view.levels(self.n, 1)[top:bottom, left:right]
        height, width = self.size
        together = self._together(groups)
        if together:
            mixed = (weights[:-1, :, None] * self._values(hidden)).sum(0)
            mixed += weights[-1][:, None] * self._mean(hidden, hidden.spatial)
        else:
            part = part.copy()
            values, logits = hidden.copies.values[:, :, 0], hidden.copies.logits
            own = torch.from_numpy(hidden.own).to(self.device)
            shares = torch.softmax(torch.cat([logits, own[None]]), 0)
            alone = torch.from_numpy(hidden.spatial).to(self.device)
            mixed = (shares[:-1, :, None] * values).sum(0) + shares[-1][:, None] * alone
            rows, columns = self.view.where(self.n, 1)
            part[rows - top, columns - left] = mixed.cpu().numpy()
        kernel = cv2.INTER_AREA if part.shape[0] > height else cv2.INTER_NEAREST
        chroma = torch.from_numpy(cv2.resize(part, (width, height), interpolation=kernel)).to(self.device)
        picture[:, 1:] = chroma.permute(2, 0, 1)
        if together:
            hole = self._dense(torch.ones(1, self.where.numel(), device=self.device))
            picture[:, 1:] = torch.where(hole > 0, self._dense(mixed.T), picture[:, 1:])
        return picture

    def _together(self, groups: Sequence[Hidden]) -> bool:
        """Whether one trace served all planes, so that their blocks are the same."""
        return groups[1].copies.logits is groups[0].copies.logits or self.side > 1

    def _ycc(self, levels: Tensor) -> Tensor:
        """Levels (..., C) with colour apart from brightness."""
        if self.view.fmt.family != "RGB":
            return levels
        return levels @ torch.from_numpy(_FULL_RANGE.T).to(self.device) + torch.tensor(
            [0.0, 128.0, 128.0], device=self.device
        )

    # And back ------------------------------------------------------------------------------------------------------

    def corrections(self, groups: Sequence[Hidden], logits: Tensor, residual: Tensor) -> list[Correction]:
        """Of every plane group, from (M, H, W) and (3, H, W)."""
        of_blocks = logits.flatten(1)[:, self.where]
        hole = self._dense(torch.ones(1, self.where.numel(), device=self.device))[0]
        if len(groups) == 1:
            return [Correction(of_blocks, self._samples(0, residual, hole))]
        luma = Correction(of_blocks, self._samples(0, residual[:1], hole))
        if self._together(groups):
            return [luma, Correction(of_blocks, self._samples(1, residual[1:], hole))]
        planes = self.view.groups[1]
        factor = (planes.sub_y, planes.sub_x)
        # A chroma sample takes the mean of what its hidden luma pixels were told.
        both = F.avg_pool2d(torch.cat([logits, residual[1:]])[None], factor)[0]
        both /= F.avg_pool2d(hole[None], factor)[0].clamp(min=1e-6)
        rows, columns = self.view.where(self.n, 1)
        of_samples = both[:, rows - self.top // planes.sub_y, columns - self.left // planes.sub_x]
        return [luma, Correction(of_samples[:NUM_COPIES], of_samples[NUM_COPIES:].T)]

    def _samples(self, group: int, residual: Tensor, hole: Tensor) -> Tensor:
        """(N, C) residual at a group's hidden samples, read between the hole's blocks."""
        planes = self.view.groups[group]
        if self.view.fmt.family == "RGB":
            inverse = torch.from_numpy(np.linalg.inv(_FULL_RANGE)).to(self.device)
            residual = torch.einsum("ij,jhw->ihw", inverse, residual)
        residual = residual[: len(planes.indices)]
        if self.side == 1:
            return residual.flatten(1)[:, self.where].T
        rows, columns = self.view.where(self.n, group)
        samples = np.stack([(columns + 0.5) * planes.sub_x, (rows + 0.5) * planes.sub_y], 1).astype(np.float32)
        points = torch.from_numpy(samples / self.side - 0.5 - np.array([self.left, self.top], np.float32))
        both = torch.cat([residual * hole, hole]).permute(1, 2, 0).contiguous()
        read = sample_points(both.numpy() if self.device.type == "cpu" else both, points.to(self.device))
        return read[:, :-1] / read[:, -1:].clamp(min=1e-3)
