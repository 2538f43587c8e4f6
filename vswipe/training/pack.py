"""One file of training data for a machine that has only torch, NumPy and OpenCV: clips, photographs, drawn marks.

A zip file: `index.json`, H.264 segments, JPEG pictures, PNG marks. Clips keep their part of the split.
`footage.PackFootage` reads it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .clips import find_clips, is_validation
from .codec import find_ffmpeg
from .footage import SEGMENT, encode_mark
from .holes import draw_marks
from .pictures import find_pictures, is_validation_picture

MAX_BYTES = 55 << 20


@dataclass(frozen=True)
class PackSettings:
    """How much of the data goes in, and how finely it is coded.

    Args:
        clip_lines: short side of the clips at most, pixels.
        rate_factor: of x264.
        picture_side: long side of the photographs at most, pixels.
        picture_quality: of their JPEG.
        marks: drawn marks of each kind.
        validation_frames: frames of every validation clip; training clips have `SEGMENT`.
    """

    clip_lines: int = 270
    rate_factor: int = 20
    picture_side: int = 448
    picture_quality: int = 88
    marks: int = 250
    validation_frames: int = 24

    def coarser(self) -> PackSettings:
        """The next smaller choice."""
        return PackSettings(self.clip_lines, self.rate_factor + 2, self.picture_side - 32, self.picture_quality - 2,
                            self.marks, self.validation_frames)  # fmt: skip


def code_segment(path: Path, num_frames: int, settings: PackSettings) -> bytes:
    """The first frames of a clip as H.264 in an MP4 file."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "segment.mp4"
        lines = settings.clip_lines
        # Shrunk only, to even sizes.
        fit = f"scale='if(gt(iw,ih),-2,min(iw,{lines}))':'if(gt(iw,ih),min(ih,{lines}),-2)':flags=area"
        subprocess.run([find_ffmpeg(), "-v", "error", "-nostdin", "-i", str(path), "-an", "-frames:v", str(num_frames),
                        "-vf", f"{fit},crop=trunc(iw/2)*2:trunc(ih/2)*2", "-fps_mode", "passthrough",
                        "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "medium", "-threads", "1",
                        "-crf", str(settings.rate_factor), str(out)], check=True)  # fmt: skip
        return out.read_bytes()


def code_picture(path: Path, settings: PackSettings) -> bytes:
    """A photograph as JPEG, shrunk where it is larger than wanted."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    scale = settings.picture_side / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, settings.picture_quality])[1].tobytes()


def write_pack(path: Path, settings: PackSettings, folder: Path | None = None, seed: int = 7,
               note: Callable[[str], None] = lambda text: None) -> int:  # fmt: skip
    """Write a pack; returns its size in bytes.

    Args:
        path: the file.
        settings: see there.
        folder: of the data; `clips.data_folder()` unless told.
        seed: of the marks.
        note: gets a line per hundred entries.

    Raises:
        ValueError: there is no footage.
    """
    clips, pictures = find_clips("all", folder), find_pictures("all", folder)
    if not clips and not pictures:
        raise ValueError("write_pack: no footage; set VSWIPE_DATA to the folder that holds clips/ and images/")
    index: dict[str, list[dict[str, Any]]] = {"clips": [], "pictures": [], "marks": []}
    part = path.with_suffix(path.suffix + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for number, clip in enumerate(clips):
            held_out = is_validation(clip.name)
            length = settings.validation_frames if held_out else SEGMENT
            entry = {"name": clip.name, "part": _part(held_out), "file": f"clips/{clip.name}.mp4"}
            archive.writestr(entry["file"], code_segment(clip.path, length, settings))
            index["clips"].append(entry)
            if number % 100 == 99:
                note(f"{number + 1} clips")
        for number, picture in enumerate(pictures):
            # Names of their own: some file names are not plain letters.
            entry = {"name": picture.stem, "part": _part(is_validation_picture(picture.stem)),
                     "file": f"pictures/{number:04d}.jpg"}  # fmt: skip
            archive.writestr(entry["file"], code_picture(picture, settings))
            index["pictures"].append(entry)
        rng = np.random.default_rng(seed)
        for kind in ("text", "logo"):
            for number, mark in enumerate(draw_marks(rng, kind, settings.marks)):
                entry = {"kind": kind, "file": f"marks/{kind}{number:04d}.png"}
                archive.writestr(entry["file"], encode_mark(mark))
                index["marks"].append(entry)
        archive.writestr("index.json", json.dumps(index))
    os.replace(part, path)
    return path.stat().st_size


def _part(held_out: bool) -> str:
    return "validation" if held_out else "train"
