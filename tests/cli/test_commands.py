"""Arguments and what is printed where; the work itself is tested beside the jobs."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vswipe.cli import COMMANDS, build_parser, main
from vswipe.cli.erase import EXAMPLES
from vswipe.jobs import erase as job_module
from vswipe.jobs.batch import exit_code, expand, output_for, run_all
from vswipe.jobs.erase import Done, Job
from vswipe.jobs.process import UserError
from vswipe.jobs.report import Report

NAMES = ("erase", "analyse", "preview", "mask", "demo", "models", "doctor", "completion")


@pytest.mark.parametrize("name", NAMES)
def test_every_help_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    output = capsys.readouterr().out
    assert f"vswipe {name}" in output.split("example", 1)[1]
    assert len(COMMANDS) == len(NAMES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["erase"], "the following arguments are required: INPUT"),
        (["erase", "a.mkv"], "say what to erase: --subs, --logo, --dynamic-logo, --mask FILE or --plan FILE"),
        (["erase", "a.mkv", "--subs", "--region", "1,2,3"], "--region: must be left,top,width,height in pixels, got"),
        (["erase", "a.mkv", "--subs", "--region", "1,2,0,4"], "--region: must be left,top,width,height in pixels, got"),
        (["erase", "a.mkv", "--subs", "--range", "9-3"], "--range: must be the first and the last frame as 100-250"),
        (["erase", "a.mkv", "--subs", "--grain", "2"], "--grain: must be a number from 0 to 1, got 2"),
        (["erase", "a.mkv", "--subs", "--segment", "1"], "--segment: must be a whole number of at least 8, got 1"),
        (["erase", "a.mkv", "--subs", "--"], "after -- there must be arguments for the encoder"),
        (["models", "--", "-crf", "1"], "-- and arguments for an encoder belong to `vswipe erase`"),
        (["mask", "a.mkv"], "say which mask"),
        (["completion", "fish"], "invalid choice"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    output = capsys.readouterr()
    assert words in output.err
    assert output.out == ""


def test_commands_in_the_documentation_are_understood() -> None:
    """Every `vswipe ...` in a block of code has the commands and options that there are."""
    root = Path(__file__).parents[2]
    texts = [path.read_text(encoding="utf-8") for path in (root / "README.md", *sorted((root / "docs").glob("*.md")))]
    lines = [line for text in texts for line in re.findall(r"^    (?:uv run )?vswipe (.+)$", text, re.MULTILINE)]
    lines += re.findall(r"^  vswipe (.+)$", EXAMPLES, re.MULTILINE)
    assert len(lines) > 10
    parser = build_parser()
    for line in lines:
        given = shlex.split(line.split("   ")[0], comments=True)
        given = given[: given.index("--")] if "--" in given else given
        if given != ["COMMAND", "--help"]:
            parser.parse_args(given)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs are noted down instead of done; those of files called bad... fail."""
    seen: list[Job] = []

    def run(job: Job, report: Report) -> Done:
        seen.append(job)
        report.phase("erasing", 4, 1)
        report.note("a note with [brackets]")
        report.advance(3)
        if job.source.name.startswith("bad"):
            raise UserError(f"{job.source}: is bad")
        return Done(job.output, 4, 2, 1)

    monkeypatch.setattr(job_module, "run_job", run)
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mkv", "bad.mp4", "c.avi", "notes.txt", "old.clean.mkv", ".hidden.mkv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    return tmp_path


def test_one_file(folder: Path, jobs: list[Job], capsys: pytest.CaptureFixture[str]) -> None:
    region = ["--region", "1,2,3,4", "--region", "5,6,7,8", "--range", "0-9"]
    rest = ["--dilate", "2", "--fp16", "--", "-c:v", "libx265", "-crf", "16"]
    assert main(["erase", str(folder / "a.mkv"), "--subs", "--logo", *region, *rest]) == 0
    (job,) = jobs
    assert job.output == folder / "a.clean.mkv"
    assert job.marks.kinds == ("subs", "logo")
    assert job.marks.regions == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert job.marks.ranges == ((0, 9),)
    assert job.marks.options == {"dilate": 2, "fp16": 1}
    assert job.encoder == ("-c:v", "libx265", "-crf", "16")
    assert not job.overwrite
    output = capsys.readouterr()
    assert output.out.startswith(f"{folder / 'a.clean.mkv'}: 4 frames, 2 changed, ")
    assert output.err == "vswipe: a note with [brackets]\n"


def test_quiet_and_json(folder: Path, jobs: list[Job], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["erase", str(folder / "a.mkv"), "--subs", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["erase", str(folder / "a.mkv"), "--subs", "--json"]) == 0
    output = capsys.readouterr()
    events = [json.loads(text) for text in output.out.splitlines()]
    assert [event["event"] for event in events] == ["file", "phase", "note", "progress", "done"]
    assert events[3] == {"event": "progress", "what": "erasing", "done": 4, "total": 4}
    assert (events[4]["frames"], events[4]["masked"], events[4]["resumed"]) == (4, 2, 1)
    assert output.err == ""
    assert main(["erase", str(folder / "bad.mp4"), "--subs", "--quiet"]) == 1
    assert capsys.readouterr().err == f"vswipe: {folder / 'bad.mp4'}: is bad\n"


def test_a_folder(folder: Path, jobs: list[Job], capsys: pytest.CaptureFixture[str]) -> None:
    """One bad file does not stop the rest; the exit code says how many failed."""
    (folder / "bad2.mkv").write_text("x")
    assert main(["erase", str(folder), "--subs", "-o", str(folder / "new/deep"), "-y"]) == 2
    assert [job.source.name for job in jobs] == ["a.mkv", "bad.mp4", "bad2.mkv", "c.avi"]
    assert [job.output.name for job in jobs] == ["a.clean.mkv", "bad.clean.mp4", "bad2.clean.mkv", "c.clean.mkv"]
    assert {job.output.parent for job in jobs} == {folder / "new/deep"}
    error = capsys.readouterr().err
    assert f"vswipe: {folder / 'bad.mp4'}: is bad\n" in error
    assert error.endswith("vswipe: 2 of 4 files done\n")
    assert main(["erase", str(folder / "sub"), "--subs"]) == 1
    assert "sub: there is no video in this folder" in capsys.readouterr().err


def test_two_inputs_do_not_share_an_output(folder: Path, jobs: list[Job], capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.mkv").write_text("x")
    assert main(["erase", str(folder / "c.avi"), str(folder / "c.mkv"), "--subs", "-y"]) == 1
    assert len(jobs) == 1
    assert "c.clean.mkv: is the output of another input of this run" in capsys.readouterr().err


def test_batch_by_hand(folder: Path) -> None:
    assert [path.name for path in expand([folder / "a.mkv", folder])] == ["a.mkv", "bad.mp4", "c.avi"]
    assert output_for(Path("x/film.mp4"), None) == Path("x/film.clean.mp4")
    assert output_for(Path("x/film.wmv"), None) == Path("x/film.clean.mkv")
    assert output_for(Path("x/film.mp4"), Path("y.mkv")) == Path("y.mkv")
    assert output_for(Path("x/film.mp4"), folder) == folder / "film.clean.mp4"

    def fail(source: Path) -> None:
        raise OSError(28, "No space left on device", str(source))

    outcomes = run_all([Path("film.mkv")] * 250, fail)
    assert outcomes[0].error == "film.mkv: No space left on device"
    assert exit_code(outcomes) == 100
    assert exit_code([]) == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    output = capsys.readouterr().out
    assert "dynamic" in output
    assert all(name in output for name in NAMES)


def test_completion_is_valid_bash() -> None:
    import shtab

    text = shtab.complete(build_parser(), "bash")
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True).returncode == 0


def test_models_tells_size_hash_and_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "extra.safetensors").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("| file | score |\n|---|---|\n| `extra.safetensors` | 31.2 dB, CC-BY |\n")
    monkeypatch.setenv("VSWIPE_MODELS", str(tmp_path))
    assert main(["models", "--json"]) == 0
    models = {entry["name"]: entry for entry in map(json.loads, capsys.readouterr().out.splitlines())}
    assert models["copy"]["installed"]
    assert [name for name, model in models.items() if model["auto"]] == ["wipe"]
    assert models["extra"]["bytes"] == 7
    assert models["extra"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert models["extra"]["card"] == "31.2 dB, CC-BY"
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "extra " in out
    assert out.count('what model="auto" means here') == 1


def test_doctor() -> None:
    done = subprocess.run([sys.executable, "-m", "vswipe", "doctor"], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout
    for words in ("ok   vswipe: ", "ok   ffmpeg: ", "ok   vswipe's plugin: core.wipe: ", "ok   devices: cpu"):
        assert words in done.stdout
    assert "ok   self test: 12 frames in " in done.stdout
