"""The command line: arguments, exit codes, where output goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vswipe
from vswipe.cli import main

COMMAND = [sys.executable, "-m", "vswipe"]


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"vswipe {vswipe.__version__}\n", "")


def test_help_shows_an_example() -> None:
    done = run("demo", "--help")
    assert done.returncode == 0
    assert "vswipe demo holiday.mp4" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["demo", "--frames", "0"], "--frames: must be a whole number of at least 1, got 0"),
        (["demo", "--frames", "many"], "--frames: must be a whole number of at least 1, got many"),
        (["demo", "--height", "8"], "--height: must be a whole number of at least 32, got 8"),
        (["erase-everything"], "invalid choice"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    output = capsys.readouterr()
    assert words in output.err
    assert output.out == ""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with some files that are no videos."""
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "words.mkv").write_text("not a video\n" * 50)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/output.mp4").write_text("precious")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.mkv"], "nothing.mkv: no such file"),
        (["mine"], "mine: is a folder, not a video"),
        (["empty.mkv"], "cannot read a video from empty.mkv: "),
        (["words.mkv"], "cannot read a video from words.mkv: "),
        (["-o", "words.mkv"], "words.mkv: is a file, not a folder"),
        (["-o", "words.mkv/deeper"], "cannot make the folder words.mkv/deeper: "),
        (["-o", "mine"], "mine already holds output.mp4, not made by `vswipe demo`"),
    ],
)
def test_errors_are_one_line(here: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *arguments]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("vswipe: ")
    assert words in output.err
    assert output.err.count("\n") == 1
    assert (here / "mine/output.mp4").read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="every folder is writable for root")
def test_read_only_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine").chmod(0o500)
    assert main(["demo", "-o", "mine"]) == 1
    assert "cannot write into mine: " in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_nothing_behind(tmp_path: Path, sent: signal.Signals) -> None:
    folder = tmp_path / "out"
    # far more frames than can be drawn while the test waits
    process = subprocess.Popen(
        [*COMMAND, "demo", "-o", str(folder), "--height", "64", "--frames", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell starts its background jobs, perhaps this test too, with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        stop_and_look(process, folder, sent)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def stop_and_look(process: subprocess.Popen[bytes], folder: Path, sent: signal.Signals) -> None:
    assert process.stderr is not None
    deadline = time.monotonic() + 60
    while not list(folder.glob(".input.part.mkv")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(sent)
    began = time.monotonic()
    stdout, stderr = process.communicate(timeout=30)
    assert time.monotonic() - began < 10  # 0.2 s on an idle machine
    assert (process.returncode, stdout, stderr) == (130, b"", b"vswipe: stopped\n")
    assert list(folder.iterdir()) == []
    with pytest.raises(ProcessLookupError):  # nobody of its process group is left
        os.killpg(process.pid, 0)
