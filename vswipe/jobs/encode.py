"""Which encoder, told what; and one encoder at work on one segment."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .process import Tail, UserError, find_ffmpeg
from .source import Facts

# Visually lossless at a size that is still sensible: what is encoded has been encoded once before.
X264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "14")
X265 = ("-c:v", "libx265", "-preset", "medium", "-crf", "15")
FFV1 = ("-c:v", "ffv1", "-level", "3", "-g", "1", "-slices", "4", "-slicecrc", "1")
X265_QUIET = "log-level=error"

# What is not the encoder's business: these would change which frames or streams there are.
REFUSED = ("-i", "-map", "-ss", "-t", "-to", "-r", "-vf", "-filter", "-filter:v", "-filter_complex", "-frames",
           "-frames:v", "-vframes", "-s", "-an", "-sn", "-dn", "-vn", "-f", "-y", "-n", "-fps_mode", "-vsync",
           "-c:a", "-c:s", "-c", "-codec", "-acodec", "-b:a", "-af", "-pass", "-passlogfile")  # fmt: skip

# ffmpeg's options for VapourSynth's colour properties; 2 is "unspecified" in all three.
COLOUR = {"_Matrix": "-colorspace", "_Primaries": "-color_primaries", "_Transfer": "-color_trc"}


@dataclass(frozen=True)
class Encoding:
    """How the video is encoded.

    Args:
        pixel_format: ffmpeg's name of what goes in, and comes out if `arguments` do not say otherwise.
        arguments: everything ffmpeg gets between its input and its output file.
        notes: what the user should know.
    """

    pixel_format: str
    arguments: tuple[str, ...]
    notes: tuple[str, ...] = ()


def pixel_format(family: str, bits: int, floating: bool, subsampling: Sequence[int]) -> str:
    """ffmpeg's name of a planar VapourSynth format.

    Raises:
        UserError: it has none.
    """
    if floating:
        names = {("GRAY", 32): "grayf32le", ("RGB", 32): "gbrpf32le"}
        name = names.get((family, bits))
        if name is None:
            raise UserError(f"no encoder takes {bits} bit floating point {family} video")
        return name
    depth = "" if bits == 8 else f"{bits}le"
    if family == "GRAY":
        return f"gray{depth}"
    if family == "RGB":
        return f"gbrp{depth}"
    layout = {(1, 1): "420", (1, 0): "422", (0, 0): "444", (2, 0): "411", (2, 2): "410", (0, 1): "440"}
    return f"yuv{layout[subsampling[0], subsampling[1]]}p{depth}"


def choose(facts: Facts, wanted: Sequence[str], threads: int) -> Encoding:
    """The encoder for a video: the user's, else x264 for 8 bit, x265 for 10 and 12, gray and RGB, else FFV1.

    Args:
        facts: of the video.
        wanted: the user's own arguments; empty: the default.
        threads: of the encoder. Part of the result: x264 and x265 decide differently with another number.

    Raises:
        UserError: an argument that is not the encoder's business, or a format nobody can encode.
    """
    for argument in wanted:
        if argument in REFUSED or argument.startswith(("-map", "-c:a", "-c:s", "-filter")):
            raise UserError(
                f"{argument} after -- is not for the video encoder: all other streams are copied as they are"
            )
    name = pixel_format(facts.family, facts.bits, facts.floating, facts.subsampling)
    arguments = list(wanted) or list(_default(facts))
    if not any(argument in ("-c:v", "-vcodec", "-codec:v") for argument in arguments):
        arguments = [*_default(facts)[:2], *arguments]
    encoder = next(b for a, b in pairwise(arguments) if a in ("-c:v", "-vcodec", "-codec:v"))
    notes: list[str] = []
    _add_hdr(arguments, encoder, facts.props, notes)
    if "-threads" not in arguments:
        arguments += ["-threads", str(threads)]
    if "-pix_fmt" not in arguments:
        arguments = ["-pix_fmt", name, *arguments]
    return Encoding(name, tuple([*_filters(facts), *_colour(facts), *arguments]), tuple(notes))


def lossless_gray(threads: int) -> Encoding:
    """For masks: FFV1, 8 bit gray."""
    return Encoding("gray", ("-pix_fmt", "gray", *FFV1, "-threads", str(threads)))


def default_threads() -> int:
    """As many as there are cores, up to where x264 loses quality."""
    return max(1, min(16, os.cpu_count() or 1))


def _default(facts: Facts) -> tuple[str, ...]:
    if not facts.floating and facts.subsampling in ((0, 0), (1, 0), (1, 1)):
        if facts.bits == 8 and facts.family == "YUV":
            return X264
        if facts.bits in (8, 10, 12):
            return X265
    return FFV1


def _filters(facts: Facts) -> tuple[str, ...]:
    numerator, denominator = facts.props.get("_SARNum", 1), facts.props.get("_SARDen", 1)
    return ("-vf", f"setsar={numerator}/{denominator}") if numerator > 0 and denominator > 0 else ()


def _colour(facts: Facts) -> list[str]:
    """Colour properties: raw video carries none."""
    options: list[str] = []
    for prop, option in COLOUR.items():
        value = facts.props.get(prop, 2)
        if value != 2 and not (prop == "_Matrix" and facts.family == "RGB"):
            options += [option, str(value)]
    if (limited := full_range(facts.props)) is not None:
        options += ["-color_range", "pc" if limited else "tv"]
    if "_ChromaLocation" in facts.props and facts.subsampling == (1, 1):
        options += ["-chroma_sample_location", str(facts.props["_ChromaLocation"] + 1)]
    return options


def full_range(props: Mapping[str, Any]) -> bool | None:
    """Whether the samples span the full range; None when the file does not say. `_ColorRange` is the older name."""
    if "_Range" in props:
        return bool(props["_Range"] == 1)
    if "_ColorRange" in props:
        return bool(props["_ColorRange"] == 0)
    return None


def _add_hdr(arguments: list[str], encoder: str, props: Mapping[str, Any], notes: list[str]) -> None:
    """HDR10 metadata in the encoder's own words; libx265 is told to be quiet on the way."""
    display, light = _display(props), _light(props)
    if encoder == "libx265":
        given = [X265_QUIET]
        given += [f"master-display={_units(display)}"] if display else []
        given += [f"max-cll={light[0]},{light[1]}"] if light else []
        _append(arguments, "-x265-params", given)
    elif encoder == "libx264":
        given = [f"mastering-display={_units(display)}"] if display else []
        given += [f"cll={light[0]},{light[1]}"] if light else []
        _append(arguments, "-x264-params", given)
    elif encoder == "libsvtav1":
        given = [f"mastering-display={_decimals(display)}"] if display else []
        given += [f"content-light={light[0]},{light[1]}"] if light else []
        _append(arguments, "-svtav1-params", given)
    elif display or light:
        notes.append(f"HDR10 metadata cannot be handed to {encoder}: it is lost")


def _append(arguments: list[str], option: str, given: list[str]) -> None:
    """Add to a list of the encoder's own parameters, the user's first: they win nothing twice."""
    if not given:
        return
    if option in arguments:
        k = arguments.index(option) + 1
        theirs = {item.split("=")[0] for item in arguments[k].split(":")}
        arguments[k] = ":".join([arguments[k], *(item for item in given if item.split("=")[0] not in theirs)])
    else:
        arguments += [option, ":".join(given)]


def _display(props: Mapping[str, Any]) -> list[tuple[float, float]] | None:
    """Red, green, blue, white point as x, y; brightest and darkest in cd/m2."""
    keys = ("MasteringDisplayPrimariesX", "MasteringDisplayMaxLuminance")
    if not all(key in props for key in keys):
        return None
    x, y = props["MasteringDisplayPrimariesX"], props["MasteringDisplayPrimariesY"]
    white = (props["MasteringDisplayWhitePointX"], props["MasteringDisplayWhitePointY"])
    brightness = (props["MasteringDisplayMaxLuminance"], props["MasteringDisplayMinLuminance"])
    return [*zip(x, y, strict=True), white, brightness]


def _light(props: Mapping[str, Any]) -> tuple[int, int] | None:
    if "ContentLightLevelMax" not in props:
        return None
    return props["ContentLightLevelMax"], props.get("ContentLightLevelAverage", 0)


def _units(display: Sequence[tuple[float, float]]) -> str:
    """In units of 1/50000 and 1/10000 cd/m2, as x265 and x264 want them."""
    pairs = [(round(x * 50000), round(y * 50000)) for x, y in display[:4]]
    pairs.append((round(display[4][0] * 10000), round(display[4][1] * 10000)))
    names = ("R", "G", "B", "WP", "L")
    by_name = dict(zip(names, pairs, strict=True))
    return "".join(f"{name}({by_name[name][0]},{by_name[name][1]})" for name in ("G", "B", "R", "WP", "L"))


def _decimals(display: Sequence[tuple[float, float]]) -> str:
    names = dict(zip(("R", "G", "B", "WP", "L"), display, strict=True))
    return "".join(f"{name}({names[name][0]:.5f},{names[name][1]:.5f})" for name in ("G", "B", "R", "WP", "L"))


class Encoder:
    """ffmpeg, fed with frames.

    Args:
        size: width, height.
        rate: frames per second as a fraction.
        encoding: how.
        target: Matroska file to write.
    """

    def __init__(self, size: tuple[int, int], rate: Sequence[int], encoding: Encoding, target: Path) -> None:
        raw = ["-f", "rawvideo", "-pix_fmt", encoding.pixel_format, "-video_size", f"{size[0]}x{size[1]}"]
        command = [find_ffmpeg(), "-hide_banner", "-v", "error", "-y", *raw, "-framerate", f"{rate[0]}/{rate[1]}",
                   "-i", "-", *encoding.arguments, "-f", "matroska", str(target)]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert self._process.stderr
        self._tail = Tail(self._process.stderr)

    def write(self, frame: Any) -> None:
        """One VapourSynth frame.

        Raises:
            UserError: the encoder gave up.
        """
        # RGB goes out as planes in ffmpeg's order, green first
        planes = (1, 2, 0) if frame.format.color_family == 2 else range(frame.format.num_planes)
        self.write_planes([np.asarray(frame[plane]) for plane in planes])

    def write_planes(self, planes: Sequence[np.ndarray]) -> None:
        """One frame, plane by plane in ffmpeg's order."""
        assert self._process.stdin
        try:
            for plane in planes:
                self._process.stdin.write(np.ascontiguousarray(plane).data)
        except OSError as error:
            self.close()
            raise UserError(f"the encoder stopped: {error.strerror}") from error

    def close(self) -> None:
        """No more frames: wait until the file is whole.

        Raises:
            UserError: the encoder failed; holds its reason.
        """
        assert self._process.stdin
        with contextlib.suppress(OSError):  # it is gone: its exit status tells
            self._process.stdin.close()
        if self._process.wait():
            raise UserError(f"the encoder failed: {self._tail.last()}")

    def kill(self) -> None:
        """Drop it and what it has written so far."""
        self._process.kill()
        self._process.wait()
