"""The demo: its sample clip, its subtitles, its sheet, and the whole way through vspipe and ffmpeg."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from vswipe.cli import main
from vswipe.demo import subtitle
from vswipe.demo.media import UserError, ffmpeg, find_ffmpeg, vspipe_to_ffmpeg, whole
from vswipe.demo.run import NAMES, PIXEL_FORMATS
from vswipe.demo.scene import Scene
from vswipe.demo.sheet import Moment, draw_sheet

WIDTH, HEIGHT = 112, 64
EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(WIDTH, HEIGHT)


def test_scene_is_the_same_in_any_order(scene: Scene) -> None:
    first = [scene.frame(n) for n in (0, 5)]
    again = [Scene(WIDTH, HEIGHT).frame(n) for n in (5, 0)]
    assert first[0].shape == (HEIGHT, WIDTH, 3)
    assert first[0].dtype == np.uint8
    assert np.array_equal(first[0], again[1])
    assert np.array_equal(first[1], again[0])


def test_scene_moves_and_has_texture(scene: Scene) -> None:
    frames = np.stack([scene.frame(n) for n in (0, 12)]).astype(float)
    ground = frames[:, HEIGHT * 4 // 5 :]
    assert np.abs(ground[0] - ground[1]).mean() > 4
    assert ground.std(axis=(1, 2)).min() > 8


@pytest.mark.parametrize("n", [0, 120, 240, 360, 5000])
def test_scene_fills_the_frame_however_far_the_camera_swings(scene: Scene, n: int) -> None:
    """No edge of the painting shows: a missing layer would leave the sky's rows under the horizon or black."""
    ground = scene.frame(n)[-2:].astype(float)
    _, green, blue = ground.mean(axis=(0, 1))
    assert green > blue
    assert ground.mean() > 30


@pytest.mark.parametrize("num_frames", [1, 2, 7, 20, 47, 48, 96, 97, 1000])
def test_schedule_fits_the_clip(num_frames: int) -> None:
    lines = subtitle.schedule(num_frames)
    assert lines
    assert all(0 <= line.first <= line.last < num_frames for line in lines)
    assert all(a.last + 1 < b.first for a, b in pairwise(lines)), "lines need a gap between them"


@pytest.mark.parametrize("num_frames", [1, 20, 48, 200])
def test_ffmpeg_shows_lines_when_the_mask_does(num_frames: int) -> None:
    lines = subtitle.schedule(num_frames)
    names = {
        "between": lambda n, low, high: low <= n <= high,
        "gte": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "mod": lambda a, b: a % b,
    }
    for n in range(num_frames):
        line = subtitle.shown(lines, n)
        for text in range(len(subtitle.TEXTS)):
            assert bool(eval(subtitle.when(num_frames, text), names, {"n": n})) == (
                line is not None and line.text == text
            )


def test_shown_by_hand() -> None:
    lines = subtitle.schedule(96)
    assert [(line.first, line.last, line.text) for line in lines] == [(6, 43, 0), (54, 91, 1)]
    assert [subtitle.shown(lines, n) for n in (5, 6, 43, 44, 54)] == [None, lines[0], lines[0], None, lines[1]]


@pytest.mark.parametrize(("width", "height"), [(640, 360), (180, 320), (32, 32)])
@pytest.mark.parametrize("system_fonts", [True, False])
def test_subtitle_fits_and_mask_covers_it(
    width: int, height: int, system_fonts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not system_fonts:
        monkeypatch.setattr(subtitle, "FONTS", ())
        assert isinstance(subtitle._font(12), ImageFont.FreeTypeFont)  # Pillow's own, at any size
    picture = subtitle.draw(subtitle.TEXTS[0], width, height)
    mask = subtitle.stroke_mask(picture)
    assert picture.shape == (height, width, 4)
    assert mask.shape == (height, width)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[picture[..., 3] > 0].min() == 255
    rows, columns = np.nonzero(picture[..., 3])
    if width > 32:
        assert rows.min() > height // 2
        assert columns.min() > 0
        assert columns.max() < width - 1
        assert (mask > 0).mean() < 0.25, "strokes, not boxes"


def test_mask_grows_by_one_pixel() -> None:
    picture = np.zeros((7, 7, 4), np.uint8)
    picture[3, 3, 3] = 1
    expected = np.zeros((7, 7), np.uint8)
    expected[2:5, 2:5] = 255
    assert np.array_equal(subtitle.stroke_mask(picture), expected)


@pytest.mark.parametrize("shape", [(36, 64, 3), (64, 36, 3), (1200, 900, 3)])
def test_sheet(shape: tuple[int, int, int]) -> None:
    colours = [np.full(shape, value, np.uint8) for value in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    sheet = draw_sheet([Moment(f"frame {n}", *colours) for n in range(2)], "title", "note")
    found = {count for count, colour in sheet.getcolors(1 << 24) if colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))}
    assert len(found) == 1, "three columns of one size"
    with pytest.raises(ValueError, match="draw_sheet: moments must not be empty, got none"):
        draw_sheet([], "title", "note")


def test_whole_renames_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole(path) as part:
        part.write_text("new")
        assert not path.exists()
        assert part.suffix == ".txt"
    assert path.read_text() == "new"

    def fail() -> None:
        with whole(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_ffmpeg_failing_while_being_fed() -> None:
    frames = (bytes(1 << 16) for _ in range(1000))
    with pytest.raises(UserError, match=r"cannot do it: .*nonsense"):
        ffmpeg(["-f", "nonsense", "-i", "-"], what="cannot do it", feed=frames)


def test_without_ffmpeg_on_path_the_wheel_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    find_ffmpeg.cache_clear()
    try:
        assert "imageio_ffmpeg" in find_ffmpeg()
    finally:
        find_ffmpeg.cache_clear()


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("raise ValueError('mistake in line one')", ["out.mkv"], "vspipe could not run .*mistake in line one"),
        (
            "import vapoursynth as vs; vs.core.std.BlankClip(format=vs.GRAY8).set_output()",
            ["-c:v", "nonsense", "out.mkv"],
            "nonsense",
        ),
    ],
)
def test_pipe_blames_the_one_that_failed(
    tmp_path: Path, vspipe: Path, script: str, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "broken.vpy"
    path.write_text(script)
    with pytest.raises(UserError, match=f"(?s){words}"):
        vspipe_to_ffmpeg(vspipe, path, arguments, lambda done: None)


def frames_of(path: Path) -> np.ndarray:
    """All samples of a video's frames, flat: (frames, samples)."""
    import vapoursynth as vs

    clip = vs.core.bs.VideoSource(str(path), cachemode=0)
    return np.stack([np.concatenate([np.asarray(plane).ravel() for plane in frame]) for frame in clip.frames()])


def test_demo_erases_its_subtitles(tmp_path: Path, vspipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "with space" / "demo"
    assert main(["demo", "-o", str(folder), "--frames", "10", "--height", str(HEIGHT)]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[:-1] == [str(folder / name) for name in NAMES]
    assert "10 frames of 114x64" in output.out.splitlines()[-1]
    assert "frames/s" in output.out.splitlines()[-1]
    assert sorted(file.name for file in folder.iterdir()) == sorted(NAMES), "nothing half-written, no index files"

    width, height = 114, 64
    luma = width * height
    before, mask, after = (frames_of(folder / name) for name in ("input.mkv", "mask.mkv", "output.mp4"))
    assert len(before) == len(mask) == len(after) == 10
    covered = mask > 127
    assert covered.any(axis=1).tolist() == [n not in (0, 9) for n in range(10)]
    changed = np.abs(before[:, :luma].astype(int) - after[:, :luma])
    assert changed[covered].mean() > 20, "the letters are still there"
    # H.264 moves what lies beside the letters a little; the filter itself does not (its own tests check that)
    assert changed[~covered].mean() < 4
    assert Image.open(folder / "sheet.png").width > 3 * width
    assert np.array_equal(np.asarray(Image.open(folder / "mask.png")).ravel() > 0, _union(width, height))

    for script, mask_name in (("inpaint_mask.vpy", "mask.mkv"), ("inpaint_png.vpy", "mask.png")):
        given = ["-a", f"clip={folder / 'input.mkv'}", "-a", f"mask={folder / mask_name}"]
        command = [vspipe, "-c", "y4m", *given, EXAMPLES / script, "-"]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        header = done.stdout.split(b"\n", 1)[0]
        assert header.startswith(b"YUV4MPEG2 "), "nothing but the video on stdout"
        assert b" W114 H64 " in header
        assert len(done.stdout.split(b"FRAME\n")) == 1 + 10

    # a second run writes over its own files without asking
    assert main(["demo", "-o", str(folder), "--frames", "2", "--height", "32"]) == 0
    assert len(frames_of(folder / "output.mp4")) == 2
    capsys.readouterr()


def _union(width: int, height: int) -> np.ndarray:
    pictures = (subtitle.draw(text, width, height) for text in subtitle.TEXTS)
    return np.logical_or.reduce([subtitle.stroke_mask(picture).ravel() > 0 for picture in pictures])


@pytest.mark.parametrize("kind", ["420", "444", "422p10"])
def test_demo_of_a_file(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    import vapoursynth as vs

    name, _ = PIXEL_FORMATS[kind]
    source, folder = tmp_path / 'it\'s "mine" 字幕.mkv', tmp_path / "out"
    look = ["-f", "lavfi", "-i", "testsrc2=size=65x49:rate=25", "-frames:v", "5"]
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    ffmpeg([*look, "-vf", f"format={name},{tags},setsar=4/3", "-c:v", "ffv1", source], what="making a clip")
    bytes_before = source.read_bytes()

    assert main(["demo", str(source), "-o", str(folder), "--frames", "50"]) == 0
    capsys.readouterr()
    assert source.read_bytes() == bytes_before
    given, made = (vs.core.bs.VideoSource(str(folder / file), cachemode=0) for file in ("input.mkv", "output.mp4"))
    assert (given.width, given.height, given.num_frames, given.fps) == (64, 48, 5, 25), "even, otherwise as it was"
    assert (
        given.format.id
        == vs.core.query_video_format(
            vs.YUV, vs.INTEGER, 10 if kind.endswith("p10") else 8, int(kind[:3] != "444"), int(kind[:3] == "420")
        ).id
    )
    assert (made.width, made.height, made.num_frames, made.fps) == (64, 48, 5, 25)
    for clip in (given, made):
        props = clip.get_frame(0).props
        colour = [int(props[key]) for key in ("_Matrix", "_Primaries", "_Transfer")]
        assert colour == [1, 1, 1]
        assert (props["_SARNum"], props["_SARDen"]) == (4, 3)
    assert (frames_of(folder / "mask.mkv") > 0).any(), "a short clip gets its subtitle as well"


def test_a_demo_does_not_write_over_its_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert main(["demo", "-o", str(folder), "--frames", "2", "--height", "32"]) == 0
    before = (folder / "output.mp4").read_bytes()
    capsys.readouterr()
    assert main(["demo", str(folder / "output.mp4"), "-o", str(folder)]) == 1
    assert "would be written over by its own demo" in capsys.readouterr().err
    assert (folder / "output.mp4").read_bytes() == before


def test_sound_alone_is_no_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ffmpeg(["-f", "lavfi", "-i", "sine=duration=0.2", tmp_path / "sound.wav"], what="making a sound")
    assert main(["demo", str(tmp_path / "sound.wav"), "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.endswith("sound.wav: there is no video in it\n")
