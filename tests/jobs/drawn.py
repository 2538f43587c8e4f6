"""Small drawn films whose clean frames are known, for the real filters: lossless files, chroma included."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vswipe.jobs.process import find_ffmpeg

Planes = list[np.ndarray]  # Y, Cb, Cr of one frame, uint8, 4:2:0


def film(path: Path, frames: Sequence[Planes]) -> Path:
    """Write frames as FFV1."""
    height, width = frames[0][0].shape
    command = [find_ffmpeg(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
    command += ["-r", "25", "-i", "-", "-c:v", "ffv1", "-g", "1", str(path)]
    subprocess.run(command, input=b"".join(p.tobytes() for frame in frames for p in frame), check=True)
    return path


def frames_of(path: Path) -> list[Planes]:
    """All frames of a 4:2:0 file."""
    import vapoursynth as vs

    clip = vs.core.bs.VideoSource(str(path), cachemode=0)
    return [[np.array(frame[p]) for p in range(clip.format.num_planes)] for frame in clip.frames()]


def halved(plane: np.ndarray) -> np.ndarray:
    return cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)


def coloured(luma: np.ndarray) -> Planes:
    """A picture in grays, with chroma that follows the luma."""
    small = halved(luma).astype(np.float32)
    return [np.rint(plane).astype(np.uint8) for plane in (luma, 128 + (small - 128) / 6, 128 - (small - 128) / 8)]


def over(frame: Planes, opacity: np.ndarray, colour: tuple[int, int, int]) -> Planes:
    """A frame with something of one colour laid over it; opacity (H, W) 0..1."""
    out = []
    for p, plane in enumerate(frame):
        alpha = opacity if p == 0 else halved(opacity)
        out.append(np.rint((1 - alpha) * plane + alpha * colour[p]).astype(np.uint8))
    return out


def noise(seed: int, width: int, height: int, size: float, low: float = 30, high: float = 200) -> np.ndarray:
    """A soft random picture, (height, width) float32."""
    rough = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width)).astype(np.float32), (0, 0), size)
    return cv2.normalize(rough, None, low, high, cv2.NORM_MINMAX)


def pan(length: int, width: int, height: int, speed: int = 3) -> list[Planes]:
    """One texture that travels."""
    ground = noise(0, width + speed * length, height, 2.5)
    return [coloured(ground[:, speed * n : speed * n + width]) for n in range(length)]


def programme(scenes: int, each: int, width: int, height: int) -> list[Planes]:
    """Many scenes, each a picture that travels."""
    out = []
    for k in range(scenes):
        random = np.random.default_rng(k)
        low = float(random.uniform(20, 60))
        ground = noise(k, width + 3 * each, height, float(random.uniform(4, 12)), low, low + random.uniform(80, 160))
        out += [coloured(ground[:, 3 * n : 3 * n + width]) for n in range(each)]
    return out


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask (H, W) bool, larger by so many pixels."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


def error_inside(a: Planes, b: Planes, where: np.ndarray) -> float:
    """Root of the mean squared difference of luma, levels."""
    return float(np.sqrt(((a[0].astype(np.float64) - b[0])[where] ** 2).mean()))


def equal_outside(a: Planes, b: Planes, where: np.ndarray) -> bool:
    """Whether every sample of every plane is the same outside of `where`; chroma samples that touch it do not count."""
    small = cv2.resize(where.astype(np.uint8), (where.shape[1] // 2, where.shape[0] // 2), interpolation=cv2.INTER_AREA)
    masks = (where, grown(small > 0, 1), grown(small > 0, 1))
    return all(np.array_equal(x[~mask], y[~mask]) for x, y, mask in zip(a, b, masks, strict=True))
