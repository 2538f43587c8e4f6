"""Marks over time, plans and what may be changed in them, the preview page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vswipe.cli import main
from vswipe.jobs.events import EventFinder
from vswipe.jobs.plan import Event, Mask, Part, Plan, read_png, write_png
from vswipe.jobs.preview import page, pick
from vswipe.jobs.process import UserError

from .conftest import SIZE, ffmpeg, num_frames

WIDTH, HEIGHT = 160, 90
HELLO = [(20, 60, 8, 9), (30, 60, 8, 9), (42, 61, 6, 8)]  # letters of one line
OTHER = [(24, 60, 5, 9), (33, 62, 6, 7), (42, 60, 12, 9)]


def strokes(*boxes: tuple[int, int, int, int]) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for left, top, width, height in boxes:
        mask[top : top + height, left : left + width] = 255
    return mask


def found(kind: str, frames: dict[int, Mask]) -> list[Event]:
    finder = EventFinder(kind, HEIGHT)
    for n, mask in frames.items():
        finder.add(n, mask)
    return finder.finish()


def test_letters_are_one_mark_and_a_gap_makes_two() -> None:
    frames = {n: strokes(*HELLO) if n in (3, 4, 5, 8, 9) else strokes() for n in range(12)}
    events = found("subtitle", frames)
    assert [(event.first, event.last, event.box) for event in events] == [
        (3, 5, (20, 60, 28, 9)), (8, 9, (20, 60, 28, 9)),
    ]  # fmt: skip
    assert all(event.confidence == 1 for event in events)
    assert len(events[0].parts) == 1
    assert np.array_equal(read_png(events[0].parts[0].png), strokes(*HELLO)[60:69, 20:48])


def test_another_text_in_the_same_place_is_another_mark() -> None:
    events = found("subtitle", {n: strokes(*(HELLO if n < 4 else OTHER)) for n in range(8)})
    assert [(event.first, event.last) for event in events] == [(0, 3), (4, 7)]


def test_text_and_logo_far_apart_are_two_marks() -> None:
    events = found("mask", {n: strokes(*HELLO, (140, 5, 12, 10)) for n in range(3)})
    assert sorted(event.box for event in events) == [(20, 60, 28, 9), (140, 5, 12, 10)]


def test_a_moving_mark_is_one_with_many_parts() -> None:
    events = found("dynamic_logo", {n: strokes((10 + 6 * n, 20, 20, 10)) for n in range(6)})
    assert len(events) == 1
    assert [(part.first, part.box[0]) for part in events[0].parts] == [(n, 10 + 6 * n) for n in range(6)]
    assert events[0].box == (10, 20, 50, 10)


def plan_of(*events: Event) -> Plan:
    return Plan("film.mkv", WIDTH, HEIGHT, 12, (25, 1), events)


def line(first: int, last: int, **other: Any) -> Event:
    mask = strokes(*HELLO)[60:69, 20:48]
    part = Part(first, last, (20, 60, 28, 9), write_png(mask))
    return Event("subtitle", first, last, (20, 60, 28, 9), 0.9, (part,), **other)


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    logo = Event("logo", 0, 11, (140, 5, 12, 10), 0.5, (), 0.4, "logo.png")
    plan = plan_of(logo, line(3, 5), line(8, 9))
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    written = json.loads((tmp_path / "plan.json").read_text())
    assert (len(written["lines"]), written["lines"][0]["shown"]) == (2, "0:00:00.120 to 0:00:00.240")
    assert {key: written["logos"][0][key] for key in ("place", "alpha", "file")} == {
        "place": [140, 5, 12, 10], "alpha": 0.4, "file": "logo.png",
    }  # fmt: skip
    assert '"box": [20, 60, 28, 9]' in (tmp_path / "plan.json").read_text(), "easy to edit"


def test_edits_do_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan_of(line(3, 5)).save(path)
    values = json.loads(path.read_text())
    values["lines"][0] |= {"first": 2, "last": 7, "box": [20, 60, 10, 9]}
    values["lines"].append({"first": 10, "last": 10, "box": [0, 0, 5, 5]})
    path.write_text(json.dumps(values))
    paint = Plan.load(path).painter()
    whole = strokes(*HELLO)
    whole[:, 30:] = 0
    for n in range(12):
        mask = paint(n)
        if 2 <= n <= 7:
            assert np.array_equal(mask, whole), "held at both ends, cut off at the box"
        elif n == 10:
            assert np.array_equal(mask, strokes((0, 0, 5, 5))), "a line without strokes is its box"
        else:
            assert mask is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"first": 9, "last": 8}, "line 1: first and last must lie inside 0-11, got 9-8"),
        ({"box": [150, 0, 20, 5]}, "line 1: box must lie inside the 160x90 frame, got 150,0,20,5"),
        ({"kind": "cat"}, "line 1: kind must be one of subtitle, logo, dynamic_logo, mask, got cat"),
        ({"box": "left"}, "is no plan: ValueError"),
    ],
)
def test_mistakes_in_a_plan_are_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = tmp_path / "plan.json"
    plan_of(line(3, 5)).save(path)
    values = json.loads(path.read_text())
    values["lines"][0] |= change
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=re.escape(words)):
        Plan.load(path)
    path.write_text("{")
    with pytest.raises(UserError, match="is no plan"):
        Plan.load(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="is no plan of this version"):
        Plan.load(path)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A mask video for `film`: a box in frames 8 to 15 and another in 20 to 31."""
    path = tmp_path / "masks.mkv"
    draw = (
        "drawbox=10:32:40:10:white:fill:enable='between(n,8,15)',drawbox=4:4:12:8:white:fill:enable='between(n,20,31)'"
    )
    ffmpeg("-f", "lavfi", "-i", f"color=black:s={SIZE[0]}x{SIZE[1]}:r=25", "-frames:v", "40", "-vf",
           f"{draw},format=gray", "-c:v", "ffv1", path)  # fmt: skip
    return path


def frames_of(path: Path) -> np.ndarray:
    import vapoursynth as vs

    return np.stack([np.asarray(frame[0]) for frame in vs.core.bs.VideoSource(str(path), cachemode=0).frames()])


def test_analyse_edit_erase(tmp_path: Path, film: Path, masks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    assert main(["analyse", str(film), "--mask", str(masks), "-o", str(plan)]) == 0
    assert f"{plan}: 2 marks in 40 frames" in capsys.readouterr().out
    values = json.loads(plan.read_text())
    assert [(entry["first"], entry["last"], entry["box"]) for entry in values["lines"]] == [
        (8, 15, [10, 32, 40, 10]), (20, 31, [4, 4, 12, 8]),
    ]  # fmt: skip
    assert main(["analyse", str(film), "--mask", str(masks), "-o", str(plan)]) == 1
    assert "plan.json: exists already; -y replaces it" in capsys.readouterr().err

    assert main(["mask", str(film), "--plan", str(plan)]) == 0
    assert np.array_equal(frames_of(tmp_path / "film.mask.mkv"), frames_of(masks))

    del values["lines"][1]
    values["lines"][0]["last"] = 17
    plan.write_text(json.dumps(values))
    assert main(["erase", "--plan", str(plan), "--device", "cpu", "--", "-c:v", "ffv1"]) == 0
    changed = (frames_of(film) != frames_of(tmp_path / "film.clean.mkv")).any(axis=(1, 2))
    assert np.flatnonzero(changed).tolist() == list(range(8, 18))
    assert num_frames(tmp_path / "film.clean.mkv") == 40


def test_preview_in_a_browser(tmp_path: Path, film: Path, masks: Path) -> None:
    plan, target = tmp_path / "plan.json", tmp_path / "preview.html"
    assert main(["analyse", str(film), "--mask", str(masks), "-o", str(plan)]) == 0
    assert main(["preview", str(film), "--plan", str(plan), "-o", str(target), "--device", "cpu"]) == 0
    text = target.read_text()
    assert text.count('<section class="card"') == 2
    assert text.count("data:image/jpeg;base64,") == 2 * 5, "before, mask, after, and two to compare"
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", text), "nothing is loaded from elsewhere"
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not browser:
        pytest.skip("there is no chromium to open the page with")
    # moves the first slider, then counts what a reader would see
    script = """<script>
const slider = document.querySelector("input"); slider.value = 20; slider.dispatchEvent(new Event("input"));
document.body.dataset.clip = document.querySelector(".compare .after").style.clipPath;
document.body.dataset.loaded = [...document.images].filter(image => image.naturalWidth == 64).length;
document.body.dataset.bars = [...document.querySelectorAll("#timeline a")].map(bar => bar.style.left).join();
</script></body>"""
    target.write_text(text.replace("</body>", script))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *options, "--virtual-time-budget=3000", "--dump-dom", target.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    body = re.search(r"<body[^>]*>", done.stdout)
    assert body, done.stderr[-500:]
    assert 'data-ready="2"' in body[0]
    assert 'data-clip="inset(0px 0px 0px 20%)"' in body[0]
    assert 'data-loaded="10"' in body[0]
    assert 'data-bars="20%,50%"' in body[0]


def test_names_cannot_break_the_page() -> None:
    text = page('</script><b>"x"', plan_of(), [], {})
    assert "<b>" not in text
    assert "&lt;/script&gt;&lt;b&gt;&quot;x&quot;" in text


def test_pick_spreads_over_the_video() -> None:
    events = [line(n, n) for n in range(10)]
    assert [event.first for event in pick(events, 5)] == [0, 2, 4, 6, 8]
    assert pick(events, 20) == events
    assert pick(events, 0) == []


def test_a_plan_for_another_size(
    tmp_path: Path, film: Path, erase: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    plan_of(line(3, 5)).save(tmp_path / "plan.json")
    assert main(["erase", str(film), "--plan", str(tmp_path / "plan.json")]) == 1
    assert "the plan is for a video of 160x90, this one has 64x48" in capsys.readouterr().err
