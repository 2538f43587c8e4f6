"""Broken off and gone on with: the same frames as in one go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vswipe.jobs.segments import grid, job_folder, runs

from .conftest import ffmpeg, md5, num_frames

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
DELAY = 0.2  # seconds per frame: 40 frames last long enough to be interrupted, also on a busy machine


def wait_for(what: Callable[[], object], process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """Processes it started, and those they did."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += [int(status.parent.name), *children_of(int(status.parent.name))]
    return found


def whole_segments(folder: Path) -> list[Path]:
    """Segments under their final names."""
    return [path for path in folder.glob("0*[0-9].mkv") if "part" not in path.name]


def command_of(pid: int) -> bytes:
    """A process's command line; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_broken_off_and_gone_on_with(
    film: Path, started: Callable[..., subprocess.Popen[str]], erase: Callable[..., int], sent: signal.Signals,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    output, whole = film.with_name("film.clean.mkv"), film.with_name("whole.mkv")
    folder = job_folder(output)
    process = started(film, "--segment", "8", delay=DELAY)
    # Not until a part file is seen: the encoder holds so few frames back, and writes it at the end only.
    wait_for(lambda: len(whole_segments(folder)) >= 2, process)
    time.sleep(3 * DELAY)  # in the middle of the next one
    others = children_of(process.pid)
    assert others
    began = time.monotonic()
    process.send_signal(sent)
    process.communicate(timeout=20)
    took = time.monotonic() - began
    assert not output.exists()
    assert process.returncode == (-9 if sent == signal.SIGKILL else 130)
    if sent != signal.SIGKILL:
        assert took < 2, "0.7 s on a busy machine"
        assert not list(folder.glob("*.part.*")), "half a segment is of no use"
    wait_for_end = time.monotonic() + 5
    while any(map(alive, others)) and time.monotonic() < wait_for_end:
        time.sleep(0.05)
    assert not any(map(alive, others)), "nobody is left at work"
    there = {path.name: path.stat().st_mtime_ns for path in whole_segments(folder)}
    assert 2 <= len(there) < 5

    assert erase(film, "--segment", "8", "--json") == 0
    seen = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    start = next(event for event in seen if event["event"] == "rendering")
    assert start["done"] == 8 * len(there)
    assert start["segments"] == 5 - len(there)
    assert not folder.exists()
    assert erase(film, "-o", whole, "--segment", "8") == 0
    assert md5(output) == md5(whole)
    assert num_frames(output) == 40


def test_another_job_starts_anew(
    film: Path, started: Callable[..., subprocess.Popen[str]], erase: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """What an earlier run made with other settings is of no use, nor is what another is about to make."""
    folder = job_folder(film.with_name("film.clean.mkv"))
    process = started(film, "--segment", "8", delay=DELAY)
    wait_for(lambda: list(folder.glob("000000000.mkv")), process)
    assert erase(film, "--segment", "8") == 1
    assert "another vswipe is at work on this output" in capsys.readouterr().err
    process.kill()
    process.communicate()
    assert erase(film, "--segment", "8", "--json", "--", "-c:v", "libx264", "-crf", "30") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert next(event for event in events if event["event"] == "rendering")["done"] == 0


def test_a_segment_begins_with_a_key_frame(film: Path, erase: Callable[..., int]) -> None:
    import av

    assert erase(film, "--segment", "16") == 0
    with av.open(str(film.with_name("film.clean.mkv"))) as container:
        shown = sorted((packet.pts, packet.is_keyframe) for packet in container.demux(video=0) if packet.size)
    assert [n for n, (_, key) in enumerate(shown) if key] == [0, 16, 32]


def test_a_worker_that_dies_is_told_of(film: Path, started: Callable[..., subprocess.Popen[str]]) -> None:
    process = started(film, "--segment", "8", delay=DELAY)
    folder = job_folder(film.with_name("film.clean.mkv"))
    wait_for(lambda: whole_segments(folder), process)
    workers = [pid for pid in children_of(process.pid) if b"vswipe.jobs.worker" in command_of(pid)]
    assert workers, "the job was over before anything could happen to it"
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "vswipe: the process that renders failed: " in error
    assert "Traceback" not in error


def test_grid_and_runs_by_hand() -> None:
    assert grid(20, 8) == [range(0, 8), range(8, 16), range(16, 20)]
    assert runs([range(0, 8), range(8, 16), range(24, 32)]) == [[range(0, 8), range(8, 16)], [range(24, 32)]]


def test_index_is_kept_away_from_the_video(tmp_path: Path, film: Path, erase: Callable[..., int]) -> None:
    assert erase(film) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"film.mkv", "film.clean.mkv", "mask.png", "cache"}
    (index,) = (tmp_path / "cache/index").iterdir()
    before = index.stat().st_mtime_ns
    ffmpeg("-i", film, "-c", "copy", "-metadata", "title=other", tmp_path / "new.mkv")
    os.replace(tmp_path / "new.mkv", film)
    assert erase(film, "-y") == 0
    assert index.stat().st_mtime_ns == before
    assert len(list((tmp_path / "cache/index").iterdir())) == 2, "a file that changed has an index of its own"
