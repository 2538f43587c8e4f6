"""A file's video as VapourSynth sees it through BestSource: the clip, every frame's time, its colour properties.

Needs VapourSynth, so it runs in the worker process only; `Facts` crosses over to the parent as JSON.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from .process import UserError

NO_TIME = -(1 << 63)  # FFmpeg's "timestamp not known"
INDEXES_KEPT = 64
LOOKED_AT = 8  # frames looked at for interlacing
FIELDS = {1: "bottom field first", 2: "top field first"}


@dataclass(frozen=True)
class Facts:
    """What is known of a video.

    Args:
        width, height, num_frames: as decoded, before any rotation.
        rate: frames per second as a fraction, for encoders; the average where frames last differently long.
        family: "GRAY", "YUV" or "RGB".
        bits, floating: of a sample.
        subsampling: powers of two, horizontal and vertical.
        times: one per frame, in units of `unit`; strictly increasing.
        unit: seconds as a fraction.
        last: how long the last frame stays, in units.
        props: colour properties, aspect and HDR metadata of the first frame, by VapourSynth's names.
        interlaced: the first frame found to be interlaced and its field order, or None.
        notes: what the user should know.
    """

    width: int
    height: int
    num_frames: int
    rate: tuple[int, int]
    family: str
    bits: int
    floating: bool
    subsampling: tuple[int, int]
    times: tuple[int, ...]
    unit: tuple[int, int]
    last: int
    props: dict[str, Any]
    interlaced: tuple[int, str] | None
    notes: tuple[str, ...]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Facts:
        """From what `dataclasses.asdict` gave, after a way through JSON."""
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**given)

    def seconds(self, n: int) -> float:
        """When frame n is shown."""
        return float(self.times[n] * Fraction(*self.unit))


def index_folder() -> Path:
    """Where BestSource's indexes are kept: with the user's caches, never beside the video. $VSWIPE_CACHE moves it."""
    if given := os.environ.get("VSWIPE_CACHE"):
        return Path(given) / "index"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "vswipe" / "index"


def index_name(path: Path, folder: Path) -> Path:
    """The index of a file: another one once the file has changed."""
    stat = path.stat()
    key = f"{path.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}"
    return folder / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:24]


def open_clip(path: Path, track: int, folder: Path, on_index: Callable[[str], None] | None = None) -> dict[str, Any]:
    """The video of a file.

    Args:
        path: absolute.
        track: number of the video stream in the file.
        folder: for the index.
        on_index: called with BestSource's progress while it makes the index.

    Returns:
        "clip"; "timestamps", "timebasenum", "timebaseden".

    Raises:
        UserError: BestSource cannot read it.
    """
    import vapoursynth as vs

    core: Any = vs.core
    handle = None
    if on_index:
        matcher = re.compile(r"index progress (\d+(?:%|MB))")

        def listen(kind: Any, message: str) -> None:
            if match := matcher.search(message):
                on_index(match[1])

        handle = core.add_log_handler(listen)
    options: dict[str, Any] = {"cachemode": 0}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _tidy(folder)
        # 4: read and written always, under this very name
        options = {"cachemode": 4, "cachepath": str(index_name(path, folder))}
    except OSError:
        pass  # no place for an index: it is made anew each time
    try:
        # rff=0: coded frames, each with its own time; apply_rotation=0: the picture as it is stored
        return core.bs.VideoSource(str(path), track=track, rff=0, apply_rotation=0, exporttimestamps=1, **options)
    except vs.Error as error:
        text = str(error).removeprefix("VideoSource: ")
        raise UserError(f"cannot read a video from {path}: {text}") from error
    finally:
        if handle is not None:
            core.remove_log_handler(handle)


def _tidy(folder: Path) -> None:
    """Forget the oldest indexes."""
    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-INDEXES_KEPT]:
        file.unlink(missing_ok=True)


KEPT_PROPS = re.compile(
    r"_(Matrix|Primaries|Transfer|Range|ColorRange|ChromaLocation|SARNum|SARDen)$|MasteringDisplay|ContentLightLevel"
)


def read_facts(path: Path, opened: dict[str, Any], average: Fraction) -> Facts:
    """Everything that has to be known before rendering.

    Args:
        path: for messages.
        opened: what `open_clip` gave.
        average: frames per second by the container, 0 when unknown.

    Raises:
        UserError: a clip that changes its size or format midway, or without frames.
    """
    import vapoursynth as vs

    clip = opened["clip"]
    if clip.format is None or not clip.format.id or not clip.width:
        raise UserError(f"{path}: changes its size or pixel format midway, which is not supported")
    notes: list[str] = []
    props = _first_props(path, clip)
    if "HDR10Plus" in props or "DolbyVisionRPU" in props:
        notes.append("HDR10+ or Dolby Vision metadata of single frames is not kept; HDR10 metadata is")
    unit = Fraction(int(opened["timebasenum"]), int(opened["timebaseden"]))
    given = opened["timestamps"]
    times = [int(given)] if isinstance(given, int) else [int(time) for time in given]
    rate = Fraction(clip.fps) if clip.fps.numerator else average
    if not rate:
        known = [time for time in times if time != NO_TIME] or [0]
        span = (known[-1] - known[0]) * unit
        rate = (len(times) - 1) / span if span > 0 else Fraction(25)
    rate = rate.limit_denominator(100_000)
    if all(time == NO_TIME for time in times):
        notes.append(f"the file has no timestamps: {float(rate):g} frames/s are taken")
        unit, times = 1 / rate, list(range(len(times)))
    times = fill_times(times, 1 / rate / unit)
    if any(b <= a for a, b in pairwise(times)):
        notes.append("some frames were to be shown before the one before them: their times were moved")
        for n in range(1, len(times)):
            times[n] = max(times[n], times[n - 1] + 1)
    return Facts(
        clip.width,
        clip.height,
        clip.num_frames,
        (rate.numerator, rate.denominator),
        {vs.GRAY: "GRAY", vs.YUV: "YUV", vs.RGB: "RGB"}[clip.format.color_family],
        clip.format.bits_per_sample,
        clip.format.sample_type == vs.FLOAT,
        (clip.format.subsampling_w, clip.format.subsampling_h),
        tuple(times),
        (unit.numerator, unit.denominator),
        _last_duration(clip, unit) or max(1, round(1 / rate / unit)),
        {key: value for key, value in props.items() if KEPT_PROPS.match(key)},
        _find_interlaced(clip),
        tuple(notes),
    )


def fill_times(times: Sequence[int], step: Fraction) -> list[int]:
    """Times with those that are NO_TIME counted on from the one before, or back from the first that is known.

    MPEG program streams give one frame in several a time.
    """
    known = next((n for n, time in enumerate(times) if time != NO_TIME), 0)
    filled: list[int] = []
    last = known
    for n, time in enumerate(times):
        if time != NO_TIME:
            last = n
        filled.append(time if time != NO_TIME else times[last] + round((n - last) * step))
    return filled


def _first_props(path: Path, clip: Any) -> dict[str, Any]:
    import vapoursynth as vs

    try:
        with clip.get_frame(0) as frame:
            props = dict(frame.props)
    except vs.Error as error:
        raise UserError(f"cannot decode {path}: {error}") from error
    return {key: value if isinstance(value, int | float | bytes) else list(value) for key, value in props.items()}


def _last_duration(clip: Any, unit: Fraction) -> int:
    """Of the last frame, in units; 0 when unknown."""
    with clip.get_frame(clip.num_frames - 1) as frame:
        numerator, denominator = frame.props.get("_DurationNum", 0), frame.props.get("_DurationDen", 1)
    return round(Fraction(int(numerator), int(denominator)) / unit)


def _find_interlaced(clip: Any) -> tuple[int, str] | None:
    """Looks at some frames all over the clip; the filters look at every frame they change."""
    for n in _spread(clip.num_frames):
        with clip.get_frame(n) as frame:
            field = frame.props.get("_FieldBased", 0)
        if field in FIELDS:
            return n, FIELDS[field]
    return None


def _spread(num_frames: int) -> Sequence[int]:
    return sorted({num_frames * k // LOOKED_AT for k in range(LOOKED_AT)})
