"""The output file: the new video with the old one's times, and everything else of the source, copied.

Done with PyAV and not with ffmpeg: the segments' packets need each their own exact time, and what a copy keeps should
not depend on which ffmpeg a user has (version 5.1 moves Opus in Matroska by 7 ms and turns covers into tracks).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from . import matroska
from .probe import Media, Stream, opened, reason
from .process import UserError
from .source import Facts

FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".ts": "mpegts", ".m2ts": "mpegts",
           ".mts": "mpegts", ".webm": "webm", ".avi": "avi", ".flv": "flv"}  # fmt: skip
# Those that hold what the default encoders make; for others the default output is Matroska.
SAME_CONTAINER = (".mkv", ".mp4", ".m4v", ".mov", ".ts", ".m2ts", ".mts")

# Tags that describe the old file, and would be wrong or doubled in the new one.
STALE_FILE = re.compile(r"(major_brand|minor_version|compatible_brands|encoder)$", re.IGNORECASE)
STALE_VIDEO = re.compile(r"(BPS|NUMBER_OF_FRAMES|NUMBER_OF_BYTES|_STATISTICS_\w+|DURATION|ENCODER)(-\w+)?$", re.I)


@dataclass(frozen=True)
class Packets:
    """Where one segment's frames lie in time.

    Args:
        path: its file.
        first: number of its first frame.
        order: frame of each packet, counted from `first`, in the order of decoding.
    """

    path: Path
    first: int
    order: tuple[int, ...]


def look_at(paths: dict[int, Path]) -> list[Packets]:
    """The segments of a job, first frame -> file, in order.

    Raises:
        UserError: one cannot be read.
    """
    found = []
    for first, path in sorted(paths.items()):
        with opened(path) as container:
            times = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
        ranks = {time: k for k, time in enumerate(sorted(times))}
        found.append(Packets(path, first, tuple(ranks[time] for time in times)))
    return found


def write(
    target: Path,
    container: str,
    media: Media,
    segments: Sequence[Packets],
    facts: Facts,
    on_frame: Callable[[int], None] = lambda done: None,
    *,
    header_only: bool = False,
    others: bool = True,
    skip: Sequence[int] = (),
) -> list[str]:
    """Write the file.

    Args:
        target: its path.
        container: a value of FORMATS.
        media: the source.
        segments: of the new video.
        facts: of the source's video: the times.
        on_frame: called with the number of frames written.
        header_only: stop where the container has accepted every stream.
        others: copy the source's other streams, chapters and tags.
        skip: numbers of streams that are left out.

    Returns:
        What had to be left out, in words.

    Raises:
        UserError: a stream that matters cannot be stored in this container.
    """
    import av

    options = {"avoid_negative_ts": "disabled"}
    left_out = [f"{media.streams[k]} cannot be stored in {container}: it is left out" for k in skip]
    with opened(media.path) as source, opened(segments[0].path) as model:
        if container == "mpegts":
            options |= {"mpegts_copyts": "1", "muxdelay": "0"}
        if container in ("mp4", "mov"):
            # tags that phones write, as com.android.version or the place
            own = any(key.startswith("com.") for key in source.metadata)
            options["movflags"] = "faststart+use_metadata_tags" if own and others else "faststart"
        try:
            with av.open(str(target), "w", format=container, options=options) as output:
                routes, video = _lay_out(output, container, media, source, model, left_out, others, skip)
                if others:
                    output.metadata.update({k: v for k, v in source.metadata.items() if not STALE_FILE.match(k)})
                    output.set_chapters(source.chapters())
                output.start_encoding()
                if not header_only:
                    _copy(output, source, routes, video, _retimed(segments, facts, model), on_frame)
                aspect = Fraction(video.codec_context.sample_aspect_ratio or 0)
            if aspect and container == "matroska" and not header_only:
                matroska.set_display_size(target, aspect)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, av.error.FFmpegError) and not isinstance(
                error, av.error.ArgumentError | av.error.InvalidDataError
            ):
                raise UserError(f"cannot write {target}: {reason(error)}") from error
            hint = "" if container == "matroska" else "; try -o NAME.mkv"
            raise UserError(f"{container} cannot hold these streams: {reason(error)}{hint}") from error
    return left_out


def _lay_out(
    output: Any,
    container: str,
    media: Media,
    source: Any,
    model: Any,
    left_out: list[str],
    others: bool,
    skip: Sequence[int],
) -> tuple[dict[int, Any], Any]:
    """The output's streams in the source's order: source index -> output stream; and the video."""
    routes: dict[int, Any] = {}
    video = None
    for stream in media.streams:
        given = source.streams[stream.index]
        if stream.index == media.video:
            video = _add_video(output, container, given, model)
        elif not others or stream.index in skip or _is_made_anew(container, stream, given, media):
            continue
        elif stream.cover and container == "matroska":
            _attach_cover(output, given)
        else:
            made = _add_copy(output, container, stream, given, left_out)
            if made is not None:
                routes[stream.index] = made
    assert video is not None
    return routes, video


def _add_video(output: Any, container: str, given: Any, model: Any) -> Any:
    template = model.streams.video[0]
    try:
        video = output.add_stream_from_template(template, opaque=True)
    except ValueError as error:
        raise UserError(f"{container} cannot hold {template.codec_context.name} video; try -o NAME.mkv") from error
    video.time_base = given.time_base
    video.disposition = given.disposition
    video.metadata.update({key: value for key, value in given.metadata.items() if not STALE_VIDEO.match(key)})
    if given.average_rate:
        video.codec_context.framerate = given.average_rate
    if container in ("mp4", "mov") and template.codec_context.name == "hevc":
        video.codec_context.codec_tag = "hvc1"  # players of Apple know no other
    aspect = Fraction(template.sample_aspect_ratio or 0)
    if aspect:
        video.codec_context.sample_aspect_ratio = aspect
        if container == "matroska":
            video.metadata["title"] = video.metadata.get("title", "") + matroska.ROOM
    matrix = given.codec_context.coded_side_data.get("display_matrix")
    if matrix:
        video.set_display_matrix(memoryview(matrix).cast("i").tolist())
    return video


def _add_copy(output: Any, container: str, stream: Stream, given: Any, left_out: list[str]) -> Any:
    """The stream, copied; None where the container has no place for it and nobody misses it."""
    try:
        if stream.kind == "attachment" and container != "matroska":
            raise ValueError
        made = output.add_stream_from_template(given, opaque=True)
    except ValueError as error:
        if stream.kind in ("data", "unknown"):
            left_out.append(f"{stream} cannot be stored in {container}: it is left out")
            return None
        raise UserError(f"{stream} cannot be stored in {container}; try -o NAME.mkv") from error
    made.disposition = given.disposition
    made.metadata.update(given.metadata)
    if stream.kind != "attachment":
        made.time_base = given.time_base
    return made


def _is_made_anew(container: str, stream: Stream, given: Any, media: Media) -> bool:
    """mp4 shows chapters and the video's timecode a second time, as data streams; the muxer makes them itself."""
    if stream.kind != "data" or container not in ("mp4", "mov"):
        return False
    return "timecode" in given.metadata or bool(media.chapters and given.name == "bin_data")


def _attach_cover(output: Any, given: Any) -> None:
    """Matroska keeps covers as attachments."""
    name = given.metadata.get("filename", "cover.jpg")
    kind = {"png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}.get(given.codec_context.name, "image/jpeg")
    packet = next((packet for packet in given.container.demux(given) if packet.size), None)
    if packet is not None:
        output.add_attachment(name, given.metadata.get("mimetype", kind), bytes(packet))
    given.container.seek(0)


def _retimed(segments: Sequence[Packets], facts: Facts, model: Any) -> Iterator[Any]:
    """The new video's packets in the order of decoding, each with the time of the source's frame.

    A packet is decoded at the time of the frame as many frames earlier as the encoder reorders at most: never later
    than it is shown, and always after the one before it.
    """
    unit = Fraction(*facts.unit)
    times = facts.times
    count = sum(len(segment.order) for segment in segments)
    if count != facts.num_frames:
        raise UserError(f"the encoder made {count} frames of {facts.num_frames}: these arguments do not keep them")
    delay = max(k - rank for segment in segments for k, rank in enumerate(segment.order))
    step = max(1, (times[-1] - times[0]) // (len(times) - 1) if len(times) > 1 else facts.last)
    extradata = bytes(model.streams.video[0].codec_context.extradata or b"")
    for segment in segments:
        with opened(segment.path) as container:
            own = bytes(container.streams.video[0].codec_context.extradata or b"")
            if own != extradata:
                raise UserError(f"{segment.path}: was encoded otherwise than the segments before it: delete it")
            packets = (packet for packet in container.demux(video=0) if packet.pts is not None)
            for k, (rank, packet) in enumerate(zip(segment.order, packets, strict=True)):
                n, position = segment.first + rank, segment.first + k - delay
                packet.time_base = unit
                packet.pts = times[n]
                packet.dts = times[position] if position >= 0 else times[0] + position * step
                packet.duration = times[n + 1] - times[n] if n + 1 < len(times) else facts.last
                yield packet


def _copy(
    output: Any, source: Any, routes: dict[int, Any], video: Any, packets: Iterator[Any],
    on_frame: Callable[[int], None],
) -> None:  # fmt: skip
    """Everything in, in the order of time."""
    done = 0
    waiting = next(packets, None)

    def frames_until(time: Fraction | None) -> None:
        nonlocal done, waiting
        while waiting is not None and (time is None or waiting.dts * Fraction(waiting.time_base) <= time):
            waiting.stream = video
            output.mux_one(waiting)
            done += 1
            on_frame(done)
            waiting = next(packets, None)

    wanted = [source.streams[index] for index in routes if source.streams[index].type != "attachment"]
    if wanted:
        for packet in source.demux(wanted):
            if packet.size == 0:
                continue  # the end of a stream
            made = routes[packet.stream.index]
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None:
                frames_until(time * Fraction(packet.time_base))
            packet.stream = made
            output.mux_one(packet)
    frames_until(None)
