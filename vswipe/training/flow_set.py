"""Batches for the learned completion of motion from the files of `flow_data`, and its loss."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vswipe.nets.flow import PLANES, STEP_PLANES, X_PLANES, Y_PLANES

from .wipe_data import Sample, load
from .wipe_set import REFRESH, window_files

CROP = (48, 80)  # height, width, cells


@dataclass
class Batch:
    """Crops.

    Args:
        planes, measured, affine: what the network takes.
        diffused: (B, 2, h, w) cells, the motion that it corrects.
        truth: (B, 2, h, w) cells, motion of the clean pictures.
        first, second: (B, 1, h, w) levels, the clean pictures.
    """

    planes: Tensor
    measured: Tensor
    affine: Tensor
    diffused: Tensor
    truth: Tensor
    first: Tensor
    second: Tensor

    @property
    def guard(self) -> Tensor:
        """(B, 1, h, w), where the network's answer is used."""
        return self.planes[:, :1]


class PairSet:
    """All samples of one part in memory; half precision as in the files.

    Args:
        folder: of files; new ones are taken in by `refresh`.
        held_out: the part that measures.

    Raises:
        ValueError: a file holds other planes than the network sees.
    """

    def __init__(self, folder: Path, held_out: bool) -> None:
        self.folder, self.held_out = folder, held_out
        self.windows: dict[str, list[Sample]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take in files that have come since."""
        self.looked = time.monotonic()
        for path in window_files(self.folder, self.held_out):
            if path.name not in self.windows:
                # One of two frames may have no mark.
                samples = [sample for sample in load(path) if sample["planes"][0].any()]
                if not samples:
                    continue
                if len(samples[0]["planes"]) != PLANES + STEP_PLANES:
                    raise ValueError(f"flow_set: {path.name} must hold {PLANES + STEP_PLANES} planes, got "
                                     f"{len(samples[0]['planes'])}: make it again")  # fmt: skip
                self.windows[path.name] = samples

    def batch(self, rng: np.random.Generator, size: int, crop: tuple[int, int] = CROP) -> Batch:
        """Crops of any windows, every window as often."""
        if time.monotonic() - self.looked > REFRESH:
            self.refresh()
        names = list(self.windows)
        crops = []
        for _ in range(size):
            samples = self.windows[names[int(rng.integers(len(names)))]]
            crops.append(crop_of(samples[int(rng.integers(len(samples)))], rng, crop))
        return batch_of(crops)


def crop_of(sample: Sample, rng: np.random.Generator | None, size: tuple[int, int] = CROP) -> Sample:
    """A crop that holds some of the guard; with `rng` mirrored at random, without it around the guard's middle."""
    guard = sample["planes"][0] > 0
    where = np.flatnonzero(guard)
    at = where[int(rng.integers(len(where)))] if rng is not None else where[len(where) // 2]
    y, x = divmod(int(at), guard.shape[1])
    offset = rng.uniform(0.2, 0.8, 2) if rng is not None else (0.5, 0.5)
    top = int(np.clip(y - offset[0] * size[0], 0, max(0, guard.shape[0] - size[0])))
    left = int(np.clip(x - offset[1] * size[1], 0, max(0, guard.shape[1] - size[1])))
    out = {}
    for key, array in sample.items():
        part = array[..., top : top + size[0], left : left + size[1]].astype(np.float32)
        part = part if part.ndim == 3 else part[None]
        short = size[0] - part.shape[1], size[1] - part.shape[2]
        out[key] = np.pad(part, ((0, 0), (0, short[0]), (0, short[1])), "edge") if any(short) else part
    if any(size[k] > guard.shape[k] for k in (0, 1)):  # nothing is asked beyond the sample
        out["planes"][0, guard.shape[0] :] = 0
        out["planes"][0, :, guard.shape[1] :] = 0
    if rng is None:
        return out
    for axis, planes, component in ((-1, X_PLANES, 0), (-2, Y_PLANES, 1)):
        if rng.random() < 0.5:
            out = {key: np.flip(array, axis).copy() for key, array in out.items()}
            out["planes"][list(planes)] *= -1
            for key in ("measured", "affine", "diffused", "truth"):
                out[key][component] *= -1
    return out


def batch_of(crops: list[Sample]) -> Batch:
    """Crops of one size as tensors."""
    return Batch(**{key: torch.from_numpy(np.stack([crop[key] for crop in crops])) for key in Batch.__annotations__})


_NOISE, _GREY = 0.015, 0.5  # cells and levels: errors below these sizes are those of the measured motion itself
_AROUND = 0.3  # weight of what is guarded but not hidden
_SEEN, _WORSE = 0.5, 0.5
_TEXTURE = 4.0  # levels per cell at which a motion shows


def warp(picture: Tensor, motion: Tensor) -> Tensor:
    """(B, 1, h, w) read along (B, 2, h, w) cells; outside the border goes on."""
    height, width = picture.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack([x, y]).to(motion) + motion
    grid = torch.stack([2 * at[:, 0] / (width - 1) - 1, 2 * at[:, 1] / (height - 1) - 1], -1)
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=True)


def errors(batch: Batch, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Per crop: error of a motion in cells, and of what is seen along it in levels, weighted means over the guard."""
    across, down = (F.pad(batch.first.diff(dim=d).abs(), pad) for d, pad in ((-1, (0, 1, 0, 0)), (-2, (0, 0, 0, 1))))
    texture = F.avg_pool2d(across + down, 5, 1, 2)
    hidden = (batch.planes[:, 1:2] < 1).float()
    weight = batch.guard * (_AROUND + (1 - _AROUND) * hidden)
    total = weight.sum((1, 2, 3)).clamp(min=1e-3)
    shown = weight * (0.1 + texture / (texture + _TEXTURE))
    length = ((motion - batch.truth).pow(2).sum(1, keepdim=True) + 1e-4).sqrt()
    seen = (warp(batch.second, motion) - batch.first).abs()
    return (shown * length).sum((1, 2, 3)) / shown.sum((1, 2, 3)).clamp(min=1e-3), (weight * seen).sum(
        (1, 2, 3)
    ) / total


def loss_of(batch: Batch, added: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Errors over those of the diffused motion, crop by crop, so that slow and fast ones count alike."""
    motion = batch.diffused + added * batch.guard
    length, seen = errors(batch, motion)
    with torch.no_grad():
        length_before, seen_before = errors(batch, batch.diffused)
    first, second = length / (length_before + _NOISE), seen / (seen_before + _GREY)
    before = float((length_before / (length_before + _NOISE)).mean())
    total = (first + _SEEN * second + _WORSE * F.relu(first - 1)).mean()
    # "hole" and "base" as in the other trainings: `curve` draws their ratio.
    return total, {"hole": float(first.detach().mean()), "seen": float(second.detach().mean()), "base": before,
                   "worse": float((first.detach() > 1.02).float().mean())}  # fmt: skip
