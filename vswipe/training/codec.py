"""Video through ffmpeg: decode a file, compress frames and decode them again, run one filter."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Y (T, H, W), U and V (T, H/2, W/2), uint8, limited range."""

CODECS = {"h264": "libx264", "hevc": "libx265"}


def find_ffmpeg() -> str:
    """Path of the ffmpeg on PATH, else of the binary that the imageio-ffmpeg wheel brings.

    Raises:
        RuntimeError: there is neither.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ImportError:
        raise RuntimeError("find_ffmpeg: ffmpeg must be on PATH or imageio-ffmpeg installed, got neither") from None
    return imageio_ffmpeg.get_ffmpeg_exe()


def _run(arguments: Sequence[str], stdin: bytes | None = None) -> bytes:
    # -nostdin: a caller's terminal or pipe is not ours to read; it must go when stdin carries the frames.
    command = [find_ffmpeg(), "-v", "error", *([] if stdin is not None else ["-nostdin"]), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise RuntimeError(f"ffmpeg: {message}")
    return done.stdout


def split_i420(data: np.ndarray, width: int, height: int) -> Planes:
    """Views of the planes inside packed I420 frames.

    Args:
        data: (T, H * W * 3 / 2), uint8.
        width, height: luma size in pixels, even.
    """
    luma, chroma = width * height, (width // 2) * (height // 2)
    num_frames = len(data)
    return (
        data[:, :luma].reshape(num_frames, height, width),
        data[:, luma : luma + chroma].reshape(num_frames, height // 2, width // 2),
        data[:, luma + chroma :].reshape(num_frames, height // 2, width // 2),
    )


def pack_i420(planes: Planes) -> np.ndarray:
    """Frames as packed I420 (T, H * W * 3 / 2), uint8: what raw video and OpenCV take."""
    num_frames = len(planes[0])
    return np.concatenate([plane.reshape(num_frames, -1) for plane in planes], axis=1)


def decode(path: str | Path, num_frames: int | None = None, start: int = 0) -> tuple[Planes, Fraction]:
    """Frames of a video file as YUV 4:2:0, 8 bit, and its frame rate.

    Args:
        path: any file ffmpeg reads.
        num_frames: frames to read at most; None reads all.
        start: frames to skip. They are decoded and thrown away, so that the frame number is exact.

    Returns:
        Planes, cropped to even sizes, and frames per second. Fewer frames than asked for where the file ends.

    Raises:
        FileNotFoundError: no such file.
        RuntimeError: ffmpeg cannot read it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"decode: no file {path}")
    filters = [f"trim=start_frame={start}"] if start else []
    filters += ["crop=trunc(iw/2)*2:trunc(ih/2)*2"]
    limit = [] if num_frames is None else ["-frames:v", str(num_frames)]
    # passthrough: one output frame per coded frame, none doubled or dropped to please a constant rate.
    out = _run(["-i", str(path), "-an", "-vf", ",".join(filters), "-fps_mode", "passthrough", *limit,
                "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])  # fmt: skip
    return _parse_y4m(out, path)


def _parse_y4m(data: bytes, path: Path) -> tuple[Planes, Fraction]:
    end = data.find(b"\n")
    fields = {token[:1]: token[1:] for token in data[: max(end, 0)].split()[1:]}
    if end < 0 or b"W" not in fields:
        raise RuntimeError(f"decode: {path} gave no frames")
    width, height = int(fields[b"W"]), int(fields[b"H"])
    rate, scale = (int(x) for x in fields.get(b"F", b"25:1").split(b":"))
    marker = len(b"FRAME\n")  # ffmpeg writes no parameters after FRAME
    packed = np.frombuffer(data, np.uint8, offset=end + 1)
    packed = packed.reshape(-1, marker + width * height * 3 // 2)[:, marker:]
    planes = split_i420(packed, width, height)
    return tuple(np.ascontiguousarray(plane) for plane in planes), Fraction(rate, scale)  # type: ignore[return-value]


def compress(planes: Planes, codec: str, quality: int, fps: Fraction | int = 25, preset: str = "medium") -> Planes:
    """The frames after lossy coding, as a viewer would decode them.

    Args:
        planes: frames.
        codec: "h264" or "hevc".
        quality: constant rate factor, 0 (best) to 51.
        fps: frames per second; it only steers the rate control.
        preset: x264 / x265 preset.

    Raises:
        ValueError: another codec.
        RuntimeError: ffmpeg lacks the encoder, or fails.
    """
    if codec not in CODECS:
        raise ValueError(f"compress: codec must be one of {', '.join(CODECS)}, got {codec}")
    height, width = planes[0].shape[1:]
    # threads=1 and no wall clock in the stream: the same input gives the same frames everywhere.
    extra = ["-x265-params", "log-level=error"] if codec == "hevc" else []
    stream = _run([*_raw_input(width, height, fps), "-c:v", CODECS[codec], "-crf", str(quality), "-preset", preset,
                   "-threads", "1", *extra, "-f", "matroska", "-"], pack_i420(planes).tobytes())  # fmt: skip
    out = _run(["-i", "pipe:0", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"], stream)
    return _unpack(out, planes)


def run_filter(planes: Planes, graph: str, fps: Fraction | int = 25) -> Planes:
    """The frames after an ffmpeg filter graph that keeps their size and number, e.g. `delogo=x=8:y=8:w=64:h=32`."""
    height, width = planes[0].shape[1:]
    out = _run([*_raw_input(width, height, fps), "-vf", graph, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"],
               pack_i420(planes).tobytes())  # fmt: skip
    return _unpack(out, planes)


def _raw_input(width: int, height: int, fps: Fraction | int) -> list[str]:
    size = f"{width}x{height}"
    return ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", str(Fraction(fps)), "-i", "pipe:0"]


def _unpack(data: bytes, like: Planes) -> Planes:
    num_frames, height, width = like[0].shape
    packed = np.frombuffer(data, np.uint8).reshape(-1, width * height * 3 // 2)
    if len(packed) != num_frames:
        raise RuntimeError(f"ffmpeg: {num_frames} frames must come back, got {len(packed)}")
    return split_i420(packed, width, height)
