"""Programmes for measuring the detectors of static marks: clean clips cut together, and marks to draw on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from .clips import ClipFile, count_frames, find_clips, one_per_family
from .codec import Planes, compress
from .composite import Mark, Overlay, Placement
from .marks import corner, draw_mark
from .overlays import overlay_rng
from .pictures import find_pictures

WIDTH, HEIGHT = 640, 360
STILL_PICTURES, BARRED, STILL_FRAMES = 24, 10, 48
LONG_SHOTS, SHOT_FRAMES = 4, 90
FADE_FRAMES, ABSENT_FRAMES = 15, 20


def cover(planes: Planes) -> Planes:
    """Frames enlarged or reduced until they cover 640x360, their middle cut out."""
    height, width = planes[0].shape[1:]
    scale = max(WIDTH / width, HEIGHT / height)
    out = []
    for plane in planes:
        factor = width // plane.shape[2]
        size = (WIDTH // factor, HEIGHT // factor)
        large = (max(round(plane.shape[2] * scale), size[0]), max(round(plane.shape[1] * scale), size[1]))
        left, top = (large[0] - size[0]) // 2, (large[1] - size[1]) // 2
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        frames = [cv2.resize(frame, large, interpolation=how) for frame in plane]
        out.append(np.stack([frame[top : top + size[1], left : left + size[0]] for frame in frames]))
    return tuple(out)  # type: ignore[return-value]


def programme(clips: Sequence[ClipFile], frames: int) -> Planes:
    """So many frames of each clip, one after the other."""
    parts = [cover(clip.read(frames, start=max(0, min(5, count_frames(clip) - frames)))[0]) for clip in clips]
    return tuple(np.concatenate([part[p] for part in parts]) for p in range(3))  # type: ignore[return-value]


def programmes(part: str) -> dict[str, Planes]:
    """By name: many short scenes, one per family, few long ones."""
    clips = find_clips(part)
    families = [clip for clip in one_per_family(clips) if count_frames(clip) >= 16]
    many = [clips[int(i)] for i in np.linspace(0, len(clips) - 1, min(56, len(clips)))]
    long = [clip for clip in families if count_frames(clip) >= 48]
    few = [long[int(i)] for i in np.linspace(0, len(long) - 1, 12)]
    return {"many": programme(many, 8), "families": programme(families[:26], 16), "few": programme(few, 36),
            "others": programme(families[11:31], 20)}  # fmt: skip


def long_shots(part: str) -> dict[str, Planes]:
    """By name: the single shots, one per family, whose pictures change most within 8 frames."""
    found = []
    for clip in one_per_family(clip for clip in find_clips(part) if count_frames(clip) >= SHOT_FRAMES):
        planes = clip.read()[0]
        small = np.stack([cv2.resize(frame, (64, 36), interpolation=cv2.INTER_AREA) for frame in planes[0]])
        found.append((float(np.abs(small[8:].astype(np.int16) - small[:-8]).mean()), clip.name, planes))
    found.sort(key=lambda shot: -shot[0])
    return {name: cover(planes) for _, name, planes in found[:LONG_SHOTS]}


# name: (opacity of the body, colour or None for drawn at random, blur in pixels, share of the picture)
TRANSLUCENT: dict[str, tuple[float, tuple[float, float, float] | None, float, float]] = {
    "white .25": (0.25, (1.0, 1.0, 1.0), 0.0, 0.015),
    "white .4": (0.4, (1.0, 1.0, 1.0), 0.0, 0.02),
    "grey .4": (0.4, (0.5, 0.5, 0.5), 0.0, 0.015),
    "colour .5": (0.5, None, 0.0, 0.015),
    "soft .4": (0.4, (1.0, 1.0, 1.0), 2.0, 0.02),
    "white .6": (0.6, (0.95, 0.95, 0.95), 0.7, 0.01),
}


def draw_translucent(name: str, seed: str) -> Mark:
    """One of `TRANSLUCENT`, its shape by the seed."""
    alpha, colour, blur, share = TRANSLUCENT[name]
    pixels = draw_mark(overlay_rng(seed, name), WIDTH, HEIGHT, area=(share, share)).pixels
    if blur:
        pad = int(3 * blur) + 1
        pixels = cv2.GaussianBlur(np.pad(pixels, ((pad, pad), (pad, pad), (0, 0))), (0, 0), blur)
    if colour is not None:
        pixels = np.dstack([pixels[..., 3:] * np.array(colour, np.float32), pixels[..., 3]])
    return Mark((pixels * np.float32(alpha)).astype(np.float32))


def draw_opaque(seed: str, number: int) -> Mark:
    """An opaque mark: shape, size and colours by the seed."""
    return draw_mark(overlay_rng(seed, "opaque", str(number)), WIDTH, HEIGHT)


def overlay_of(mark: Mark, seed: str, length: int, strengths: np.ndarray | None = None,
               which: int | None = None) -> Overlay:  # fmt: skip
    """The mark in a corner.

    Args:
        mark: what is drawn.
        seed: of its place.
        length: frames.
        strengths: (length,), by which its opacity is multiplied; 1 unless told.
        which: the corner, see `corner`.
    """
    x, y = corner(overlay_rng(seed, "corner"), mark, WIDTH, HEIGHT, which)
    shown = np.ones(length) if strengths is None else strengths
    return Overlay(WIDTH, HEIGHT, (mark,), tuple((Placement(0, x, y, float(s)),) if s > 0 else () for s in shown))


def fades(length: int) -> np.ndarray:
    """Strengths (length,) of a mark that fades out and in again, every quarter of the clip."""
    out = np.ones(length)
    down = 1 - (np.arange(FADE_FRAMES) + 1) / (FADE_FRAMES + 1)
    once = np.concatenate([down, np.zeros(ABSENT_FRAMES), down[::-1]])
    for k in range(4):
        start = (2 * k + 1) * length // 8 - len(once) // 2
        out[start : start + len(once)] = once
    return out


def unmarked(part: str, crf: int) -> Iterator[tuple[str, str, Planes]]:
    """Kind, name and frames of what must not be changed."""
    clips = [clip for clip in find_clips(part) if count_frames(clip) >= 20]
    if part == "train":
        clips = clips[::3]
    for clip in clips:
        yield "clip", clip.name, clip.read(120)[0]
    for clip in clips[:: max(1, len(clips) // BARRED)][:BARRED]:
        y, u, v = (plane.copy() for plane in clip.read(120)[0])
        rows = y.shape[1] // 8 // 2 * 2
        for plane, value, edge in ((y, 16, rows), (u, 128, rows // 2), (v, 128, rows // 2)):
            plane[:, :edge] = value
            plane[:, -edge:] = value
        yield "barred", clip.name, compress((y, u, v), "h264", crf)
    pictures = find_pictures("validation" if part == "validation" else "train")
    for path in pictures[:: max(1, len(pictures) // STILL_PICTURES)][:STILL_PICTURES]:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        packed = cv2.cvtColor(np.ascontiguousarray(picture[:height, :width]), cv2.COLOR_BGR2YUV_I420)
        y = packed[:height]
        u, v = packed[height:].reshape(2, height // 2, width // 2)
        rng = overlay_rng(path.stem)
        noisy = [y[None] + rng.normal(0, 2, (STILL_FRAMES, *y.shape))]
        still = (np.clip(np.rint(noisy[0]), 0, 255).astype(np.uint8),
                 *(np.repeat(plane[None], STILL_FRAMES, 0) for plane in (u, v)))  # fmt: skip
        yield "photograph", path.stem, compress(still, "h264", crf)
