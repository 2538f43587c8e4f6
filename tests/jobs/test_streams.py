"""What comes out is what went in: streams, times, tags, colour, and every sample outside the mask."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vswipe.jobs.process import find_ffmpeg
from vswipe.jobs.source import NO_TIME, fill_times

from .conftest import BOX, SIZE, checksum, ffmpeg, num_frames, probe, times

SOURCE = ("-f", "lavfi", "-i", f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate=25")
ASS = """[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour
Style: Default,Arial,20,&H00FFFFFF
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.20,0:00:00.90,Default,,0,0,0,,hello
"""
TAGS = """;FFMETADATA1
title=My film
[CHAPTER]
TIMEBASE=1/1000
START=0
END=500
title=One
[CHAPTER]
TIMEBASE=1/1000
START=500
END=1200
title=Two
"""
STREAM = "stream=index,codec_type,codec_name,start_pts,pix_fmt,width,height,sample_aspect_ratio,color_range,color_space"
STREAM += ",color_transfer,color_primaries,chroma_location,avg_frame_rate,r_frame_rate,time_base,field_order"
MUXERS_OWN = ("encoder", "duration", "handler_name", "vendor_id", "major_brand", "minor_version", "compatible_brands")


def described(path: Path) -> list[dict[str, object]]:
    """Streams with tags, dispositions and side data, without what every muxer writes anew."""
    streams = probe(path, "-show_entries", f"{STREAM}:stream_disposition:stream_tags:stream_side_data")["streams"]
    for stream in streams:
        tags = stream.get("tags", {})
        stream["tags"] = {key: value for key, value in tags.items() if key.lower() not in MUXERS_OWN}
    return streams


def test_matroska_with_everything(tmp_path: Path, erase: Callable[..., int]) -> None:
    """Two audio tracks (one with Opus' codec delay), subtitles, a font, a cover, chapters, tags, dispositions."""
    source, output = tmp_path / "film.mkv", tmp_path / "film.clean.mkv"
    (tmp_path / "s.ass").write_text(ASS)
    (tmp_path / "tags.txt").write_text(TAGS)
    (tmp_path / "f.ttf").write_bytes(bytes(range(256)) * 9)
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", tmp_path / "cover.jpg")
    inputs = ["-f", "lavfi", "-i", "sine", "-f", "lavfi", "-i", "sine=880"]
    inputs += ["-i", tmp_path / "s.ass", "-i", tmp_path / "tags.txt"]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map_metadata", "4", "-t", "1.2"]
    codecs = ["-c:v", "libx264", "-c:a:0", "aac", "-c:a:1", "libopus", "-c:s", "ass"]
    tags = ["-metadata:s:v", "title=Picture", "-metadata:s:a:0", "language=jpn", "-metadata:s:a:1", "title=Commentary"]
    tags += ["-disposition:v", "default", "-disposition:a:1", "comment", "-disposition:s", "forced"]
    files = ["-attach", tmp_path / "f.ttf", "-metadata:s:t:0", "mimetype=application/x-truetype-font"]
    files += ["-metadata:s:t:0", "filename=f.ttf", "-attach", tmp_path / "cover.jpg"]
    files += ["-metadata:s:t:1", "mimetype=image/jpeg", "-metadata:s:t:1", "filename=cover.jpg"]
    ffmpeg(*SOURCE, *inputs, *maps, *codecs, *tags, *files, source)
    before = checksum(source)

    assert erase(source, "--segment", "16") == 0
    assert checksum(source) == before
    assert described(output) == described(source)
    assert [stream["codec_type"] for stream in described(output)].count("audio") == 2
    assert times(output) == times(source)
    assert num_frames(output) == num_frames(source) == 30
    for question in (["-show_chapters"], ["-show_entries", "format_tags=title"]):
        assert probe(output, *question) == probe(source, *question)
    program = ["ffmpeg", "-v", "error", "-y", "-dump_attachment:t:0", tmp_path / "dumped.ttf", "-i", output]
    subprocess.run(program, capture_output=True)
    assert checksum(tmp_path / "dumped.ttf") == checksum(tmp_path / "f.ttf")
    listed = ["-show_entries", "packet=stream_index,data_hash", "-show_data_hash", "md5"]
    assert _hashes(output, listed) == _hashes(source, listed), "sound and subtitles are the very same bytes"
    assert sorted(path.name for path in tmp_path.glob("*.clean*")) == ["film.clean.mkv"], "nothing left beside it"
    assert not list(tmp_path.glob(".film*"))
    assert not list(tmp_path.glob("*.bsindex"))


def _hashes(path: Path, question: list[str]) -> list[tuple[int, str]]:
    packets = probe(path, *question)["packets"]
    return sorted((p["stream_index"], p["data_hash"]) for p in packets if p["stream_index"] > 0)


def test_phone_video(tmp_path: Path, erase: Callable[..., int]) -> None:
    """Every frame lasts differently long, the picture is to be turned, and the phone wrote tags of its own."""
    plain, source, output = tmp_path / "plain.mp4", tmp_path / "phone.mp4", tmp_path / "phone.clean.mp4"
    varied = [
        "-vf",
        "settb=1/90000,setpts='N*3003+mod(N*N,7)*211'",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/90000",
    ]
    ffmpeg(*SOURCE, "-f", "lavfi", "-i", "sine", "-t", "1", *varied, "-c:v", "libx264", "-bf", "2", "-c:a", "aac",
           "-video_track_timescale", "90000", plain)  # fmt: skip
    import av

    with av.open(str(plain)) as given, av.open(str(source), "w", options={"movflags": "use_metadata_tags"}) as made:
        made.metadata.update({"title": "hey", "com.android.version": "13"})
        routes = {}
        for stream in given.streams:
            routes[stream.index] = made.add_stream_from_template(stream, opaque=True)
            routes[stream.index].time_base = stream.time_base
        routes[0].set_display_rotation(90)
        for packet in given.demux():
            if packet.size:
                packet.stream = routes[packet.stream.index]
                made.mux_one(packet)

    assert erase(source, "--segment", "8") == 0
    before, after = described(source), described(output)
    # mp4 counts rates over the order of decoding, which is another encoder's own
    rates = [float(Fraction(stream[0].pop("avg_frame_rate"))) for stream in (before, after)]
    assert rates[1] == pytest.approx(rates[0], rel=0.03)
    for stream in (before, after):
        stream[0].pop("r_frame_rate")
    assert after == before
    assert "Display Matrix" in str(after)
    shown = [float(time) for time, _ in times(source)[0]]
    assert len({round(b - a, 5) for a, b in pairwise(shown)}) > 3, "the source has frames of different length"
    for index in (0, 1):
        assert [time for time, _ in times(output)[index]] == [time for time, _ in times(source)[index]]
    assert num_frames(output) == num_frames(source)
    tags = probe(output, "-show_entries", "format_tags")["format"]["tags"]
    assert (tags["title"], tags["com.android.version"]) == ("hey", "13")
    assert tags["major_brand"] == "isom"


HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


def test_hdr10(tmp_path: Path, erase: Callable[..., int]) -> None:
    source, output = tmp_path / "hdr.mkv", tmp_path / "hdr.clean.mkv"
    colour = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-color_range", "tv"]
    colour += ["-chroma_sample_location", "topleft"]
    ffmpeg(*SOURCE, "-frames:v", "12", "-pix_fmt", "yuv420p10le", *colour, "-c:v", "libx265",
           "-x265-params", f"log-level=error:{HDR}", source)  # fmt: skip
    assert erase(source) == 0
    assert described(output) == described(source)
    wanted = ["-show_frames", "-read_intervals", "%+#3", "-select_streams", "v:0"]
    after, before = ([frame["side_data_list"] for frame in probe(path, *wanted)["frames"]] for path in (output, source))
    sides = [str([data for data in frames[0] if "SEI" not in data["side_data_type"]]) for frames in (after, before)]
    assert sides[0] == sides[1]
    assert "'max_content': 1000" in sides[0]
    assert "34000/50000" in sides[0]
    stream = described(output)[0]
    assert (stream["pix_fmt"], stream["color_transfer"], stream["chroma_location"]) == (
        "yuv420p10le", "smpte2084", "topleft",
    )  # fmt: skip


FORMATS = {
    "yuv420p": ("libx264", "h264"),
    "yuv422p": ("libx264", "h264"),
    "yuv444p": ("libx264", "h264"),
    "yuv420p10le": ("ffv1", "hevc"),
    "yuv422p12le": ("ffv1", "hevc"),
    "gray": ("ffv1", "hevc"),
    "gbrp": ("libx265", "hevc"),
    "gray16le": ("ffv1", "ffv1"),
    "yuv444p16le": ("ffv1", "ffv1"),
}


@pytest.mark.parametrize("pixels", FORMATS)
def test_pixel_format_aspect_and_range(tmp_path: Path, erase: Callable[..., int], pixels: str) -> None:
    source, output = tmp_path / "film.mkv", tmp_path / "film.clean.mkv"
    encoder, made = FORMATS[pixels]
    tags = ["-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "pc"]
    tags += [] if pixels.startswith("g") else ["-colorspace", "bt709"]
    ffmpeg(*SOURCE, "-frames:v", "9", "-vf", "setsar=4/3", "-pix_fmt", pixels, *tags, "-c:v", encoder, source)
    assert erase(source) == 0
    before, after = described(source)[0], described(output)[0]
    assert after["codec_name"] == made
    same = ("pix_fmt", "sample_aspect_ratio", "color_range", "color_space", "color_transfer", "color_primaries")
    assert {key: after.get(key) for key in same} == {key: before.get(key) for key in same}
    assert times(output) == times(source)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p10le", "gbrp"])
def test_with_a_lossless_encoder_nothing_outside_the_mask_changes(
    tmp_path: Path, erase: Callable[..., int], pixels: str
) -> None:
    import vapoursynth as vs

    source, output = tmp_path / "film.mkv", tmp_path / "film.clean.mkv"
    ffmpeg(*SOURCE, "-frames:v", "10", "-pix_fmt", pixels, "-c:v", "ffv1", source)
    assert erase(source, "--range", "2-5", "--segment", "8", "--", "-c:v", "ffv1") == 0
    left, top, width, height = BOX
    before, after = (vs.core.bs.VideoSource(str(path), cachemode=0) for path in (source, output))
    assert after.format.id == before.format.id
    for n, (a, b) in enumerate(zip(before.frames(), after.frames(), strict=True)):
        apart = np.asarray(a[0]) != np.asarray(b[0])
        inside = np.zeros_like(apart)
        inside[top : top + height, left : left + width] = True
        assert not apart[~inside].any()
        assert apart[inside].any() == (2 <= n <= 5), n


def test_the_encoders_arguments_are_the_users(tmp_path: Path, film: Path, erase: Callable[..., int]) -> None:
    output = tmp_path / "small.mp4"
    assert erase(film, "-o", output, "--", "-c:v", "libx265", "-crf", "40", "-pix_fmt", "yuv420p10le") == 0
    stream = probe(output, "-show_streams")["streams"][0]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("hevc", "yuv420p10le")
    assert stream["codec_tag_string"] == "hvc1"


def test_mp4_with_chapters_cover_and_timecode(tmp_path: Path, erase: Callable[..., int]) -> None:
    """Chapters and timecode are data streams in mp4: each is there once, not twice."""
    source, output = tmp_path / "film.mp4", tmp_path / "film.clean.mp4"
    (tmp_path / "tags.txt").write_text(TAGS)
    (tmp_path / "s.srt").write_text("1\n00:00:00,200 --> 00:00:00,900\nhello\n")
    ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", tmp_path / "cover.jpg")
    inputs = ["-f", "lavfi", "-i", "sine", "-i", tmp_path / "s.srt", "-i", tmp_path / "tags.txt"]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-map", "4", "-map_metadata", "3", "-t", "1.2"]
    codecs = ["-c:v:0", "libx264", "-c:v:1", "copy", "-c:a", "aac", "-c:s", "mov_text"]
    tags = ["-disposition:v:1", "attached_pic", "-timecode", "01:00:00:00", "-metadata:s:a:0", "language=jpn"]
    ffmpeg(*SOURCE, *inputs, "-i", tmp_path / "cover.jpg", *maps, *codecs, *tags, source)
    assert erase(source) == 0

    def media(path: Path) -> list[Any]:
        return [{**stream, "index": 0} for stream in described(path) if stream["codec_type"] != "data"]

    assert media(output) == media(source)
    assert sum(bool(stream["disposition"]["attached_pic"]) for stream in media(output)) == 1
    assert probe(output, "-show_chapters") == probe(source, "-show_chapters")
    found: list[Any] = [stream for stream in described(output) if stream["codec_type"] == "data"]
    assert [stream["tags"].get("timecode") for stream in found] == [None, "01:00:00:00"]


def test_times_that_are_not_known_are_counted_on() -> None:
    step = Fraction(3600)
    assert fill_times([NO_TIME, 3600, NO_TIME, NO_TIME, 14500], step) == [0, 3600, 7200, 10800, 14500]
    assert fill_times([5, 7], step) == [5, 7]


def test_transport_stream(tmp_path: Path, erase: Callable[..., int]) -> None:
    source, output = tmp_path / "tv.ts", tmp_path / "tv.clean.ts"
    ffmpeg(*SOURCE, "-f", "lavfi", "-i", "sine", "-t", "1", "-c:v", "libx264", "-c:a", "aac", source)
    assert erase(source) == 0
    assert [entry[0] for entry in times(output)[0]] == [entry[0] for entry in times(source)[0]]
    assert [entry[0] for entry in times(output)[1]] == [entry[0] for entry in times(source)[1]]


def test_another_container_says_what_it_cannot_hold(
    tmp_path: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "film.mkv"
    (tmp_path / "s.ass").write_text(ASS)
    ffmpeg(*SOURCE, "-i", tmp_path / "s.ass", "-t", "0.4", "-c:v", "libx264", "-c:s", "ass", source)
    assert erase(source, "-o", tmp_path / "film.mp4") == 1
    error = capsys.readouterr().err
    assert "vswipe: stream 1 (subtitle, ass) cannot be stored in mp4; try -o NAME.mkv\n" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "film.mkv", "mask.png", "s.ass"]


def test_avi_goes_to_matroska(tmp_path: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "old.avi"
    ffmpeg(*SOURCE, "-f", "lavfi", "-i", "sine", "-t", "0.6", "-c:v", "mpeg4", "-c:a", "mp3", source)
    assert erase(source) == 0
    output = tmp_path / "old.clean.mkv"
    assert capsys.readouterr().out.startswith(f"{output}: ")
    assert num_frames(output) == num_frames(source)
    assert [stream["codec_type"] for stream in described(output)] == ["video", "audio"]


def test_without_ffmpeg_and_ffprobe_on_path(
    tmp_path: Path, film: Path, erase: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel's ffmpeg encodes; nothing else is asked for."""
    path = tmp_path / "nothing"
    path.mkdir()
    with monkeypatch.context() as context:
        context.setenv("PATH", str(path))
        find_ffmpeg.cache_clear()
        try:
            assert "imageio_ffmpeg" in find_ffmpeg()
            assert erase(film) == 0
        finally:
            find_ffmpeg.cache_clear()
    assert times(film.with_name("film.clean.mkv")) == times(film)
