"""What a media file holds, by its container: streams, chapters, tags. Nothing is decoded here.

Read with PyAV, so that no ffprobe is needed, which the imageio-ffmpeg wheel does not bring.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from .process import UserError

# A file whose header promises so much more than it holds was cut off. Headers are rounded, and sound may end early.
MISSING_SECONDS = 0.5
LOOK_BACK = 3.0  # seconds before the end at which reading begins

KINDS = ("video", "audio", "subtitle", "attachment", "data")


@dataclass(frozen=True)
class Stream:
    """One stream.

    Args:
        index: in the file.
        kind: one of KINDS, or "unknown".
        codec: FFmpeg's name, "" when it has none.
        cover: a still picture that belongs to the file, not a video.
        name: language and title, for messages.
    """

    index: int
    kind: str
    codec: str
    cover: bool
    name: str

    def __str__(self) -> str:
        return f"stream {self.index} ({', '.join(filter(None, (self.kind, self.codec, self.name)))})"


@dataclass(frozen=True)
class Media:
    """A file.

    Args:
        path: absolute.
        format: FFmpeg's names of the container, as in "matroska,webm".
        streams: all of them, in order.
        video: index of the video to work on, the first that is no cover.
        pixel_format: FFmpeg's name, "" when unknown.
        alpha: it has an opacity channel.
        rate: average frames per second, 0 when unknown.
        duration: seconds by the header, 0 when unknown.
        chapters: how many.
    """

    path: Path
    format: str
    streams: tuple[Stream, ...]
    video: int
    pixel_format: str
    alpha: bool
    rate: Fraction
    duration: float
    chapters: int


@contextmanager
def opened(path: Path, what: str = "cannot read") -> Iterator[Any]:
    """The file, open for reading with PyAV.

    Raises:
        UserError: it cannot be read.
    """
    import av

    try:
        with av.open(str(path)) as container:
            yield container
    except av.error.FFmpegError as error:
        raise UserError(f"{what} {path}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """An error of PyAV in a few words."""
    text = getattr(error, "strerror", None) or str(error)
    damaged = "Invalid data" in text or "End of file" in text
    return "it is no media file, or damaged" if damaged else text.lower()


def probe(path: Path) -> Media:
    """Look at a file.

    Raises:
        UserError: no such file, nothing in it, no media, or no video in it.
    """
    need_file(path)
    path = path.absolute()
    with opened(path) as container:
        streams = tuple(_stream(stream) for stream in container.streams)
        video = next((stream.index for stream in streams if stream.kind == "video" and not stream.cover), None)
        if video is None:
            raise UserError(f"cannot read {path}: there is no video in it")
        given = container.streams[video]
        context = given.codec_context
        if context is None:
            raise UserError(f"cannot read {path}: no decoder knows its video")
        form = context.format
        return Media(
            path,
            container.format.name,
            streams,
            video,
            context.pix_fmt or "",
            bool(form) and any(component.is_alpha for component in form.components),
            Fraction(given.average_rate or 0),
            _header_seconds(container),
            len(container.chapters()),
        )


def need_file(path: Path) -> None:
    """Refuse what is no file with something in it.

    Raises:
        UserError: with the reason.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a video")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{path}: is empty, 0 bytes")


def need_whole(media: Media) -> None:
    """Refuse a file that ends before its header says.

    Raises:
        UserError: it was cut off.
    """
    with opened(media.path) as container:
        start = max(0.0, (container.start_time or 0) / 1e6)
        # the end first: where the file has one, nothing else need be read
        end = start + media.duration - MISSING_SECONDS
        with _forgiving():
            container.seek(int(max(0.0, end - LOOK_BACK) * 1e6))
            if _last_time(container) >= end:
                return
    with opened(media.path) as container:
        found = _last_time(container)
    if found < end:
        raise UserError(
            f"{media.path}: was cut off, {max(0.0, found - start):.1f} of {media.duration:.1f} seconds are there; "
            "--salvage works on what is there"
        )


def _last_time(container: Any) -> float:
    """When the last picture or sound ends, in seconds, from where the file stands on."""
    found = 0.0
    for packet in container.demux():
        if packet.pts is not None and packet.stream.type in ("video", "audio"):
            found = max(found, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return found


@contextmanager
def _forgiving() -> Iterator[None]:
    """Go on after an error of PyAV: a file that cannot be searched in is read from its beginning."""
    import av

    with suppress(av.error.FFmpegError):
        yield


def _stream(stream: Any) -> Stream:
    kind = stream.type if stream.type in KINDS else "unknown"
    context = stream.codec_context
    name = " ".join(stream.metadata[key] for key in ("language", "title", "filename") if key in stream.metadata)
    return Stream(
        stream.index,
        kind,
        context.codec.canonical_name if context else "",
        kind == "video" and bool(stream.disposition & type(stream.disposition).attached_pic),
        name,
    )


def _header_seconds(container: Any) -> float:
    """The longest time the header speaks of: for an mp4 of its tracks, for a Matroska file of the whole."""
    longest = (container.duration or 0) / 1e6
    for stream in container.streams:
        if stream.type in ("video", "audio") and stream.duration:
            longest = max(longest, float(stream.duration * stream.time_base))
    return longest
