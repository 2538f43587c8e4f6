"""Real files, made with ffmpeg, and what is in them, asked of ffprobe where there is one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vswipe.cli import main
from vswipe.jobs.process import find_ffmpeg

STANDIN = Path(__file__).parent / "standin"
SIZE = (64, 48)
BOX = (10, 32, 40, 10)  # what the masks cover: left, top, width, height


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for the engine in every process that is started, and no index among the user's caches."""
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    monkeypatch.setenv("VSWIPE_CACHE", str(tmp_path / "cache"))


def ffmpeg(*arguments: str | Path) -> None:
    """Run it; its output is shown when it fails."""
    done = subprocess.run([find_ffmpeg(), "-v", "error", "-y", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def probe(path: Path, *entries: str) -> Any:
    """ffprobe's answer as JSON."""
    program = shutil.which("ffprobe")
    if not program:
        pytest.skip("there is no ffprobe to check with")
    done = subprocess.run([program, "-v", "error", *entries, "-of", "json", path], capture_output=True, check=True)
    return json.loads(done.stdout)


def times(path: Path) -> dict[int, list[tuple[str, str]]]:
    """Stream -> presentation times and durations of its packets, in order of time."""
    found: dict[int, list[tuple[str, str]]] = {}
    for packet in probe(path, "-show_entries", "packet=stream_index,pts_time,duration_time")["packets"]:
        found.setdefault(packet["stream_index"], []).append(
            (packet.get("pts_time", ""), packet.get("duration_time", ""))
        )
    return {index: sorted(entries, key=lambda entry: float(entry[0] or 0)) for index, entries in found.items()}


def md5(path: Path) -> str:
    """Of all decoded frames of the video."""
    done = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", path, "-map", "0:V:0", "-f", "framemd5", "-fps_mode", "passthrough", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    lines = [line.split(b",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith(b"#")]
    return hashlib.md5(b"".join(lines)).hexdigest()


def num_frames(path: Path) -> int:
    """Decoded frames of the video."""
    command = [find_ffmpeg(), "-v", "error", "-i", path, "-map", "0:V:0", "-f", "framemd5", "-fps_mode", "passthrough"]
    done = subprocess.run([*command, "-"], capture_output=True, check=True)
    return sum(not line.startswith(b"#") for line in done.stdout.splitlines())


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """A picture that covers BOX."""
    path = tmp_path / "mask.png"
    left, top, width, height = BOX
    draw = f"drawbox={left}:{top}:{width}:{height}:white:fill"
    ffmpeg("-f", "lavfi", "-i", f"color=black:s={SIZE[0]}x{SIZE[1]}", "-frames:v", "1", "-vf", draw, path)
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A plain file: 40 frames of H.264 in Matroska."""
    path = tmp_path / "film.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate=25", "-frames:v", "40", "-c:v", "libx264", path
    )
    return path


@pytest.fixture
def erase(mask: Path) -> Callable[..., int]:
    """`vswipe erase INPUT --mask ...` in this process; returns the exit code."""

    def run(*arguments: str | Path) -> int:
        rest = list(map(str, arguments))
        split = rest.index("--") if "--" in rest else len(rest)
        return main(["erase", *rest[:split], "--mask", str(mask), "--device", "cpu", *rest[split:]])

    return run


def heed_interrupts() -> None:
    """Where tests run in the background, as `command &` of a script, what they start would not hear SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def started(mask: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The same in a process of its own, to be interrupted."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, delay: float = 0.0) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "vswipe",
            "erase",
            *map(str, arguments),
            "--mask",
            str(mask),
            "--device",
            "cpu",
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "DUMMY_DELAY": str(delay)}, preexec_fn=heed_interrupts if os.name == "posix" else None,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
