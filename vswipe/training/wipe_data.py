"""What the copy stage finds under drawn marks, stored for training: candidates, truth and surroundings, frame by frame.

The engine itself runs over short windows of training clips, of photographs in slow motion and of cartoon scenes; what
it hands to the network is written to one file per window. A file holds a list of frames; a frame is a crop around its
hole (`Sample`).
"""

from __future__ import annotations

import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from vswipe import nets
from vswipe.engine.flowfill import FlowFill
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.region_view import RegionView
from vswipe.engine.settings import FLOW, Settings
from vswipe.engine.wipefill import Beside, Correction, Hidden
from vswipe.nets import weights
from vswipe.restore.fills import plain_fills
from vswipe.restore.onion import KNOWN

from .cartoon_scenes import cartoon_scene
from .clips import ClipFile, count_frames, find_clips
from .codec import Planes, compress, split_i420
from .composite import Composite, composite
from .overlays import draw_overlay
from .pictures import find_pictures

Sample = dict[str, np.ndarray]
FRAMES = 48  # of a window
PHOTO_SHARE, CARTOON_SHARE = 0.3, 0.12
CHUNKS = 3  # of a window that are worked on, 8 frames each; every second frame is kept: neighbours show the same
CONTEXT = 24  # px kept around a hole
KINDS = (("sub", 0.25), ("subnogap", 0.2), ("logo", 0.15), ("dyn", 0.4))
CODED_SHARE = 0.5
EXPOSURE_SHARE = 0.18  # of the windows fade, flash or strobe
SIZE = (480, 270)  # of windows cut from photographs
STILLS, STILL_FRAMES, STILL_REACH, STILL_PHOTO_SHARE, STILL_CARTOON_SHARE = 8, 4, 120, 0.6, 0.2
"""Single frames of a file of them, frames that each is coded with, frames of a clip that they are from, and the shares
of files that are of photographs and of cartoon scenes."""


def photo_window(
    rng: np.random.Generator, path: Path, num_frames: int = FRAMES, zoomed: tuple[float, float] = (1.15, 1.6)
) -> Planes:
    """A photograph under a slow, steady camera: pan, zoom and a little rotation, below a pixel to two per frame.

    Args:
        rng: chooses the camera.
        path: of the photograph.
        num_frames: of the window.
        zoomed: how far it is enlarged beyond covering the frame, from and to; near 1 it is sharp, but short at the rim.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    width, height = SIZE
    scale = max(width / image.shape[1], height / image.shape[0]) * rng.uniform(*zoomed)
    if scale < 1:  # cubic alone would alias
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        scale = 1.0
    centre = np.array([image.shape[1], image.shape[0]]) / 2
    pan = rng.normal(0, 0.7, 2) * (rng.random() < 0.8)
    zoom, turn = rng.normal(0, 0.0015), rng.normal(0, 0.0006)
    frames = []
    for t in np.arange(num_frames) - num_frames / 2:
        factor, angle = scale * np.exp(zoom * t), turn * t
        turned = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = np.array(SIZE) / 2 - turned @ centre + pan * t
        matrix = np.concatenate([turned, shift[:, None]], 1)
        frame = cv2.warpAffine(image, matrix, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).reshape(-1))
    return split_i420(np.stack(frames), width, height)


def clip_window(rng: np.random.Generator, clip: ClipFile, num_frames: int = FRAMES) -> tuple[Planes, Fraction]:
    """Frames from anywhere in a clip."""
    start = int(rng.integers(max(1, count_frames(clip) - num_frames + 1)))
    return clip.read(num_frames, start)


def change_exposure(rng: np.random.Generator, planes: Planes) -> Planes:
    """Fades, flashes and strobing light, over the whole picture or from a lamp that lights a part of it.

    Args:
        rng: chooses what happens.
        planes: Y'CbCr of 8 bits, (T, H, W) each; chroma of half the size.

    Returns:
        New planes.
    """
    length, height, width = planes[0].shape
    time_ = np.arange(length)
    kind = rng.choice(["fade", "flash", "strobe", "pump"])
    if kind == "fade":
        start, frames = rng.integers(length), rng.integers(8, 40)
        gain = 1 - rng.uniform(0.5, 1) * np.clip((time_ - start) / frames, 0, 1)
        gain = gain[::-1] if rng.random() < 0.5 else gain
    elif kind == "flash":
        gain = np.ones(length)
        for at in rng.integers(length, size=int(rng.integers(1, 5))):
            gain += rng.uniform(0.2, 1.2) * np.exp(-np.maximum(time_ - at, 0) / rng.uniform(0.5, 4)) * (time_ >= at)
    elif kind == "strobe":
        every = int(rng.integers(1, 6))
        steps = rng.uniform(0.25, 1.5, length // every + 1)
        gain = np.repeat(steps, every)[:length]
    else:
        gain = 1 + rng.uniform(0.1, 0.4) * np.sin(time_ / rng.uniform(2, 12) + rng.uniform(0, 6))
    where = np.ones((height, width))
    if rng.random() < 0.5:
        # Light falls off around a lamp that may stand outside of the picture.
        y, x = np.mgrid[:height, :width]
        centre = rng.uniform(-0.2, 1.2, 2) * (height, width)
        where = np.exp(-(((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (height * rng.uniform(0.3, 1)) ** 2))
    parts = []
    for plane, dark in zip(planes, (16, 128, 128), strict=True):
        light = cv2.resize(where, (plane.shape[2], plane.shape[1]), interpolation=cv2.INTER_AREA)
        factor = 1 + (gain[:, None, None] - 1) * light
        parts.append(to_bytes(dark + (plane.astype(np.float32) - dark) * factor))
    return tuple(parts)  # type: ignore[return-value]


class Recorder:
    """Takes the network's place in the engine: notes what it would see, and changes nothing.

    Args:
        truth: clean planes.
        wanted: which frames are noted.
    """

    def __init__(self, truth: Planes, wanted: Callable[[int], bool]) -> None:
        self.truth, self.wanted = truth, wanted
        self.samples: dict[tuple[int, int, int], Sample] = {}  # by frame and place; neighbouring chunks ask again
        self.wants_rim = True

    def correct(
        self, view: RegionView, n: int, side: int, groups: Sequence[Hidden], beside: Beside | None
    ) -> list[Correction]:
        """See `engine.wipefill.Fusion`."""
        if side != 1 or len(groups) != 2:
            raise ValueError(f"Recorder: clips must be 4:2:0 of at most 400 lines, got blocks of {side} pixels")
        if self.wanted(n):
            self.samples[n, view.rect.top, view.rect.left] = self._sample(view, n, groups, beside)
        return [Correction(torch.zeros_like(hidden.copies.logits), torch.zeros(hidden.spatial.shape))
                for hidden in groups]  # fmt: skip

    def _sample(self, view: RegionView, n: int, groups: Sequence[Hidden], beside: Beside | None) -> Sample:
        rows, columns = view.where(n, 0)
        top, left = (max(0, int(first.min()) // 2 * 2 - CONTEXT) for first in (rows, columns))
        bottom = min(view.rect.height, (int(rows.max()) // 2 + 1) * 2 + CONTEXT)
        right = min(view.rect.width, (int(columns.max()) // 2 + 1) * 2 + CONTEXT)
        sample: Sample = {"size": np.array([bottom - top, right - left], np.int32)}
        for g, hidden in enumerate(groups):
            planes, hole = view.groups[g], view.mask(n, g)
            assert hole is not None
            factor = planes.sub_x
            box = np.s_[top // factor : bottom // factor, left // factor : right // factor]
            rows, columns = view.where(n, g)
            # Where the region reaches over the frame its border goes on.
            height, width = self.truth[planes.indices[0]].shape[1:]
            row = np.minimum(rows + view.rect.top // factor, height - 1)
            column = np.minimum(columns + view.rect.left // factor, width - 1)
            sample |= {
                f"hole{g}": np.packbits(hole[box]),
                f"image{g}": to_bytes(view.levels(n, g)[box]),
                f"values{g}": to_bytes(hidden.copies.values[:, :, 0].numpy()),
                f"logits{g}": hidden.copies.logits.numpy().astype(np.float16),
                f"own{g}": hidden.own.astype(np.float16),
                f"texture{g}": hidden.texture.astype(np.float16),
                f"spatial{g}": to_bytes(hidden.spatial),
                f"truth{g}": np.stack([self.truth[p][n][row, column] for p in planes.indices], -1),
            }
        whole, luma = view.mask(n, 0), view.levels(n, 0)
        assert whole is not None
        mixed, copied = _mixed(groups[0])
        unknown = np.zeros(whole.shape, bool)
        luma[view.where(n, 0)] = mixed
        unknown[view.where(n, 0)] = copied < KNOWN
        box = np.s_[top:bottom, left:right]
        inside = whole[box].astype(bool)
        if beside is not None:
            rim = np.zeros(whole.shape, bool)
            rim[beside.rows, beside.columns] = True  # in reading order, as the blocks are
            sample |= {
                "rim": np.packbits(rim[box]),
                "beside": to_bytes(beside.rim.values[..., 0].numpy()),
                "rimmed": np.packbits(beside.rim.there.numpy(), axis=1),
            }
        sample["fills0"] = to_bytes(plain_fills(luma[box][..., 0], unknown[box])[:, inside])
        return sample


def _mixed(hidden: Hidden) -> tuple[np.ndarray, np.ndarray]:
    """What the copy stage makes of blocks of one pixel: (N, C) levels, and (N,) the share that was copied."""
    weights = torch.softmax(torch.cat([hidden.copies.logits, torch.from_numpy(hidden.own)[None]]), 0).numpy()
    values = (weights[:-1, :, None] * hidden.copies.values[:, :, 0].numpy()).sum(0)
    return values + weights[-1][:, None] * hidden.spatial, 1 - weights[-1]


def record(
    source: Planes, truth: Planes, mask: np.ndarray, rng: np.random.Generator, dilate: int = 1, every: int = 2
) -> list[Sample]:
    """Runs the copy stage and returns what it found for some frames of `CHUNKS` chunks.

    Args:
        source, truth: with and without the marks.
        mask: (T, H, W) uint8, 1 = drawn.
        rng: chooses the frames.
        dilate: pixels the mask is grown by.
        every: distance of these frames; neighbours show the same.
    """
    length, height, width = mask.shape
    pipeline = Pipeline(PictureFormat(width, height, "YUV", 8, False, 1, 1), length, Settings(dilate=dilate))
    frames = {n: Frame(n, tuple(plane[n] for plane in source), {}) for n in range(length)}
    masks = {n: mask[n] if mask[n].any() else None for n in range(length)}
    phase = int(rng.integers(every))
    pipeline.fusion = recorder = Recorder(truth, lambda n: n % every == phase)
    if length > 1 and weights.find(FLOW) is not None:  # the candidates that the network will be given
        pipeline.motion = FlowFill(nets.create(FLOW, "auto"), pipeline.device, False)
    starts = [n for n in range(0, length, pipeline.chunk) if mask[n : n + pipeline.chunk].any()]
    for first in sorted(rng.permutation(starts)[:CHUNKS].tolist()):
        pipeline.render(first, min(first + pipeline.chunk, length), frames, masks,
                        lambda n: tuple(plane[n].copy() for plane in source))  # fmt: skip
    return [recorder.samples[key] for key in sorted(recorder.samples)]  # threads take the frames in any order


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Drawn:
    """A window with marks: its name, what is seen, what lies under them, (T, H, W) where they are, and by how much the
    mask is grown."""

    name: str
    source: Planes
    truth: Planes
    mask: np.ndarray
    dilate: int


def draw_window(rng: np.random.Generator, index: int, clips: list[ClipFile], photos: list[Path]) -> Drawn:
    """Window number `index`. Every clip comes once before any comes twice."""
    kind = _kind(rng)
    of = rng.random()
    if of < PHOTO_SHARE:
        path = photos[int(rng.integers(len(photos)))]
        name, truth, fps = path.stem, photo_window(rng, path), Fraction(25)
    elif of < PHOTO_SHARE + CARTOON_SHARE:
        name, truth, fps = _cartoon_name(index), cartoon_scene(rng, FRAMES, SIZE), Fraction(25)
    else:
        order = np.random.default_rng([12, index // len(clips)]).permutation(len(clips))
        clip = clips[order[index % len(clips)]]
        name = clip.name
        truth, fps = clip_window(rng, clip)
    if rng.random() < EXPOSURE_SHARE:
        truth = change_exposure(rng, truth)
    drawn = _marked(rng, kind, truth)
    source = drawn.planes
    if rng.random() < CODED_SHARE:
        source = compress(source, "h264", int(rng.integers(16, 27)), fps, "veryfast")
    return Drawn(f"{kind}_{name}", source, truth, drawn.mask, _dilate(rng))


def _cartoon_name(index: int) -> str:
    """Scenes share names as clips share families, so that a tenth of them is held out."""
    return f"cartoon-scene-{chr(ord('a') + index % 26)}"


def _kind(rng: np.random.Generator) -> str:
    return str(rng.choice([k for k, _ in KINDS], p=[p for _, p in KINDS]))


def _marked(rng: np.random.Generator, kind: str, truth: Planes) -> Composite:
    length, height, width = truth[0].shape
    return composite(truth, draw_overlay(kind, rng, width, height, length))


def _dilate(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.7 else 2


def make(index: int, clips: list[ClipFile], photos: list[Path]) -> tuple[str, list[Sample]]:
    """Window number `index`: its name and samples."""
    rng = np.random.default_rng([11, index])
    window = draw_window(rng, index, clips, photos)
    return window.name, record(window.source, window.truth, window.mask, rng, window.dilate)


def make_stills(index: int, clips: list[ClipFile], photos: list[Path]) -> tuple[str, list[Sample]]:
    """File number `index` of single frames, of one clip or photograph, each under marks of its own.

    The engine sees one frame alone and finds no copy. What no frame shows is so learned from more pictures than windows
    can be made of in the same time: there are three times as many photographs as clips.
    """
    rng = np.random.default_rng([15, index])
    of = rng.random()
    if of < STILL_PHOTO_SHARE:
        path, fps = photos[index % len(photos)], Fraction(25)
        name = path.stem
        views = [photo_window(rng, path, STILL_FRAMES, (1.02, 1.5)) for _ in range(STILLS)]
    elif of < STILL_PHOTO_SHARE + STILL_CARTOON_SHARE:
        name, fps = _cartoon_name(index), Fraction(25)
        views = [cartoon_scene(rng, STILL_FRAMES, SIZE) for _ in range(STILLS)]
    else:
        clip = clips[index % len(clips)]
        name = clip.name
        whole, fps = clip_window(rng, clip, STILL_REACH)
        starts = rng.integers(max(1, len(whole[0]) - STILL_FRAMES + 1), size=STILLS)
        views = [tuple(plane[at : at + STILL_FRAMES] for plane in whole) for at in starts]  # type: ignore[misc]
    drawn = [_marked(rng, _kind(rng), view) for view in views]
    y, u, v = (np.concatenate(planes) for planes in zip(*(part.planes for part in drawn), strict=True))
    if rng.random() < CODED_SHARE:
        y, u, v = compress((y, u, v), "h264", int(rng.integers(16, 27)), fps, "veryfast")
    samples: list[Sample] = []
    end = 0
    for view, part in zip(views, drawn, strict=True):
        end += len(part.mask)
        if part.mask[-1].any():  # blinking marks may be away
            one, clean = np.s_[end - 1 : end], (view[0][-1:], view[1][-1:], view[2][-1:])
            samples += record((y[one], u[one], v[one]), clean, part.mask[-1:], rng, _dilate(rng), every=1)
    return f"still_{name}", samples


def save(path: Path, samples: list[Sample]) -> None:
    """One file; a reader never sees half of it."""
    arrays = {f"{i}/{key}": value for i, sample in enumerate(samples) for key, value in sample.items()}
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    part.rename(path)


def load(path: Path) -> list[Sample]:
    """The samples of a file."""
    out: dict[int, Sample] = {}
    try:
        with np.load(path) as arrays:
            for key in arrays.files:
                number, _, name = key.partition("/")
                out.setdefault(int(number), {})[name] = arrays[key]
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ValueError(f"load: {path.name} must be a file of wipe_data, got {error}") from None
    return [out[i] for i in sorted(out)]


Make = Callable[[int, list[ClipFile], list[Path]], tuple[str, list[Sample]]]


def make_many(folder: Path, minutes: float, first: int = 0, make: Make = make) -> None:
    """Make windows of the training part, from number `first` on, until the time is spent."""
    clips, photos = find_clips("train"), find_pictures("train")
    if not clips or not photos:
        raise ValueError("wipe_data: no training footage; set VSWIPE_DATA to the folder that holds clips/ and images/")
    folder.mkdir(parents=True, exist_ok=True)
    began, index = time.monotonic(), first
    while time.monotonic() - began < 60 * minutes:
        if not any(folder.glob(f"{index:05d}_*.npz")):
            name, samples = make(index, clips, photos)
            save(folder / f"{index:05d}_{name}.npz", samples)
            print(f"{index:05d} {name}: {len(samples)} samples", file=sys.stderr, flush=True)
        index += 1


def noise_window(index: int) -> Drawn:
    """A few frames of drifting noise with a bar across."""
    rng = np.random.default_rng([13, index])
    still = cv2.resize(rng.uniform(40, 180, (16, 20)).astype(np.float32), (112, 88), interpolation=cv2.INTER_CUBIC)
    luma = np.stack([to_bytes(still[t : t + 80, t : t + 104]) for t in range(8)])
    chroma = np.full((8, 40, 52), 128, np.uint8)
    mask = np.zeros(luma.shape, np.uint8)
    for t in range(8):
        mask[t, 36:44, 20 + 4 * t : 40 + 4 * t : 6] = 1
    source = (np.where(mask > 0, 235, luma).astype(np.uint8), chroma, chroma)
    return Drawn("noise", source, (luma, chroma, chroma.copy()), mask, 1)


def make_noise(folder: Path, windows: int = 4) -> None:
    """Windows of drifting noise with a bar across: for smoke runs and tests."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(windows):
        window = noise_window(index)
        samples = record(window.source, window.truth, window.mask, np.random.default_rng([13, index, 1]))
        # The last one is of a name that is held out.
        name = "noise-d" if index == windows - 1 else "noise"
        save(folder / f"{index:05d}_sub_{name}.npz", samples)
