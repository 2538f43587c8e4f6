"""Where training windows are cut from: the data folder, one packed file, or noise where there is neither."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from .clips import ClipFile, find_clips
from .composite import Mark
from .holes import MarkBank, can_draw
from .pictures import find_pictures

SEGMENT = 48
"""Frames of a clip that are used: windows reach over at most 40."""


class Footage(Protocol):
    """Clips and pictures of one part of the split. Frames are uint8, blue, green, red."""

    @property
    def num_clips(self) -> int: ...

    @property
    def num_pictures(self) -> int: ...

    def clip(self, index: int) -> np.ndarray:
        """(T, H, W, 3), T at most `SEGMENT`."""

    def picture(self, index: int) -> np.ndarray:
        """(H, W, 3)."""

    def bank(self, rng: np.random.Generator) -> MarkBank:
        """Marks to draw."""


def read_video(path: Path, num_frames: int, start: int = 0) -> np.ndarray:
    """Frames (T, H, W, 3) of a video file through OpenCV.

    Raises:
        ValueError: not one frame could be read.
    """
    capture = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    try:
        while len(frames) < num_frames:
            if start > 0:
                if not capture.grab():
                    break
                start -= 1
                continue
            known, frame = capture.read()
            if not known:
                break
            frames.append(frame)
    finally:
        capture.release()
    if not frames:
        raise ValueError(f"read_video: {path.name} must hold a frame from {start} on, got none")
    return np.stack(frames)


class FolderFootage:
    """The clips and photographs of the data folder.

    Args:
        part: "train" or "validation".
        folder: `clips.data_folder()` unless told.

    Raises:
        ValueError: another part.
    """

    def __init__(self, part: str, folder: Path | None = None) -> None:
        self.clips: Sequence[ClipFile] = find_clips(part, folder)
        self.pictures = find_pictures(part, folder)

    @property
    def num_clips(self) -> int:
        return len(self.clips)

    @property
    def num_pictures(self) -> int:
        return len(self.pictures)

    def clip(self, index: int) -> np.ndarray:
        return read_video(self.clips[index].path, SEGMENT)

    def picture(self, index: int) -> np.ndarray:
        return cv2.imread(str(self.pictures[index]), cv2.IMREAD_COLOR)

    def bank(self, rng: np.random.Generator) -> MarkBank:
        return MarkBank.drawn(rng)


class PackFootage:
    """What `scripts/pack_clips.py` wrote: a zip file with an `index.json`, needing neither ffmpeg nor Pillow.

    Args:
        path: the file.
        part: "train" or "validation"; nothing of the other part is read.

    Raises:
        ValueError: not such a file.
    """

    def __init__(self, path: Path, part: str) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                index = json.loads(archive.read("index.json"))
            clips, pictures, self.marks = (index[name] for name in ("clips", "pictures", "marks"))
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise ValueError(f"PackFootage: {path.name} must be a file of scripts/pack_clips.py: {error}") from None
        self.clips = [entry for entry in clips if entry["part"] == part]
        self.pictures = [entry for entry in pictures if entry["part"] == part]
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def num_clips(self) -> int:
        return len(self.clips)

    @property
    def num_pictures(self) -> int:
        return len(self.pictures)

    def _bytes(self, name: str) -> bytes:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    def clip(self, index: int) -> np.ndarray:
        # OpenCV reads video from files only.
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="vswipe-pack-")
        name = self.clips[index]["file"]
        file = Path(self._folder.name) / Path(name).name
        if not file.is_file():
            file.write_bytes(self._bytes(name))
        return read_video(file, SEGMENT)

    def picture(self, index: int) -> np.ndarray:
        data = np.frombuffer(self._bytes(self.pictures[index]["file"]), np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    def bank(self, rng: np.random.Generator) -> MarkBank:
        found: dict[str, list[Mark]] = {"text": [], "logo": []}
        for entry in self.marks:
            data = np.frombuffer(self._bytes(entry["file"]), np.uint8)
            found[entry["kind"]].append(Mark(decode_mark(data)))
        return MarkBank(found["text"], found["logo"], fresh=0.1)


def encode_mark(mark: Mark) -> bytes:
    """A mark as PNG: blue, green, red (multiplied by opacity) and opacity, 8 bit."""
    levels = np.clip(np.rint(mark.pixels[..., [2, 1, 0, 3]] * 255), 0, 255).astype(np.uint8)
    return cv2.imencode(".png", levels)[1].tobytes()


def decode_mark(data: np.ndarray) -> np.ndarray:
    """Pixels (h, w, 4) float32, red first, of `encode_mark`'s bytes."""
    levels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return levels[..., [2, 1, 0, 3]].astype(np.float32) / 255


class NoiseFootage:
    """Drifting coloured noise: for smoke runs and tests, where there is no footage.

    Args:
        seed: of everything.
        side: of the pictures, pixels.
    """

    num_clips = 4
    num_pictures = 2

    def __init__(self, seed: int = 0, side: int = 160) -> None:
        self.seed, self.side = seed, side

    def clip(self, index: int) -> np.ndarray:
        still = self._noise(index, self.side + 16)
        return np.stack([still[t : t + self.side, t : t + self.side] for t in range(16)])

    def picture(self, index: int) -> np.ndarray:
        return self._noise(100 + index, 2 * self.side)

    def _noise(self, index: int, side: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, index))
        out = np.zeros((side, side, 3), np.float32)
        for cells in (4, 12, 40):
            layer = rng.uniform(0, 255 / 3, (cells, cells, 3)).astype(np.float32)
            out += cv2.resize(layer, (side, side), interpolation=cv2.INTER_CUBIC)
        return np.clip(out, 0, 255).astype(np.uint8)

    def bank(self, rng: np.random.Generator) -> MarkBank:
        if can_draw():
            return MarkBank.drawn(rng, count=6, fresh=0.0)
        bar = np.ones((12, 40, 4), np.float32)
        return MarkBank([Mark(bar)], [Mark(bar[:, :12])])


def open_footage(part: str, pack: Path | None = None) -> Footage:
    """The packed file where one is named, else the data folder.

    Raises:
        ValueError: nothing of this part was found.
    """
    footage: Footage = PackFootage(pack, part) if pack else FolderFootage(part)
    if footage.num_clips + footage.num_pictures == 0:
        raise ValueError(f"open_footage: no {part} footage; set VSWIPE_DATA, or name a file of scripts/pack_clips.py")
    return footage
