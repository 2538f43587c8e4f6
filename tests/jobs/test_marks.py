"""The kinds of marks through the command line, with the real engine and the weights that are shipped."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vswipe.cli import main
from vswipe.demo import subtitle
from vswipe.demo.scene import Scene
from vswipe.nets.textseg import WEIGHTS
from vswipe.nets.weights import places as weight_places

from .conftest import md5
from .drawn import Planes, equal_outside, error_inside, film, frames_of, grown, halved, over, pan, programme

LOSSLESS = ("--", "-c:v", "ffv1", "-g", "1")


@pytest.fixture(autouse=True)
def real_engine(places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stand-in in the processes that are started."""
    monkeypatch.delenv("PYTHONPATH")


def erase(source: Path, *arguments: str | Path) -> list[Planes]:
    """`vswipe erase` with a lossless encoder; the frames it made."""
    output = source.with_name("clean.mkv")
    assert main(["erase", str(source), "-o", str(output), "-y", *map(str, arguments), *LOSSLESS]) == 0
    return frames_of(output)


# --- subtitles

TITLED = range(10, 34)


@pytest.mark.skipif(not any((f / WEIGHTS).is_file() for f in weight_places()), reason=f"{WEIGHTS} is not installed")
def test_subtitles_go_and_nothing_else_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    width, height, length = 320, 180, 44
    scene = Scene(width, height)
    clean = []
    for n in range(length):
        packed = cv2.cvtColor(scene.frame(n), cv2.COLOR_RGB2YUV_I420)
        clean.append([packed[:height], *packed[height:].reshape(2, height // 2, width // 2)])
    picture = subtitle.draw(subtitle.TEXTS[0], width, height).astype(np.float32)
    alpha, ink = picture[..., 3] / 255, picture[..., 0] * 219 / 255 + 16
    marked = []
    for n, (y, u, v) in enumerate(clean):
        if n in TITLED:
            small = halved(alpha)
            y = np.rint((1 - alpha) * y + alpha * ink).astype(np.uint8)
            u, v = (np.rint((1 - small) * plane + small * 128).astype(np.uint8) for plane in (u, v))
        marked.append([y, u, v])
    made = erase(film(tmp_path / "film.mkv", marked), "--subs")
    strokes, left = alpha > 0.1, []
    for n in range(length):
        if n not in TITLED:
            assert all(np.array_equal(a, b) for a, b in zip(made[n], marked[n], strict=True)), n
            continue
        # The mask may take in what touches the letters; Inpaint grows it by a pixel, and chroma comes in twos.
        assert equal_outside(made[n], marked[n], grown(strokes, 8)), n
        left.append(error_inside(made[n], clean[n], strokes) / error_inside(marked[n], clean[n], strokes))
    assert max(left) < 0.25, "share of the error that doing nothing has"
    assert f"clean.mkv: 44 frames, {len(TITLED)} changed" in capsys.readouterr().out


# --- logos that stand still

SIZE = (192, 120)
PLACE = (140, 20, 35, 30)  # left, top, width, height
ALPHA = 0.5


def opacity() -> np.ndarray:
    out = np.zeros(SIZE[::-1], np.float32)
    left, top, width, height = PLACE
    out[top : top + height, left : left + width] = ALPHA
    return cv2.GaussianBlur(out, (0, 0), 0.8)


@pytest.fixture(scope="module")
def clean_programme() -> list[Planes]:
    return programme(24, 4, *SIZE)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory, clean_programme: list[Planes]) -> Path:
    """A folder with a programme that has a translucent logo in every frame, and its plan with the logo's file."""
    folder = tmp_path_factory.mktemp("analysed")
    source = film(folder / "film.mkv", [over(frame, opacity(), (235, 128, 128)) for frame in clean_programme])
    with pytest.MonkeyPatch.context() as context:
        context.setenv("VSWIPE_CACHE", str(folder / "cache"))
        context.delenv("PYTHONPATH", raising=False)
        assert main(["analyse", str(source), "--logo", "-o", str(folder / "plan.json"), "--quiet"]) == 0
    return folder


@pytest.fixture
def branded(tmp_path: Path, analysed: Path) -> Path:
    """The film, a copy of its own."""
    return Path(shutil.copy(analysed / "film.mkv", tmp_path))


@pytest.fixture
def planned(tmp_path: Path, analysed: Path) -> Path:
    """Its plan, with the logo's file beside it."""
    for path in analysed.glob("plan*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "plan.json"


def test_a_logo_is_divided_out_and_so_by_its_plan(branded: Path, planned: Path, clean_programme: list[Planes]) -> None:
    marked = frames_of(branded)
    made = erase(branded, "--logo")
    inside = opacity() > 0.05
    for before, after, clean in zip(marked, made, clean_programme, strict=True):
        assert equal_outside(before, after, grown(inside, 4))
        assert error_inside(after, clean, inside) < min(6, 0.15 * error_inside(before, clean, inside))
    whole = md5(branded.with_name("clean.mkv"))

    (logo,) = json.loads(planned.read_text())["logos"]
    assert (logo["first"], logo["last"], logo["file"]) == (0, 95, "plan.logo1.npz")
    assert logo["alpha"] == pytest.approx(ALPHA, abs=0.1)
    assert all(abs(a - b) <= 4 for a, b in zip(logo["place"], PLACE, strict=True))
    assert sorted(path.name for path in planned.parent.glob("plan*")) == [
        "plan.json", "plan.logo1.npz", "plan.logo1.png",
    ]  # fmt: skip
    erase(branded, "--plan", planned)
    assert md5(branded.with_name("clean.mkv")) == whole, "divided out by its file, the very same"


def edit(plan: Path, **changes: object) -> None:
    values = json.loads(plan.read_text())
    values["logos"][0] |= changes
    plan.write_text(json.dumps(values))


def test_what_may_be_changed_of_a_logo(
    branded: Path, planned: Path, clean_programme: list[Planes], capsys: pytest.CaptureFixture[str]
) -> None:
    marked = frames_of(branded)
    changed = planned.with_name("plan.logo1.npz")
    (planned.parent / "elsewhere").mkdir()
    changed.rename(planned.parent / "elsewhere/station.npz")
    assert main(["erase", str(branded), "--plan", str(planned), "-y"]) == 1
    assert "plan.json: file of a logo must exist, got plan.logo1.npz; null fills" in capsys.readouterr().err
    # another place for the file, fewer frames, the upper half only
    left, top, width, height = json.loads(planned.read_text())["logos"][0]["place"]
    edit(planned, file="elsewhere/station.npz", first=8, last=20, place=[left, top, width, height // 2 // 2 * 2])
    half = np.zeros(SIZE[::-1], bool)
    half[top // 2 * 2 : top + height // 2 // 2 * 2 + 2, left // 2 * 2 : -(-(left + width) // 2) * 2] = True
    inside = half & (opacity() > 0.3) & ~grown(~half, 3)
    for n, (before, after) in enumerate(zip(marked, erase(branded, "--plan", planned), strict=True)):
        if 8 <= n <= 20:
            assert equal_outside(before, after, half)
            assert error_inside(after, clean_programme[n], inside) < 6
        else:
            assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), n
    # the command line narrows it as well
    region = ["--region", "0,0,150,120", "--region", "160,0,32,120"]
    parts = np.zeros(SIZE[::-1], bool)
    parts[:, :150] = parts[:, 160:] = True
    for before, after in zip(marked[8:21], erase(branded, "--plan", planned, *region)[8:21], strict=True):
        assert equal_outside(before, after, half & parts)
        assert not np.array_equal(before[0], after[0])
    # without its file it is filled by its strokes
    edit(planned, file=None, first=40, last=41, place=[left, top, width, height])
    made = erase(branded, "--plan", planned)
    assert [n for n in range(96) if not np.array_equal(made[n][0], marked[n][0])] == [40, 41]


def test_a_logo_in_the_preview(branded: Path, planned: Path, clean_programme: list[Planes]) -> None:
    page = branded.with_name("preview.html")
    assert main(["preview", str(branded), "--plan", str(planned), "-o", str(page)]) == 0
    pictures = re.findall(r'class="(before|after)" src="data:image/jpeg;base64,([^"]+)"', page.read_text())
    truth, inside = clean_programme[47][0].astype(np.float64), opacity() > 0.4  # the middle frame

    def off(name: str) -> float:
        data = next(base64.b64decode(text) for word, text in pictures if word == name)
        gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) * (219 / 255) + 16
        return float(np.abs(gray - truth)[inside].mean())

    assert off("after") < 6 < 20 < off("before")


def test_plans_do_not_run_over_files(branded: Path, planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned.unlink()
    assert main(["analyse", str(branded), "--logo", "-o", str(planned)]) == 1
    assert "plan.logo1.npz: exists already; -y replaces it" in capsys.readouterr().err
    assert not planned.exists()


def test_what_was_not_found_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = pan(16, 96, 64)
    moving, still = film(tmp_path / "film.mkv", clips), film(tmp_path / "still.mkv", [clips[0]] * 16)
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((64, 96), np.uint8))
    made = erase(moving, "--mask", tmp_path / "black.png")
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(made, clips, strict=True))
    assert "vswipe: nothing was found to erase: the video is only encoded anew" in capsys.readouterr().err
    erase(still, "--logo")
    assert "vswipe: too little moves in the video to tell a logo from the scene" in capsys.readouterr().err
    assert main(["analyse", str(still), "--logo"]) == 0
    output = capsys.readouterr()
    assert "vswipe: too little moves in the video" in output.err
    assert "still.plan.json: 0 marks in 16 frames" in output.out


# --- marks that blink or move

AT = (110, 12)
SHOWN = [n % 14 < 8 for n in range(42)]


def badge() -> tuple[np.ndarray, np.ndarray]:
    """Levels (H, W), and where they cover a frame of 160x90."""
    look, mask = np.full((90, 160), 210, np.uint8), np.zeros((90, 160), np.uint8)
    centre = (AT[0] + 12, AT[1] + 12)
    cv2.circle(mask, centre, 10, 1, -1)
    cv2.rectangle(look, (centre[0] - 4, centre[1] - 6), (centre[0] + 1, centre[1] + 5), 40, -1)
    return look, mask > 0


@pytest.mark.parametrize("shown", [False, True])
def test_a_blinking_mark_goes(tmp_path: Path, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    clean, (look, mask) = pan(len(SHOWN), 160, 90), badge()
    marked = [[plane.copy() for plane in frame] for frame in clean]
    for n, there in enumerate(SHOWN):
        if there:
            marked[n][0][mask] = look[mask]
    cv2.imwrite(str(tmp_path / "mark.png"), mask * np.uint8(255))
    options = ["--mark", tmp_path / "mark.png", "--mark-frame", "2"] if shown else []
    made = erase(film(tmp_path / "film.mkv", marked), "--dynamic-logo", *options)
    for n, there in enumerate(SHOWN):
        if not there:
            assert all(np.array_equal(a, b) for a, b in zip(made[n], marked[n], strict=True)), n
            continue
        assert equal_outside(made[n], marked[n], grown(mask, 6)), n
        before, after = (error_inside(frames[n], clean[n], mask) for frames in (marked, made))
        assert after < 0.4 * before, n
    assert f"{sum(SHOWN)} changed" in capsys.readouterr().out


def test_a_mark_that_is_shown_badly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = film(tmp_path / "film.mkv", pan(10, 96, 64))
    cv2.imwrite(str(tmp_path / "mark.png"), np.full((64, 96), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "small.png"), np.full((64, 64), 255, np.uint8))
    for arguments, words in (
        (["--dynamic-logo", "--mark", tmp_path / "mark.png", "--mark-frame", "10"], "--mark-frame must lie inside 0-9"),
        (["--dynamic-logo", "--mark", tmp_path / "small.png"], "the mask must have the size of the video, 96x64"),
        (["--subs", "--mark", tmp_path / "mark.png"], "--mark belongs to --dynamic-logo"),
        (["--dynamic-logo", "--mark", tmp_path / "none.png"], "none.png: no such file"),
    ):
        assert main(["erase", str(source), *map(str, arguments)]) == 1
        assert words in capsys.readouterr().err


# --- several together


def test_what_each_filter_erased_is_counted(branded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A logo in every frame and a box in three whole scenes, so that no frame shows what is behind it."""
    cv2.imwrite(
        str(branded.with_name("mask.png")), cv2.rectangle(np.zeros((120, 192), np.uint8), (20, 80), (50, 95), 255, -1)
    )
    assert main(["analyse", str(branded), "--mask", str(branded.with_name("mask.png")), "--range", "8-19",
                 "-o", str(branded.with_name("plan.json"))]) == 0  # fmt: skip
    marked = frames_of(branded)
    made = erase(branded, "--logo", "--plan", branded.with_name("plan.json"))
    assert "96 frames, 96 changed" in capsys.readouterr().out
    box = np.s_[80:96, 20:51]
    for n, (before, after) in enumerate(zip(marked, made, strict=True)):
        assert np.array_equal(before[0][box], after[0][box]) == (not 8 <= n < 20), n
