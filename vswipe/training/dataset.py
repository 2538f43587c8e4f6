"""Training windows: a few crops of one clip, what hides them, and the base fill; batches of them as tensors.

clean -> mark drawn over it -> coded -> hole cut out, filled by diffusion (`restore.spatial.fill`). The target is the
clean picture. Filling costs as much as a step of a small network, so a pool shows every window a few times, flipped,
turned and dimmed differently each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from vswipe.ops.flow import dense_flow, round_trip_error
from vswipe.restore.spatial import fill

from .degrade import degrade
from .footage import Footage
from .holes import KIND_SHARES, KINDS, MarkBank, draw_foreground, lay_over

STRIDES = (1, 1, 1, 2, 3, 5, 8)
"""Frames between neighbours of a window: close ones as neighbours, far ones as reference frames."""

_PICTURE_SHARE = 0.25
_PER_CLIP = 6  # windows from one decoding


@dataclass(frozen=True, eq=False)
class Window:
    """A training window; pictures are uint8, blue, green, red.

    Args:
        clean: (T, S, S, 3), the target.
        drawn: (T, S, S, 3), with the mark and coded: what a user has.
        mask: (T, S, S), 0/1, 1 = hole.
        base: (T, S, S, 3), drawn, its hole filled by diffusion.
        flow: (T-1, S, S, 2) float16, of the clean frames, from t to t+1.
        reliable: (T-1, S, S), 0/1: flow there and back agrees within a pixel; 0 all over where the stride is above 2.
        kind: of the hole.
        stride: frames between neighbours.
    """

    clean: np.ndarray
    drawn: np.ndarray
    mask: np.ndarray
    base: np.ndarray
    flow: np.ndarray
    reliable: np.ndarray
    kind: str
    stride: int


@dataclass(frozen=True)
class WindowShape:
    """How windows are cut.

    Args:
        size: pixels per side.
        num_frames: T.
        kinds: of `holes.KINDS`, drawn with `shares`.
        shares: sums to 1.
        coded: share of the windows whose composite is coded.
        flow: whether flow is computed (the temporal loss needs it).
    """

    size: int = 112
    num_frames: int = 4
    kinds: tuple[str, ...] = KINDS
    shares: tuple[float, ...] = KIND_SHARES
    coded: float = 0.7
    flow: bool = True


def base_fill(drawn: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 with their holes filled by diffusion, each alone."""
    out = drawn.copy()
    for t in range(len(drawn)):
        if mask[t].any():
            filled = fill(drawn[t].astype(np.float32), mask[t])
            out[t] = np.clip(np.rint(filled), 0, 255).astype(np.uint8)
    return out


def motion(clean: np.ndarray, stride: int, wanted: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Flow (T-1, S, S, 2) float16 and where it is reliable (T-1, S, S) uint8; zeros where it is not wanted."""
    num_pairs, height, width = len(clean) - 1, *clean.shape[1:3]
    flow = np.zeros((num_pairs, height, width, 2), np.float16)
    reliable = np.zeros((num_pairs, height, width), np.uint8)
    if wanted and stride <= 2:
        grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in clean]
        for t in range(num_pairs):
            forth, back = dense_flow(grey[t], grey[t + 1]), dense_flow(grey[t + 1], grey[t])
            flow[t] = forth
            reliable[t] = round_trip_error(forth, back) <= 1.0
    return flow, reliable


def make_window(rng: np.random.Generator, frames: np.ndarray, stride: int, bank: MarkBank,
                shape: WindowShape, kind: str | None = None) -> Window:  # fmt: skip
    """A window from clean crops (T, S, S, 3): draws, codes, masks and fills."""
    kind = kind or str(rng.choice(shape.kinds, p=shape.shares))
    front = draw_foreground(rng, bank, kind, shape.size, len(frames), stride)
    drawn = lay_over(frames, front.pixels)
    if rng.random() < shape.coded:
        drawn = degrade(rng, drawn)
    flow, reliable = motion(frames, stride, shape.flow)
    return Window(frames, drawn, front.mask, base_fill(drawn, front.mask), flow, reliable, kind, stride)


def crop_clip(rng: np.random.Generator, clip: np.ndarray, shape: WindowShape) -> tuple[np.ndarray, int]:
    """Crops (T, S, S, 3) of a clip and their stride: the more textured of two places, at times of a smaller picture."""
    num_frames, height, width = clip.shape[:3]
    need = shape.num_frames
    stride = min(int(rng.choice(STRIDES)), max(1, (num_frames - 1) // max(1, need - 1)))
    start = int(rng.integers(max(1, num_frames - stride * (need - 1))))
    frames = clip[[min(start + stride * t, num_frames - 1) for t in range(need)]]
    scale = max(shape.size / min(height, width), float(rng.choice([1.0, rng.uniform(0.6, 1.0)])))
    if scale != 1.0:
        size = (max(shape.size, round(width * scale)), max(shape.size, round(height * scale)))
        frames = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
        height, width = frames.shape[1:3]
    best, energy = frames[:, : shape.size, : shape.size], -1.0
    for _ in range(2):
        y, x = (int(rng.integers(side - shape.size + 1)) for side in (height, width))
        crop = frames[:, y : y + shape.size, x : x + shape.size]
        found = float(np.abs(np.diff(crop[0].astype(np.int16), axis=1)).mean())
        if found > energy:
            best, energy = crop, found
    return np.ascontiguousarray(best), stride


def pan_picture(rng: np.random.Generator, picture: np.ndarray, shape: WindowShape) -> tuple[np.ndarray, int]:
    """Crops (T, S, S, 3) of a camera that glides over a photograph, and stride 1; half of the time it stands still."""
    size, still = shape.size, rng.random() < 0.5
    height, width = picture.shape[:2]
    zoom = max(1.02 * size / min(height, width), float(rng.uniform(0.6, 1.0)))
    if zoom < 1.0:  # the warp below samples two pixels across: shrink with an average first
        picture = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        height, width = picture.shape[:2]
        zoom = 1.0
    room = np.array([width * zoom - size, height * zoom - size])
    at = rng.uniform(0, np.maximum(room, 1))
    speed = np.zeros(2) if still else rng.normal(0, 1.5, 2)
    growth = 0.0 if still else float(rng.normal(0, 0.004))
    if still:
        at = np.floor(at)  # whole pixels: no blur from sampling
    frames = []
    for t in range(shape.num_frames):
        z = zoom * (1 + growth * t)
        x, y = at + speed * t
        matrix = np.array([[z, 0, -x], [0, z, -y]], np.float32)
        frames.append(cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101))
    return np.stack(frames), 1


class WindowStream(IterableDataset[Window]):
    """Windows without end.

    Args:
        footage: of the training part.
        shape: of the windows.
        seed: each worker of a loader adds its number.
    """

    def __init__(self, footage: Footage, shape: WindowShape, seed: int = 0) -> None:
        self.footage, self.shape, self.seed = footage, shape, seed

    def __iter__(self) -> Iterator[Window]:
        worker = torch.utils.data.get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        bank = self.footage.bank(rng)
        share = _PICTURE_SHARE if self.footage.num_pictures else 0.0
        if not self.footage.num_clips:
            share = 1.0
        while True:
            if rng.random() < share * 2.0 / (1.0 + share):  # a picture gives fewer windows per visit
                picture = self.footage.picture(int(rng.integers(self.footage.num_pictures)))
                for _ in range(_PER_CLIP // 2):
                    yield make_window(rng, *pan_picture(rng, picture, self.shape), bank, self.shape)
            else:
                clip = self.footage.clip(int(rng.integers(self.footage.num_clips)))
                for _ in range(_PER_CLIP):
                    yield make_window(rng, *crop_clip(rng, clip, self.shape), bank, self.shape)


class WindowPool:
    """Batches from a pool in which every window is shown `reuse` times and then gives way to a new one.

    Args:
        windows: where new ones come from.
        size: windows kept.
        reuse: how often each is shown.
        rng: chooses, flips, turns and dims.
    """

    def __init__(self, windows: Iterable[Window], size: int, reuse: int, rng: np.random.Generator) -> None:
        self.source, self.reuse, self.rng = iter(windows), reuse, rng
        self.windows = [next(self.source) for _ in range(size)]
        self.shown = [0] * size
        self.seen = size

    def batch(self, count: int) -> dict[str, Tensor]:
        """`count` windows as tensors, see `collate`."""
        chosen = self.rng.choice(len(self.windows), count, replace=count > len(self.windows))
        out = collate([self.windows[i] for i in chosen], self.rng)
        for i in chosen:
            self.shown[i] += 1
            if self.shown[i] >= self.reuse:
                self.windows[i], self.shown[i] = next(self.source), 0
                self.seen += 1
        return out


class BatchStream(IterableDataset[dict[str, Tensor]]):
    """Batches without end, from a pool of its own in every worker of a loader.

    Args:
        windows: where they come from.
        pool, reuse: see `WindowPool`; the pool is shared among the workers.
        batch: windows in a batch.
        seed: each worker draws its own.

    A batch holds, beside what `collate` gives, "seen": () int64, different windows that this worker has shown so far,
    and "worker": (), its number.
    """

    def __init__(self, windows: WindowStream, pool: int, reuse: int, batch: int, seed: int) -> None:
        self.windows, self.pool, self.reuse, self.count, self.seed = windows, pool, reuse, batch, seed

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        rng = np.random.default_rng((self.seed, number, 1))
        pool = WindowPool(self.windows, max(self.count, self.pool // count), self.reuse, rng)
        while True:
            batch = pool.batch(self.count)
            yield batch | {"seen": torch.tensor(pool.seen), "worker": torch.tensor(number)}


def open_batches(stream: BatchStream, workers: int) -> Iterator[dict[str, Tensor]]:
    """Batches made here (0 workers) or in processes beside: turning them takes as long as a GPU's step."""
    if workers == 0:
        return iter(stream)
    return iter(DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=4, in_order=False))


def collate(windows: list[Window], rng: np.random.Generator | None = None) -> dict[str, Tensor]:
    """Windows as tensors, red first, 0..1.

    Args:
        windows: of one shape.
        rng: flips, turns and dims each window where given; as they are without.

    Returns:
        truth, drawn, base and source (drawn with the base in its holes), (B, T, 3, S, S); mask (B, T, 1, S, S); flow
        (B, T-1, 2, S, S); reliable (B, T-1, 1, S, S). All float32.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for window in windows:
        for name, array in _arrays(window, rng).items():
            parts.setdefault(name, []).append(array)
    out = {name: torch.from_numpy(np.stack(arrays)) for name, arrays in parts.items()}
    out["source"] = torch.where(out["mask"] > 0, out["base"], out["drawn"])
    return out


def _arrays(window: Window, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """Channel-first float32 arrays of one window, turned as the generator says."""
    flips = rng.random(3) < 0.5 if rng is not None else np.zeros(3, bool)
    # Darker only: brighter would clip, and the fill of a clipped picture is not the clipped fill.
    gain = float(rng.uniform(0.7, 1.0)) if rng is not None and rng.random() < 0.3 else 1.0
    out = {}
    pictures = {"truth": window.clean, "drawn": window.drawn, "base": window.base}
    for name, picture in pictures.items():
        out[name] = picture[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) * (gain / 255)
    out["mask"] = window.mask[:, None].astype(np.float32)
    out["reliable"] = window.reliable[:, None].astype(np.float32)
    out["flow"] = window.flow.transpose(0, 3, 1, 2).astype(np.float32)
    for name, array in out.items():
        if flips[0]:
            array = array[..., ::-1]
        if flips[1]:
            array = array[..., ::-1, :]
        if flips[2]:
            array = array.swapaxes(-1, -2)
        out[name] = np.ascontiguousarray(array)
    signs = np.where(flips[:2], -1.0, 1.0).astype(np.float32)[:, None, None]
    flow = out["flow"] * signs
    out["flow"] = np.ascontiguousarray(flow[:, ::-1]) if flips[2] else flow
    return out
