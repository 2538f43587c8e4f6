"""core.wipe.AutoLogo, LogoMask and Deblend on drawn programmes of many small scenes."""

from __future__ import annotations

import inspect
import random
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import vapoursynth as vs

import vswipe

core = vs.core
WIDTH, HEIGHT, SCENE, SCENES = 192, 120, 4, 24
LENGTH = SCENE * SCENES
ALPHA = 0.5


@cache
def mark() -> np.ndarray:
    """(H, W) float32, opacity of a disc with letters."""
    out = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.rectangle(out, (140, 20), (175, 50), ALPHA, -1)
    return cv2.GaussianBlur(out, (0, 0), 0.8)


@cache
def scene(k: int) -> np.ndarray:
    """A blurred noise picture, (H, W + 40) float32, 20..220."""
    rng = np.random.default_rng(k)
    size = float(rng.uniform(4, 12))
    noise = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH + 40)).astype(np.float32), (0, 0), size)
    low = float(rng.uniform(20, 60))
    return cv2.normalize(noise, None, low, low + float(rng.uniform(80, 160)), cv2.NORM_MINMAX)


def ground(n: int) -> np.ndarray:
    return scene(n // SCENE)[:, 3 * (n % SCENE) : 3 * (n % SCENE) + WIDTH]


def programme(marked: Any = True, name: str = "GRAY8", length: int = LENGTH, alpha: float = 1.0) -> vs.VideoNode:
    """Scenes with the mark, white, in the frames that `marked` says."""
    blank = core.std.BlankClip(format=vs.GRAYS, width=WIDTH, height=HEIGHT, length=length)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        plane = ground(n)
        if marked(n) if callable(marked) else marked:
            opacity = mark() * alpha
            plane = (1 - opacity) * plane + opacity * 235
        np.asarray(frame[0])[:] = (np.rint(plane) - 16) / 219
        frame.props.update({"Number": n, "_Range": 0})
        return frame

    clip = core.std.ModifyFrame(blank, blank, fill)
    options = {"matrix_s": "170m"} if name.startswith("YUV") else {"matrix_in_s": "170m"}
    if name.startswith("GRAY"):
        return clip.resize.Point(format=getattr(vs, name), range_s="limited")
    if name.startswith("RGB"):
        return clip.resize.Point(format=vs.GRAY8, range_s="full").resize.Point(format=getattr(vs, name), **options)
    return clip.resize.Point(format=vs.GRAY8, range_s="limited").resize.Point(format=getattr(vs, name), **options)


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    return [np.array(frame[p]).astype(np.float64) for p in range(frame.format.num_planes)]


@pytest.mark.parametrize("name", ["GRAY8", "YUV420P8", "YUV422P10", "YUV444PS", "RGB24"])
def test_a_translucent_mark_is_divided_out(name: str, tmp_path: Path) -> None:
    source, clean = programme(name=name), programme(False, name)
    path = str(tmp_path / "mark.npz")
    result = core.wipe.AutoLogo(source, device="cpu", samples=48, save=path)
    result.get_frame(0)
    mask = core.wipe.LogoMask(source, logo=path)
    assert (result.format.id, result.num_frames) == (source.format.id, LENGTH)
    for n in (0, 41, LENGTH - 1):
        before, after, truth, marked = (c.get_frame(n) for c in (source, result, clean, mask))
        hole = planes(marked)[0] > 0
        level = 1 / 255 if source.format.sample_type == vs.FLOAT else 1 << (source.format.bits_per_sample - 8)
        error = (planes(after)[0] - planes(truth)[0]) / level
        assert np.sqrt((error[hole] ** 2).mean()) < 3, n
        assert np.array_equal(planes(before)[0][~hole], planes(after)[0][~hole])
        assert (hole & (mark() > 0.05)).sum() / (hole | (mark() > 0.05)).sum() > 0.7
        assert after.props["WipeLogo"] == "found"
        assert after.props["Number"] == n
        assert after.props["WipeMasked"] == pytest.approx(hole.mean(), abs=0.01)


def test_the_same_after_any_seek() -> None:
    source = programme()
    linear = [planes(f)[0] for f in core.wipe.AutoLogo(source, device="cpu", samples=48).frames()]
    order = list(range(LENGTH))
    random.Random(1).shuffle(order)
    shuffled = core.wipe.AutoLogo(source, device="cpu", samples=48)
    for n in order[:40]:
        assert np.array_equal(planes(shuffled.get_frame(n))[0], linear[n]), n


def test_frames_are_asked_for_twice_at_most() -> None:
    """Half of them as samples, and all in linear playback."""
    counts = [0] * LENGTH

    def count(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        counts[n] += 1
        return f

    source = programme()
    counted = core.std.ModifyFrame(source, source, count)
    core.std.SetVideoCache(counted, 0)
    for _ in core.wipe.AutoLogo(counted, device="cpu", samples=48).frames(prefetch=2):
        pass
    assert sum(counts) <= 1.8 * LENGTH, counts


def test_scenes_without_the_mark_are_left_alone() -> None:
    absent = range(40, 60)
    source = programme(lambda n: n not in absent)
    result, mask = core.wipe.AutoLogo(source, device="cpu"), core.wipe.LogoMask(source)
    for n in (39, 40, 50, 59, 60):
        before, after = planes(source.get_frame(n))[0], planes(result.get_frame(n))[0]
        assert np.array_equal(before, after) == (n in absent), n
        assert planes(mask.get_frame(n))[0].any() == (n not in absent)


def test_an_opaque_mark_is_filled() -> None:
    source, clean = programme(alpha=1 / ALPHA), programme(False)
    result = core.wipe.AutoLogo(source, device="cpu", radius=2, samples=48)
    mask = core.wipe.LogoMask(source, dilate=0, samples=48)
    before, after, truth, marked = (planes(c.get_frame(50))[0] for c in (source, result, clean, mask))
    drawn = mark() > 0.04
    assert (drawn & (marked > 0)).sum() / (drawn | (marked > 0)).sum() > 0.8
    assert np.abs(after - truth)[drawn].mean() < 0.3 * np.abs(before - truth)[drawn].mean()


def test_nothing_is_changed_without_a_mark() -> None:
    source = programme(False)
    result = core.wipe.AutoLogo(source, device="cpu", samples=48)
    for n in (0, 50):
        assert np.array_equal(planes(source.get_frame(n))[0], planes(result.get_frame(n))[0])
        assert result.get_frame(n).props["WipeLogo"] == "none"
        assert result.get_frame(n).props["WipeMasked"] == 0


def test_a_still_clip_is_unknown_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    still = core.std.Loop(programme().std.Trim(5, 5), 60)
    result = core.wipe.AutoLogo(still, device="cpu")
    frame = result.get_frame(7)
    assert frame.props["WipeLogo"] == "unknown"
    assert np.array_equal(planes(frame)[0], planes(still.get_frame(7))[0])
    assert "AutoLogo: too little moved in the 60 frames looked at" in caplog.text


def test_a_logo_file_serves_another_clip(tmp_path: Path) -> None:
    path = tmp_path / "station.npz"
    source = programme()
    saved = core.wipe.AutoLogo(source, device="cpu", samples=48, save=str(path))
    frame = planes(saved.get_frame(9))[0]
    assert cv2.imread(str(path.with_suffix(".png")), cv2.IMREAD_UNCHANGED).shape == (HEIGHT, WIDTH, 4)
    short = source.std.Trim(8, 15)
    for name in ("AutoLogo", "Deblend"):
        loaded = getattr(core.wipe, name)(short, device="cpu", logo=str(path))
        assert np.abs(planes(loaded.get_frame(1))[0] - frame).max() <= 1
    with pytest.raises(vs.Error, match=r"^Deblend: logo: file must be made for 96x120 GRAY"):
        core.wipe.Deblend(short.std.Crop(right=96), str(path), device="cpu")


def test_deblend_takes_a_mask() -> None:
    source, clean = programme(), programme(False)
    mask = core.std.BlankClip(format=vs.GRAY8, width=WIDTH, height=HEIGHT, length=1)
    mask = mask.std.ModifyFrame(mask, lambda n, f: painted(f))
    result = core.wipe.Deblend(source, mask=mask, device="cpu", samples=48)
    for n in (3, 70):
        error = planes(result.get_frame(n))[0] - planes(clean.get_frame(n))[0]
        assert np.sqrt((error[mark() > 0.05] ** 2).mean()) < 4


def painted(f: vs.VideoFrame) -> vs.VideoFrame:
    out = f.copy()
    np.asarray(out[0])[:] = (mark() > 0.05) * np.uint8(255)
    return out


@pytest.mark.parametrize(("function", "options", "message"), [
    ("AutoLogo", {"samples": 3}, "samples must be at least 8, got 3"),
    ("AutoLogo", {"region": [0, 0, 500, 20]}, "region must lie inside the 192x120 frame"),
    ("AutoLogo", {"logo": "none.npz"}, "logo: file must exist, got none.npz"),
    ("AutoLogo", {"save": "none.txt"}, "save must be a .npz file in an existing folder, got none.txt"),
    ("LogoMask", {"dilate": -1}, "dilate must be at least 0, got -1"),
    ("Deblend", {"radius": -1}, "radius must be at least 0, got -1"),
])  # fmt: skip
def test_arguments(function: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(vs.Error, match=f"^{function}: {message}"):
        getattr(core.wipe, function)(programme(), **options)


def test_python_functions_have_the_same_arguments() -> None:
    for name, function in (("AutoLogo", vswipe.auto_logo), ("LogoMask", vswipe.logo_mask), ("Deblend", vswipe.deblend)):
        signature = getattr(core.wipe, name).signature
        plugin = [argument.split(":")[0] for argument in signature.split(";") if argument]
        assert plugin == list(inspect.signature(function).parameters)


def test_examples_name_only_what_exists() -> None:
    folder = Path(__file__).parents[2] / "examples"
    for name in ("autologo.vpy", "deblend_series.vpy"):
        compile((folder / name).read_text(), name, "exec")
