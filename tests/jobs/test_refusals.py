"""Files and places that do not work: one clear line, no output, the source untouched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vswipe.cli import main
from vswipe.jobs import graph
from vswipe.jobs.process import UserError

from .conftest import SIZE, checksum, ffmpeg, num_frames

MOVING = ("-f", "lavfi", "-i", f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate=25")


def refused(code: int, capsys: pytest.CaptureFixture[str], words: str, folder: Path | None = None, *names: str) -> None:
    """The command ended with one line that says why, and the folder holds nothing new."""
    output = capsys.readouterr()
    assert code == 1
    assert output.out == ""
    assert output.err.startswith("vswipe: ")
    assert output.err.count("\n") == 1, output.err
    assert words in output.err
    if folder:
        assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_interlaced(tmp_path: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "dvd.mpg"
    ffmpeg(*MOVING, "-frames:v", "12", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1", source)
    code = erase(source)
    refused(code, capsys, "must be progressive, frame 0 is interlaced (top field first); deinterlace it first")
    assert not list(tmp_path.glob("*.clean*"))
    assert erase(source, "--progressive") == 0
    assert num_frames(tmp_path / "dvd.clean.mkv") == 12


@pytest.mark.parametrize("name", ["cut.mkv", "cut.mp4"])
def test_cut_off(tmp_path: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str], name: str) -> None:
    whole, source = tmp_path / f"whole-{name}", tmp_path / name
    ffmpeg(*MOVING, "-t", "3", "-c:v", "libx264", "-g", "10", "-movflags", "faststart", whole)
    data = whole.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    refused(erase(source), capsys, "was cut off, ")
    assert not list(tmp_path.glob("*.clean*"))
    assert erase(source, "--salvage") == 0
    assert 10 < num_frames(tmp_path / f"cut.clean{source.suffix}") < 70


def test_mp4_without_its_index(tmp_path: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "cut.mp4"
    ffmpeg(*MOVING, "-t", "1", "-c:v", "libx264", source)
    source.write_bytes(source.read_bytes()[:-400])
    refused(erase(source), capsys, "it is no media file, or damaged", tmp_path, "cut.mp4", "mask.png")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mkv", b"", "empty.mkv: is empty, 0 bytes"),
        ("words.mkv", b"not a video\n" * 50, "it is no media file, or damaged"),
    ],
)
def test_no_media(
    tmp_path: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str], name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    refused(erase(tmp_path / name), capsys, words, tmp_path, name, "mask.png")


def test_a_bad_file_does_not_stop_the_others(
    tmp_path: Path, film: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "season"
    folder.mkdir()
    shutil.copy(film, folder / "b.mkv")
    (folder / "a.mkv").touch()
    (folder / "c.mkv").write_bytes(film.read_bytes()[:999])
    assert erase(folder) == 2
    output = capsys.readouterr()
    assert output.out.startswith(f"{folder / 'b.clean.mkv'}: 40 frames, 40 changed, ")
    assert f"vswipe: {folder / 'a.mkv'}: is empty, 0 bytes\n" in output.err
    assert output.err.endswith("vswipe: 1 of 3 files done\n")
    assert {path.name for path in folder.iterdir()} == {"a.mkv", "b.mkv", "c.mkv", "b.clean.mkv"}


def test_sound_alone(tmp_path: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", tmp_path / "sound.mkv")
    refused(erase(tmp_path / "sound.mkv"), capsys, "there is no video in it")


@pytest.mark.parametrize("name", ['it\'s "mine" 字幕 [x] %03d.mkv', "-o.mkv", "concat:a|b.mkv", "a\nb.mkv"])
def test_odd_names(
    tmp_path: Path, film: Path, erase: Callable[..., int], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "with space 'and\" quotes"
    folder.mkdir()
    source = folder / name
    shutil.copy(film, source)
    monkeypatch.chdir(folder)
    assert erase("./" + name if name.startswith("-") else name) == 0
    assert num_frames(source.with_name(source.stem + ".clean.mkv")) == 40
    assert len(list(folder.iterdir())) == 2
    assert checksum(source) == checksum(film)


def test_outputs_that_must_not_be_written(
    tmp_path: Path, film: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = checksum(film)
    refused(erase(film, "-o", film, "-y"), capsys, "is the input; it is never written over")
    os.link(film, tmp_path / "same.mkv")
    refused(erase(film, "-o", tmp_path / "same.mkv", "-y"), capsys, "is the input; it is never written over")
    (tmp_path / "taken.mkv").write_text("precious")
    refused(erase(film, "-o", tmp_path / "taken.mkv"), capsys, "taken.mkv: exists already; -y replaces it")
    assert (tmp_path / "taken.mkv").read_text() == "precious"
    refused(erase(film, "-o", tmp_path / "nowhere/x.mkv"), capsys, "nowhere: no such folder")
    refused(erase(film, "-o", tmp_path / "x.txt"), capsys, "x.txt: must end in one of .mkv, .mp4")
    refused(erase(film, "--", "-c:v", "nonsense"), capsys, "the encoder failed: ")
    refused(erase(film, "--", "-map", "0"), capsys, "-map after -- is not for the video encoder")
    refused(erase(film, "--region", "60,0,10,10"), capsys, "--region must lie inside the 64x48 frame, got 60,0,10,10")
    refused(erase(film, "--range", "30-40"), capsys, "--range must lie inside 0-39, got 30-40")
    assert checksum(film) == before
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "film.mkv", "mask.png", "same.mkv", "taken.mkv"}
    assert erase(film, "-o", tmp_path / "taken.mkv", "-y") == 0
    assert num_frames(tmp_path / "taken.mkv") == 40


def test_masks_that_do_not_fit(tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=white:s=32x32", "-frames:v", "1", tmp_path / "small.png")
    ffmpeg("-f", "lavfi", "-i", "color=white:s=64x48", "-frames:v", "7", "-c:v", "ffv1", tmp_path / "short.mkv")
    for name, words in (
        ("small.png", "the mask must have the size of the video, 64x48, got 32x32"),
        ("short.mkv", "the mask must have 1 frame or 40, as the video, got 7"),
    ):
        refused(main(["erase", str(film), "--mask", str(tmp_path / name)]), capsys, f"{name}: {words}")


def test_a_filter_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(graph.FILTERS, "subs", ("AutoNothing", "NothingMask"))
    for masks_only, name in ((False, "AutoNothing"), (True, "NothingMask")):
        with pytest.raises(UserError, match=f"core.wipe.{name}: this version of vswipe does not have it"):
            graph.need_filters(graph.Marks(("subs",)), masks_only=masks_only)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a small disk of its own: `disk("size=600k")`."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip("mounting a disk is not allowed here")
        mounted.append(place)
        return place

    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


def test_read_only_folder(
    film: Path, erase: Callable[..., int], disk: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    place = disk("size=2m")
    source = place / "film.mkv"
    shutil.copy(film, source)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    refused(erase(source), capsys, f"cannot write into {place}: Read-only file system", place, "film.mkv")
    assert erase(source, "-o", film.with_name("elsewhere.mkv")) == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="every folder is writable for root")
def test_folder_of_somebody_else(
    tmp_path: Path, film: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "theirs"
    place.mkdir(0o500)
    refused(erase(film, "-o", place / "x.mkv"), capsys, f"cannot write into {place}: ")


def test_full_disk(
    tmp_path: Path, film: Path, erase: Callable[..., int], disk: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Full at once, while segments are written, while they are put together; with more room the job goes on."""
    before = checksum(film)
    encoder = ("--", "-c:v", "ffv1", "-g", "1")
    assert erase(film, "-o", tmp_path / "elsewhere.mkv", *encoder) == 0
    size = (tmp_path / "elsewhere.mkv").stat().st_size
    capsys.readouterr()
    for room in (24 << 10, size * 6 // 10, size * 14 // 10):
        place = disk(f"size={room}")
        refused(erase(film, "-o", place / "film.mkv", "--segment", "8", *encoder), capsys, "o space left on device")
        assert not (place / "film.mkv").exists()
        assert checksum(film) == before
    assert len(list((place / ".film.mkv.vswipe").glob("0*.mkv"))) == 5, "finished segments are kept"
    subprocess.run(["mount", "-o", "remount,size=4m", place], check=True)
    assert erase(film, "-o", place / "film.mkv", "--segment", "8", *encoder) == 0
    assert num_frames(place / "film.mkv") == 40
    assert [path.name for path in place.iterdir()] == ["film.mkv"]
