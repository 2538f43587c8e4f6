"""Batches for vswipe's own network from the files of `wipe_data`, and its loss."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from vswipe.nets.wipe import EXCHANGED, NUM_COPIES, OF_COPIES, Found

from .clips import family_name
from .wipe_data import Sample, load

REFRESH = 60.0  # seconds between two looks for new files
PATIENCE = 600.0  # seconds that the first of them may take to come
STILL_SHARE = 0.33  # of the crops, that are of single frames
CROP = (64, 96)  # height, width: what lies further away hardly tells, and of larger crops more is no hole
_DEV_SALT, _DEV_DIVISOR = "vswipe:wipe:", 10


@dataclass
class Batch:
    """Dense crops: what the network sees, and what the mix needs for luma (0) and chroma (1).

    Args:
        found: see there.
        values, logits, spatial, own, hole, truth: per plane group (B, M, C, h, w), (B, M, h, w), (B, C, h, w),
            (B, 1, h, w), (B, 1, h, w), (B, C, h, w).
    """

    found: Found
    values: list[Tensor]
    logits: list[Tensor]
    spatial: list[Tensor]
    own: list[Tensor]
    hole: list[Tensor]
    truth: list[Tensor]

    def to(self, device: torch.device) -> Batch:
        """The same there."""
        found = Found(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self.found).items()})
        groups = {field.name: [tensor.to(device, non_blocking=True) for tensor in getattr(self, field.name)]
                  for field in fields(self)[1:]}  # fmt: skip
        return replace(self, found=found, **groups)


def is_held_out(name: str) -> bool:
    """Whether samples of a training clip or photograph only measure the training; by family, and never validation."""
    return zlib.crc32((_DEV_SALT + family_name(name)).encode()) % _DEV_DIVISOR == 0


class SampleSet:
    """All samples of one part in memory.

    Args:
        folder: of files; new ones are taken in by `refresh`.
        held_out: the part that measures.
        shard: number of this part of the files, and of how many.
    """

    def __init__(self, folder: Path, held_out: bool, shard: tuple[int, int] = (0, 1)) -> None:
        self.folder, self.held_out, self.shard = folder, held_out, shard
        self.windows: dict[str, list[Sample]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take in files that have come since."""
        number, count = self.shard
        for path in window_files(self.folder, self.held_out):
            if path.name not in self.windows and zlib.crc32(path.name.encode()) % count == number:
                self.windows[path.name] = [unpacked(sample) for sample in load(path)]

    @property
    def num_samples(self) -> int:
        return sum(len(samples) for samples in self.windows.values())

    def draw(self, rng: np.random.Generator) -> Sample:
        """A sample of any window that has one, every window as often; a third are single frames where there are any."""
        parts: tuple[list[str], list[str]] = ([], [])
        for name, samples in self.windows.items():
            if samples:
                parts[kind_of(name) == "still"].append(name)
        still = not parts[0] or (bool(parts[1]) and rng.random() < STILL_SHARE)
        samples = self.windows[parts[still][int(rng.integers(len(parts[still])))]]
        return samples[int(rng.integers(len(samples)))]


def kind_of(name: str) -> str:
    """What a file of samples holds: a kind of mark, or "still"."""
    return name.split("_")[1]


def window_files(folder: Path, held_out: bool) -> list[Path]:
    """The files of one part."""
    return [path for path in sorted(folder.glob("*.npz")) if is_held_out(path.stem.split("_", 2)[2]) == held_out]


class CropStream(IterableDataset[Batch]):
    """Batches without end, here or in the workers of a loader, each of which reads a part of the files.

    Args:
        folder: of files; those that come later are taken in.
        batch: crops in a batch.
        crop: height and width.
        seed: each worker draws its own.

    Iterating raises ValueError where no file with samples has come within `PATIENCE`.
    """

    def __init__(self, folder: Path, batch: int, crop: tuple[int, int], seed: int) -> None:
        self.folder, self.batch, self.crop, self.seed = folder, batch, crop, seed

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        rng = np.random.default_rng([self.seed, number])
        samples = SampleSet(self.folder, False, (number, count))
        began = refreshed = time.monotonic()
        while True:
            if time.monotonic() - refreshed > REFRESH:
                samples.refresh()
                refreshed = time.monotonic()
            if not samples.num_samples:  # its files are still to come
                if time.monotonic() - began > PATIENCE:
                    raise ValueError(f"CropStream: data must hold files with samples, none came to {self.folder}")
                time.sleep(1.0)
                samples.refresh()
                continue
            crops = [crop_of(samples.draw(rng), rng, self.crop) for _ in range(self.batch)]
            yield batch_of(crops, transpose=bool(rng.random() < 0.3))


def unpacked(sample: Sample) -> Sample:
    """The sample with its masks as (h, w) bool."""
    out = dict(sample)
    for group, factor in (("0", 1), ("1", 2)):
        height, width = sample["size"] // factor
        bits = np.unpackbits(sample["hole" + group], count=int(height * width))
        out["hole" + group] = bits.reshape(height, width).astype(bool)
    height, width = sample["size"]
    if "rim" in sample:
        rim = np.unpackbits(sample["rim"], count=int(height * width)).reshape(height, width).astype(bool)
        there = np.unpackbits(sample["rimmed"], axis=1, count=int(rim.sum())).astype(bool)
        out |= {"rim": rim, "rimmed": there}
    return out


def dense(sample: Sample, group: int, top: int, left: int, size: tuple[int, int], keep: np.ndarray) -> Sample:
    """A crop of one plane group.

    Args:
        top, left, size: in this group's samples; what lies beyond the sample repeats its border and is no hole.
        keep: (M,) which copies may be used.
    """
    g, (height, width) = str(group), size
    whole = sample["hole" + g]
    number = np.cumsum(whole.ravel(), dtype=np.int64).reshape(whole.shape) - 1
    box = np.s_[top : top + height, left : left + width]
    hole = np.zeros(size, bool)
    part = whole[box]
    hole[: part.shape[0], : part.shape[1]] = part
    index = number[box][part]
    image = sample["image" + g][box].astype(np.float32)
    image = np.pad(image, ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)), "edge")

    def put(values: np.ndarray, fill: float = 0.0) -> np.ndarray:
        out = np.full((*values.shape[:-1], *size), fill, np.float32)
        out[..., hole] = values
        return out

    values = sample["values" + g][:, index].astype(np.float32)
    logits = np.where(keep[:, None], sample["logits" + g][:, index].astype(np.float32), -np.inf)
    own = sample["own" + g][index].astype(np.float32)
    spatial = sample["spatial" + g][index].astype(np.float32)
    weights = np.concatenate([logits, own[None]])
    weights = np.exp(weights - weights.max(0))
    weights /= weights.sum(0)
    mixed = (weights[:-1, :, None] * values).sum(0) + weights[-1][:, None] * spatial
    image[hole] = mixed
    more = {}
    if group == 0:
        more = {"fills": put(sample["fills0"][:, index].astype(np.float32)), **_beside(sample, box, size, keep)}
    return {
        **more,
        "hole": hole[None].astype(np.float32),
        "image": np.moveaxis(image, 2, 0),
        "values": put(np.moveaxis(values, 2, 1)),
        "logits": put(logits, -np.inf),
        "spatial": put(spatial.T),
        "own": put(own[None]),
        "texture": put(sample["texture" + g][index].astype(np.float32)[None]),
        "truth": put(sample["truth" + g][index].astype(np.float32).T),
    }


def _beside(sample: Sample, box: tuple[slice, slice], size: tuple[int, int], keep: np.ndarray) -> Sample:
    """Luma of the copies beside the hole, (M, h, w), and 1 where there is one."""
    out = {key: np.zeros((NUM_COPIES, *size), np.float32) for key in ("rim", "rimmed")}
    if "rim" in sample:
        whole = sample["rim"]
        number = np.cumsum(whole.ravel(), dtype=np.int64).reshape(whole.shape) - 1
        part = whole[box]
        rows, columns = np.nonzero(part)
        index = number[box][part]
        out["rim"][:, rows, columns] = sample["beside"][:, index]
        out["rimmed"][:, rows, columns] = sample["rimmed"][:, index] * keep[:, None]
    return out


def place(rng: np.random.Generator | None, sample: Sample, size: tuple[int, int]) -> tuple[int, int]:
    """Even top and left of a crop that holds some of the hole; without `rng` one in the middle of it."""
    hole = sample["hole0"]
    if rng is None:
        rows, columns = np.nonzero(hole)
        y, x = int(rows.mean()), int(columns.mean())
        offset = (0.5, 0.5)
    else:
        where = np.flatnonzero(hole)
        y, x = divmod(int(where[int(rng.integers(len(where)))]), hole.shape[1])
        offset = (rng.uniform(0.15, 0.85), rng.uniform(0.15, 0.85))
    top = int(np.clip(y - offset[0] * size[0], 0, max(0, hole.shape[0] - size[0])))
    left = int(np.clip(x - offset[1] * size[1], 0, max(0, hole.shape[1] - size[1])))
    return top // 2 * 2, left // 2 * 2


def crop_of(sample: Sample, rng: np.random.Generator | None, size: tuple[int, int] = CROP) -> list[Sample]:
    """Both plane groups of a crop; with `rng` flipped, brightened, and short of some copies at random."""
    keep = np.ones(NUM_COPIES, bool)
    # What no frame shows is in the single frames: fills of a window know its copies.
    if rng is not None and rng.random() < 0.12:
        keep[[[0, 1], [2, 3]][int(rng.integers(2))]] = False
    top, left = place(rng, sample, size)
    groups = [dense(sample, 0, top, left, size, keep),
              dense(sample, 1, top // 2, left // 2, (size[0] // 2, size[1] // 2), keep)]  # fmt: skip
    if rng is None:
        return groups
    flips = rng.random(2) < 0.5
    backwards = rng.random() < 0.5
    gain, shift = 1.0, 0.0
    if rng.random() < 0.5:
        gain, shift = float(rng.uniform(0.75, 1.25)), float(rng.uniform(-15, 15))
    swap, invert = rng.random() < 0.4, rng.random() < 0.3
    for g, group in enumerate(groups):
        for key, array in group.items():
            if flips[0]:
                array = array[..., ::-1]
            if flips[1]:
                array = array[..., ::-1, :]
            if backwards and key in OF_COPIES:
                array = array[list(EXCHANGED)]
            if key in ("image", "values", "spatial", "truth", "fills", "rim"):
                if g == 0:
                    array = array * gain + shift
                else:
                    array = array[..., ::-1, :, :] if swap else array
                    array = (255 - array if invert else array) * gain + 128 * (1 - gain)
            group[key] = np.ascontiguousarray(array, np.float32)
    return groups


def batch_of(crops: list[list[Sample]], transpose: bool = False) -> Batch:
    """Crops of one size as tensors."""

    def stack(group: int, key: str) -> Tensor:
        out = torch.from_numpy(np.stack([crop[group][key] for crop in crops]))
        return out.transpose(-1, -2).contiguous() if transpose else out

    keys = ("values", "logits", "spatial", "own", "hole", "truth")
    values, logits, spatial, own, hole, truth = ([stack(g, key) for g in (0, 1)] for key in keys)
    chroma = F.interpolate(stack(1, "image"), scale_factor=2.0, mode="nearest")
    found = Found(
        hole[0],
        torch.cat([stack(0, "image"), chroma], 1),
        values[0][:, :, 0],
        logits[0],
        spatial[0],
        own[0],
        stack(0, "texture"),
        stack(0, "fills"),
        stack(0, "rim"),
        stack(0, "rimmed"),
    )
    return Batch(found, values, logits, spatial, own, hole, truth)


def apply(batch: Batch, logits: Tensor, residual: Tensor) -> list[Tensor]:
    """Luma and chroma (B, C, h, w) with the network's corrections, 0 outside the hole."""
    out = []
    for g, factor in ((0, 1), (1, 2)):
        own_logits, more = logits, residual[:, :1]
        if g == 1:
            # A chroma sample takes the mean of what its hidden luma pixels were told.
            share = F.avg_pool2d(batch.found.hole, factor).clamp(min=1e-6)
            own_logits, more = (F.avg_pool2d(x, factor) / share for x in (logits, residual[:, 1:]))
        weights = torch.softmax(torch.cat([batch.logits[g] + own_logits, batch.own[g]], 1), 1)
        mixed = (weights[:, :-1, None] * batch.values[g]).sum(1) + weights[:, -1:] * batch.spatial[g]
        out.append((mixed + more) * batch.hole[g])
    return out


_NOISE = 1.0  # levels: errors below this size are the coding's
_GRADIENT, _CHROMA, _WORSE = 0.25, 0.5, 1.0
_ALIKE = 2.0  # levels: candidates whose errors differ by less are about as good
_FAR_APART = 16.0  # levels; one bad candidate must not count for a hundred pixels


def loss_of(batch: Batch, output: list[Tensor], base: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Errors in the hole over those of the copy stage, crop by crop, so that easy and hard crops count alike."""

    def over(errors: list[Tensor], power: int) -> Tensor:
        luma, chroma = (e.abs().pow(power).sum((1, 2, 3)) for e in errors)
        return luma + _CHROMA * 2 * chroma

    errors = [out - truth for out, truth in zip(output, batch.truth, strict=True)]
    before = [out - truth for out, truth in zip(base, batch.truth, strict=True)]
    count = sum(hole.sum((1, 2, 3)) for hole in batch.hole)
    first = over(errors, 1) / (over(before, 1) + _NOISE * count)
    second = over(errors, 2) / (over(before, 2) + 4 * _NOISE * count)
    edges = _gradient(errors[0]) / (_gradient(before[0]) + _NOISE * count)
    worse = F.relu(second - 1)
    total = (first + 0.5 * second + _GRADIENT * edges + _WORSE * worse).mean()
    with torch.no_grad():
        terms = {"hole": float(first.mean()), "second": float(second.mean()), "edges": float(edges.mean()),
                 "worse": float((second > 1.02).float().mean()),
                 "base": float((over(before, 1) / (over(before, 1) + _NOISE * count)).mean())}  # fmt: skip
    return total, terms


def choice_loss(batch: Batch, logits: Tensor) -> Tensor:
    """How far the weights of luma are from those that the candidates' true errors ask for.

    The error of a mix tells a candidate of little weight next to nothing; this tells it as much as any other. Pixels
    count by how far the candidates' errors lie apart, for where all are alike there is nothing to choose.

    Args:
        batch: candidates and truth.
        logits: (B, M, h, w), the network's corrections.

    Returns:
        Mean Kullback-Leibler divergence, weighted.
    """
    candidates = torch.cat([batch.values[0][:, :, 0], batch.spatial[0]], 1)
    with_own = torch.cat([batch.logits[0] + logits, batch.own[0]], 1)
    there = torch.isfinite(with_own)
    errors = torch.where(there, (candidates - batch.truth[0]).abs(), torch.inf)
    wanted = torch.softmax(-errors / _ALIKE, 1)
    apart = torch.where(there, errors, 0.0).amax(1) - errors.amin(1)
    share = apart.clamp(max=_FAR_APART) * batch.hole[0][:, 0]
    given = torch.log_softmax(with_own, 1)
    # 0 log 0 = 0: what is not there is neither wanted nor given.
    divergence = torch.where(there, wanted * (wanted.clamp(min=1e-6).log() - given), 0.0).sum(1)
    return (share * divergence).sum() / share.sum().clamp(min=1.0)


def _gradient(error: Tensor) -> Tensor:
    across = (error[..., 1:] - error[..., :-1]).abs().sum((1, 2, 3))
    return across + (error[..., 1:, :] - error[..., :-1, :]).abs().sum((1, 2, 3))


def squared_error(batch: Batch, output: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Per crop: summed squared error in blue, green and red, chroma repeated as in the evaluation, and their number."""
    luma, chroma = (out - truth for out, truth in zip(output, batch.truth, strict=True))
    blue, red = F.interpolate(chroma, scale_factor=2.0, mode="nearest").split(1, 1)
    y = 1.164 * luma
    colours = torch.cat([y + 2.017 * blue, y - 0.392 * blue - 0.813 * red, y + 1.596 * red], 1) * batch.hole[0]
    return (colours**2).sum((1, 2, 3)), 3 * batch.hole[0].sum((1, 2, 3))
