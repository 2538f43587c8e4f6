"""What `vswipe demo` does, step by step: clip, subtitles, mask, script, vspipe | ffmpeg, sheet."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import subtitle
from .media import Progress, UserError, ffmpeg, vspipe_to_ffmpeg, whole
from .sheet import Moment, draw_sheet

NAMES = ("input.mkv", "mask.mkv", "mask.png", "demo.vpy", "output.mp4", "sheet.png")
RATE = 24  # frames per second of the sample clip
MOMENTS = 4

# What H.264, VapourSynth's filters and ffmpeg's overlay all take: y4m's name, ffmpeg's, overlay's. A file's own format
# is kept when it is one of these.
PIXEL_FORMATS = {
    "420": ("yuv420p", "yuv420"),
    "422": ("yuv422p", "yuv422"),
    "444": ("yuv444p", "yuv444"),
    "420p10": ("yuv420p10le", "yuv420p10"),
    "422p10": ("yuv422p10le", "yuv422p10"),
}

# The first line also tells whether a folder was made by the demo and may be written over.
SCRIPT = """\
# Made by `vswipe demo`. To play with it: change the last line, then  vspipe -c y4m demo.vpy - | ffmpeg -i - again.mp4
from vapoursynth import core

# names are looked up beside this script: vspipe goes to its folder; cachemode=0 leaves no index file there
clip = core.bs.VideoSource("input.mkv", cachemode=0)
mask = core.bs.VideoSource("mask.mkv", cachemode=0)  # white = erase, one mask per frame
core.wipe.Inpaint(clip, mask).set_output()
"""

# (what is being done, frames done, frames in all)
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DemoResult:
    """Where the files are and how fast it went.

    Args:
        folder: holds the files called NAMES.
        width, height: of the video, pixels.
        num_frames: of the video.
        speed: frames per second through vspipe and ffmpeg.
    """

    folder: Path
    width: int
    height: int
    num_frames: int
    speed: float


@dataclass(frozen=True)
class _Video:
    """What VapourSynth says of a video file."""

    width: int
    height: int
    num_frames: int
    rate: Fraction
    props: dict[str, Any]


def run_demo(source: Path | None, folder: Path, num_frames: int, height: int | None, report: Report) -> DemoResult:
    """Make the demo.

    Args:
        source: a video of the user's own, or None for the drawn sample.
        folder: where the files go; made when missing.
        num_frames: length, at most; the source's first frames.
        height: of the video in pixels; None: the source's own, 360 for the sample.
        report: called as things go on.

    Raises:
        UserError: anything the user can put right.
    """
    from vswipe._vsenv import ensure_vspipe  # late: the command line must be able to say --help without VapourSynth

    _check_folder(folder, source)
    try:
        vspipe = ensure_vspipe()
    except RuntimeError as error:
        raise UserError(str(error)) from error
    _need_plugin()
    paths = {name: folder / name for name in NAMES}

    if source is None:
        size = _sample_size(height or 360)
        _burn_sample(paths["input.mkv"], size, num_frames, report)
    else:
        size = _burn_file(source, paths["input.mkv"], num_frames, height, report)
    video = _probe(paths["input.mkv"])
    lines = subtitle.schedule(num_frames)
    if video.num_frames < num_frames and source is not None:  # a short file: subtitles that fit it
        lines = subtitle.schedule(video.num_frames)
        _burn_file(source, paths["input.mkv"], video.num_frames, height, report)
    masks = [subtitle.stroke_mask(picture) for picture in _pictures(*size)]
    _write_mask(paths["mask.mkv"], video, lines, masks, report)
    with whole(paths["mask.png"]) as part:  # one picture for the whole clip: what examples/inpaint_png.vpy starts from
        Image.fromarray(np.maximum.reduce(masks)).save(part)
    with whole(paths["demo.vpy"]) as part:
        part.write_text(SCRIPT, encoding="utf-8")

    with whole(paths["output.mp4"]) as part:
        speed = vspipe_to_ffmpeg(
            vspipe, paths["demo.vpy"], _encode(video, part), lambda done: report("erasing", done, video.num_frames)
        )
        made = _probe(part).num_frames
        if made != video.num_frames:
            raise UserError(f"the output has {made} frames, the input {video.num_frames}: this is a fault of vswipe")
    report("drawing the sheet", 0, 1)
    with whole(paths["sheet.png"]) as part:
        _sheet(paths, video, lines, source).save(part, optimize=True)
    report("drawing the sheet", 1, 1)
    return DemoResult(folder, video.width, video.height, video.num_frames, speed)


def _check_folder(folder: Path, source: Path | None) -> None:
    """Refuse before any work what would fail later or write over something of the user's."""
    if source is not None and not source.is_file():
        raise UserError(f"{source}: {'is a folder, not a video' if source.is_dir() else 'no such file'}")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file, not a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from error
    try:
        probe = folder / ".vswipe.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror}") from error
    script = folder / "demo.vpy"
    ours = script.is_file() and script.read_text(encoding="utf-8", errors="replace").startswith(SCRIPT.split("\n")[0])
    taken = [name for name in NAMES if os.path.lexists(folder / name)]
    if taken and not ours:
        raise UserError(f"{folder} already holds {taken[0]}, not made by `vswipe demo`: choose another folder with -o")
    if source is not None and any((folder / name).exists() and (folder / name).samefile(source) for name in taken):
        raise UserError(f"{source} would be written over by its own demo: choose another folder with -o")


def _need_plugin() -> None:
    import vapoursynth as vs

    missing = [name for name in ("wipe", "bs") if not hasattr(vs.core, name)]
    if missing:
        raise UserError(
            f"VapourSynth ({Path(vs.__file__).parent}) does not see the plugin {' and '.join(missing)}: "
            "install vswipe anew"
        )


def _sample_size(height: int) -> tuple[int, int]:
    """16:9, both even, as 4:2:0 wants."""
    return max(32, round(height * 16 / 9 / 2) * 2), max(32, height // 2 * 2)


def _pictures(width: int, height: int) -> list[NDArray[np.uint8]]:
    return [subtitle.draw(text, width, height) for text in subtitle.TEXTS]


def _burn(
    arguments: Sequence[str | Path],
    first: str,
    pixel_format: tuple[str, str],
    size: tuple[int, int],
    num_frames: int,
    target: Path,
    what: str,
    feed: Iterator[bytes] | None = None,
    on_frame: Progress = lambda done: None,
) -> None:
    """Lay the subtitles on a video with ffmpeg, in the video's own format, and write it.

    Args:
        arguments: input 0 of ffmpeg.
        first: filters from input 0 to the picture under the subtitles.
        pixel_format: of the file to write, a value of PIXEL_FORMATS.
        size: of that picture.
        num_frames: at most.
        target: file to write.
        what: for the message when it fails.
        feed, on_frame: see `media.ffmpeg`.
    """
    pictures = [target.with_name(f".subtitle{k}.part.png") for k in range(len(subtitle.TEXTS))]
    # Stated for each overlay as well: left to itself it may go to 4:4:4 for the letters, and ffmpeg 5 loses the matrix.
    name, overlay = pixel_format
    graph = f"{first},format={name}[v0]"
    for k in range(len(pictures)):
        graph += f";[v{k}][{k + 1}:v]overlay=format={overlay}:enable='{subtitle.when(num_frames, k)}'[v{k + 1}]"
    try:
        for path, picture in zip(pictures, _pictures(*size), strict=True):
            Image.fromarray(picture).save(path)
        inputs = [argument for path in pictures for argument in ("-i", path)]
        output = ["-frames:v", num_frames, "-an", "-sn", "-c:v", "libx264", "-crf", "10", "-preset", "fast"]
        with whole(target) as part:
            command = [*arguments, *inputs, "-filter_complex", graph, "-map", f"[v{len(pictures)}]", *output, part]
            ffmpeg(list(map(str, command)), what=what, feed=feed, on_frame=on_frame)
    finally:
        for path in pictures:
            path.unlink(missing_ok=True)


def _burn_sample(target: Path, size: tuple[int, int], num_frames: int, report: Report) -> None:
    from .scene import Scene

    width, height = size
    report("drawing the clip", 0, num_frames)
    scene = Scene(width, height)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(RATE), "-i", "-"]
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    _burn(
        raw,
        f"[0:v]scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{tags}",
        PIXEL_FORMATS["420"],
        size,
        num_frames,
        target,
        "cannot write the sample clip",
        (scene.frame(n).tobytes() for n in range(num_frames)),
        lambda done: report("drawing the clip", done, num_frames),
    )


def _burn_file(source: Path, target: Path, num_frames: int, height: int | None, report: Report) -> tuple[int, int]:
    """The user's clip, cut to length, with subtitles; returns its size."""
    report("burning in subtitles", 0, 1)
    # file: keeps ffmpeg from reading a name like "concat:a" or "-i" as something else
    given = ["-i", f"file:{source}"]
    scale = f"scale=-2:{height // 2 * 2}," if height else ""
    # even sizes for 4:2:0; fields are taken apart because subtitles and mask are drawn on whole frames
    first = f"bwdif=mode=send_frame:deint=interlaced,{scale}crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0"
    size, pixel_format = _look(source, given, first)
    _burn(given, f"[0:V:0]{first}", pixel_format, size, num_frames, target, f"cannot read {source}")
    report("burning in subtitles", 1, 1)
    return size


def _look(source: Path, given: Sequence[str], first: str) -> tuple[tuple[int, int], tuple[str, str]]:
    """Size and ffmpeg pixel format of the file's first frame, after the filters; also proves that it can be decoded."""
    choice = "|".join(name for name, _ in PIXEL_FORMATS.values())
    chain = ["-map", "0:V:0", "-vf", f"{first},format={choice}", "-frames:v", "1"]
    y4m = ffmpeg(
        [*given, *chain, "-f", "yuv4mpegpipe", "-strict", "-1", "-"], what=f"cannot read a video from {source}"
    )
    header = re.match(rb"YUV4MPEG2 W(\d+) H(\d+) .*?\bC(\d+(?:p10)?)", y4m)
    if not header:
        raise UserError(f"cannot read a video from {source}: no frame in it could be decoded")
    return (int(header[1]), int(header[2])), PIXEL_FORMATS[header[3].decode()]


def _write_mask(
    target: Path, video: _Video, lines: Sequence[subtitle.Line], masks: Sequence[NDArray[np.uint8]], report: Report
) -> None:
    """One gray frame per frame of the clip, lossless: a mask must not get compression artefacts."""
    nothing = bytes(video.width * video.height)
    drawn = [mask.tobytes() for mask in masks]
    showing = (subtitle.shown(lines, n) for n in range(video.num_frames))
    raw = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-s",
        f"{video.width}x{video.height}",
        "-r",
        str(video.rate),
        "-i",
        "-",
    ]
    with whole(target) as part:
        ffmpeg(
            [*raw, "-c:v", "ffv1", "-pix_fmt", "gray", part],
            what="cannot write the mask",
            feed=(drawn[line.text] if line else nothing for line in showing),
            on_frame=lambda done: report("writing the mask", done, video.num_frames),
        )


def _encode(video: _Video, target: Path) -> list[str | Path]:
    """ffmpeg's arguments for the output; y4m does not carry colour properties, so they are stated again."""
    names = {"_Matrix": "colorspace", "_Primaries": "color_primaries", "_Transfer": "color_trc"}
    tags = [f"{option}={video.props[prop]}" for prop, option in names.items() if video.props.get(prop, 2) != 2]
    sar = (video.props.get("_SARNum", 0), video.props.get("_SARDen", 0))
    if "_Range" in video.props:
        tags.append(f"range={'pc' if video.props['_Range'] == 1 else 'tv'}")
    filters = ["format=yuv420p"]
    if tags:
        filters.insert(0, "setparams=" + ":".join(tags))
    if all(sar):
        filters.append(f"setsar={sar[0]}/{sar[1]}")
    return [
        "-vf",
        ",".join(filters),
        "-c:v",
        "libx264",
        "-crf",
        "14",
        "-preset",
        "fast",
        "-movflags",
        "+faststart",
        target,
    ]


def _open(path: Path) -> Any:
    import vapoursynth as vs

    try:
        core: Any = vs.core  # VapourSynth knows the names of plugins only when it runs
        return core.bs.VideoSource(str(path), cachemode=0)
    except vs.Error as error:
        raise UserError(f"VapourSynth cannot read {path}: {error}") from error


def _probe(path: Path) -> _Video:
    clip = _open(path)
    with clip.get_frame(0) as frame:
        props = dict(frame.props)
    return _Video(clip.width, clip.height, clip.num_frames, Fraction(clip.fps), props)


def _read_rgb(path: Path, numbers: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Frames of a file as (height, width, 3) RGB."""
    import vapoursynth as vs

    clip = _open(path)
    unknown = clip.format.color_family == vs.YUV and clip.get_frame(0).props.get("_Matrix", 2) == 2
    # untagged files are most often SD; for looking at, the choice only has to be the same before and after
    clip = clip.resize.Bicubic(format=vs.RGB24, **({"matrix_in": 6} if unknown else {}))
    pictures = []
    for n in numbers:
        with clip.get_frame(n) as frame:
            pictures.append(np.dstack([np.asarray(frame[plane]) for plane in range(3)]))
    return pictures


def _sheet(paths: dict[str, Path], video: _Video, lines: Sequence[subtitle.Line], source: Path | None) -> Image.Image:
    masked = [n for n in range(video.num_frames) if subtitle.shown(lines, n)] or [0]
    picked = sorted({masked[len(masked) * (2 * k + 1) // (2 * MOMENTS)] for k in range(MOMENTS)})
    columns = [_read_rgb(paths[name], picked) for name in ("input.mkv", "mask.mkv", "output.mp4")]
    labels = [f"frame {n}   {float(n / video.rate):.2f} s" for n in picked]
    moments = [Moment(*row) for row in zip(labels, *columns, strict=True)]
    name = "sample clip" if source is None else source.name
    return draw_sheet(moments, "core.wipe.Inpaint(clip, mask)", f"{name}, {video.width}x{video.height}")
