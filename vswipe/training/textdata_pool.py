"""A pool of drawn clips on disk: real H.264 (some HEVC), with labels beside them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from .clips import ClipFile, data_folder, is_validation
from .codec import CODECS, Planes, _raw_input, _run, decode, pack_i420
from .composite import rgb_to_ycbcr
from .drawn_scenes import drawn_scene
from .textdata import Line, Scene, draw_scene, harder_look, random_look, tonal_look

MAX_FRAMES = 110
HARD = 1000  # clips of this number and above
TONAL = 2000  # clips of this number and above: many lines are close to what they lie over
DRAWN = 3000  # clips of this number and above: a third of them drawn scenes, as many without any line
WEAK_SCRIPTS = ("devanagari", "arabic", "japanese", "hebrew")  # those of which most was missed by a first training


@dataclass(frozen=True, eq=False)
class Pooled:
    """A clip of the pool in memory."""

    planes: Planes
    lines: list[Line]
    content: str
    script: str
    note: str

    def labels(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Opacity of strokes and of plates in frame n, (H, W) uint8."""
        return draw_labels(self.lines, n, self.planes[0].shape[1:])


def draw_labels(lines: list[Line], n: int, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of strokes and of plates in frame n, (H, W) uint8."""
    strokes, box = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for line in lines:
        if not line.opacity[n]:
            continue
        h, w = line.strokes.shape
        for out, alpha in ((strokes, line.strokes), (box, line.box)):
            part = out[line.top : line.top + h, line.left : line.left + w]
            np.maximum(part, (alpha.astype(np.uint16) * line.opacity[n] // 255).astype(np.uint8), out=part)
    return strokes, box


def encode(planes: Planes, path: Path, codec: str, quality: int, preset: str, fps: Fraction | int = 25) -> None:
    """Write frames as a Matroska file."""
    height, width = planes[0].shape[1:]
    extra = ["-x265-params", "log-level=error:pools=1"] if codec == "hevc" else []
    _run([*_raw_input(width, height, fps), "-c:v", CODECS[codec], "-crf", str(quality), "-preset", preset,
          "-threads", "1", *extra, "-y", "-f", "matroska", str(path)], pack_i420(planes).tobytes())  # fmt: skip


def photo_clip(rng: np.random.Generator, path: Path, num_frames: int = 80) -> Planes:
    """A photograph as a clip: still, or slowly panned and zoomed; with a little noise."""
    picture = cv2.imread(str(path))
    height, width = (360, 640) if rng.random() < 0.7 else (360, 480)
    scale = max(height / picture.shape[0], width / picture.shape[1]) * 1.25
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    room = np.array([picture.shape[1] - width, picture.shape[0] - height], float)
    still = rng.random() < 0.4
    begin, end = rng.uniform(0, 1, 2) * room, rng.uniform(0, 1, 2) * room
    noise = float(rng.choice([0.0, 1.0, 2.5]))
    out = []
    for t in range(num_frames):
        x, y = begin if still else begin + (end - begin) * t / num_frames
        view = cv2.getRectSubPix(picture, (width, height), (x + width / 2, y + height / 2))
        ycc = rgb_to_ycbcr(view[..., ::-1].astype(np.float32) / 255.0)
        if noise:
            ycc[..., 0] += rng.normal(0, noise, ycc.shape[:2])
        out.append(ycc)
    stack = np.clip(np.rint(np.stack(out)), 0, 255)
    small = stack[..., 1:].reshape(num_frames, height // 2, 2, width // 2, 2, 2).mean((2, 4))
    small = np.rint(small).astype(np.uint8)
    return (stack[..., 0].astype(np.uint8), np.ascontiguousarray(small[..., 0]), np.ascontiguousarray(small[..., 1]))


def background(rng: np.random.Generator, clips: list[ClipFile], photos: list[Path]) -> Planes:
    """A clean clip: footage, sometimes with a cut to other footage, or a photograph."""
    if photos and rng.random() < 0.14:
        return photo_clip(rng, photos[int(rng.integers(len(photos)))])
    planes, _ = clips[int(rng.integers(len(clips)))].read()
    planes = _part(rng, planes, MAX_FRAMES)
    if rng.random() < 0.2:
        other, _ = clips[int(rng.integers(len(clips)))].read()
        keep = int(rng.integers(15, 60))
        h, w = planes[0].shape[1:]
        other = _part(rng, other, MAX_FRAMES - keep)
        joined = []
        for plane, more in zip(planes, other, strict=True):
            size = plane.shape[2], plane.shape[1]
            more = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in more])
            joined.append(np.concatenate([plane[:keep], more]))
        assert joined[0].shape[1:] == (h, w)
        planes = (joined[0], joined[1], joined[2])
    if rng.random() < 0.5:
        planes = tuple(np.ascontiguousarray(plane[:, :, ::-1]) for plane in planes)  # type: ignore[assignment]
    return planes


def _part(rng: np.random.Generator, planes: Planes, most: int) -> Planes:
    num_frames = len(planes[0])
    begin = int(rng.integers(max(1, num_frames - most + 1)))
    return tuple(plane[begin : begin + most] for plane in planes)  # type: ignore[return-value]


def photo_files(part: str) -> list[Path]:
    """Photographs of "train" or "validation", by the rule of the clips."""
    files = sorted((data_folder() / "images").glob("*.jpg"))
    return [path for path in files if is_validation(path.stem) == (part == "validation")]


def save(scene: Scene, path: Path, codec: str, quality: int, preset: str) -> None:
    """Write `path`.mkv and then `path`.npz, so that the second says the first is whole."""
    encode(scene.planes, path.with_suffix(".mkv"), codec, quality, preset)
    labels: dict[str, np.ndarray] = {}
    for i, line in enumerate(scene.lines):
        labels |= {f"s{i}": line.strokes, f"b{i}": line.box, f"o{i}": line.opacity,
                   f"at{i}": np.array([line.left, line.top])}  # fmt: skip
    about = np.array([scene.content, scene.script, scene.note, codec, str(quality)])
    partial = path.with_name(path.name + ".part.npz")
    np.savez_compressed(partial, about=about, count=len(scene.lines), **labels)  # type: ignore[arg-type]
    partial.rename(path.with_suffix(".npz"))


def load(path: Path) -> Pooled:
    """A clip written by `save`."""
    planes, _ = decode(path.with_suffix(".mkv"))
    with np.load(path.with_suffix(".npz")) as data:
        lines = [Line(data[f"s{i}"], data[f"b{i}"], int(data[f"at{i}"][0]), int(data[f"at{i}"][1]), data[f"o{i}"])
                 for i in range(int(data["count"]))]  # fmt: skip
        content, script, note = (str(x) for x in data["about"][:3])
    return Pooled(planes, lines, content, script, note)


def render(index: int, folder: Path, clips: list[ClipFile], photos: list[Path]) -> Path:
    """Draw and write clip number `index` of the training pool; the same in every run.

    Harder looks from `HARD` on, those close to their ground from `TONAL` on, drawn scenes from `DRAWN` on.
    """
    rng = np.random.default_rng([4, index])
    planes = drawn_scene(rng) if index >= DRAWN and rng.random() < 0.33 else background(rng, clips, photos)
    look = content = None
    if index >= TONAL:
        tonal, clean = (0.5, 0.2) if index < DRAWN else (0.35, 0.35)
        chance = rng.random()
        if tonal <= chance < tonal + clean:
            content = "clean"  # what looks for faint lines sees them in bottles and pillows, too
        elif chance < tonal:
            height, width = planes[0].shape[1:]
            look, content = random_look(rng, width, height), "lines"
            ground = float(np.median(planes[0][:, height * 3 // 4 :, width // 5 : width * 4 // 5]))
            look = tonal_look(rng, look, (ground - 16) / 219)
    elif index >= HARD and rng.random() < 0.6:
        script = str(rng.choice(WEAK_SCRIPTS)) if rng.random() < 0.4 else None
        look, content = random_look(rng, planes[0].shape[2], planes[0].shape[1], script=script), "lines"
        if rng.random() < 0.7:
            look = harder_look(rng, look)
    scene = draw_scene(rng, planes, content=content, look=look)
    codec = "hevc" if rng.random() < 0.08 else "h264"
    preset = "superfast" if codec == "hevc" else str(rng.choice(["veryfast", "fast", "medium"], p=[0.5, 0.3, 0.2]))
    path = folder / f"p{index:05d}"
    save(scene, path, codec, int(rng.integers(18, 29)), preset)
    return path
