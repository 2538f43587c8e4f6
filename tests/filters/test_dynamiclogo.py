"""core.wipe.DynamicLogoMask and core.wipe.AutoDynamicLogo, shown the mark in one frame."""

from __future__ import annotations

import random
from typing import Any

import cv2
import numpy as np
import pytest
import vapoursynth as vs

import vswipe

core = vs.core
WIDTH, HEIGHT, LENGTH = 160, 90, 48
PLACES = [(20, 12)] * 12 + [None] * 8 + [(120, 60)] * 12 + [None] * 4 + [(20 + 3 * i, 40) for i in range(12)]
SHOWN = 4  # the frame that the mark is marked in


def badge() -> tuple[np.ndarray, np.ndarray]:
    """Levels and mask of the mark, 24x24."""
    mask, look = np.zeros((24, 24), np.uint8), np.zeros((24, 24), np.uint8)
    cv2.circle(mask, (12, 12), 10, 1, -1)
    cv2.circle(look, (12, 12), 10, 210, -1)
    cv2.rectangle(look, (8, 6), (13, 17), 40, -1)
    return look, mask


def mask_of(n: int) -> np.ndarray:
    out = np.zeros((HEIGHT, WIDTH), np.uint8)
    if (place := PLACES[n]) is not None:
        out[place[1] : place[1] + 24, place[0] : place[0] + 24] = badge()[1]
    return out


def marked(name: str = "YUV420P8", **props: int) -> vs.VideoNode:
    """A moving texture with a badge that comes, goes, and travels."""
    ground = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (HEIGHT, 600), dtype=np.uint8), (0, 0), 2)
    blank = core.std.BlankClip(format=vs.GRAY8, width=WIDTH, height=HEIGHT, length=LENGTH)
    look, mask = badge()

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        plane = ground[:, 3 * n : 3 * n + WIDTH].copy()
        if (place := PLACES[n]) is not None:
            part = plane[place[1] : place[1] + 24, place[0] : place[0] + 24]
            part[mask > 0] = look[mask > 0]
        np.asarray(frame[0])[:] = plane
        frame.props.update({"_Range": 0, "Number": n, **props})
        return frame

    clip = core.std.ModifyFrame(blank, blank, fill)
    options = {"matrix_s": "170m"} if name.startswith("YUV") else {"matrix_in_s": "170m"}
    return clip if name == "GRAY8" else clip.resize.Point(format=getattr(vs, name), **options)


def example(at: int = SHOWN, length: int = 1) -> vs.VideoNode:
    blank = core.std.BlankClip(format=vs.GRAY8, width=WIDTH, height=HEIGHT, length=length)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        np.asarray(frame[0])[:] = 255 * mask_of(at)
        return frame

    return core.std.ModifyFrame(blank, blank, fill)


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    return [np.array(frame[p]) for p in range(frame.format.num_planes)]


@pytest.mark.parametrize("name", ["YUV420P8", "GRAY8", "YUV444P16", "RGBS"])
def test_the_mask_is_where_the_mark_is(name: str) -> None:
    mask = core.wipe.DynamicLogoMask(marked(name), mark=example(), frame=SHOWN, dilate=0)
    assert (mask.format.id, mask.width, mask.height, mask.num_frames) == (vs.GRAY8, WIDTH, HEIGHT, LENGTH)
    for n, frame in enumerate(mask.frames()):
        found, true = planes(frame)[0] > 0, mask_of(n) > 0
        assert found.any() == true.any(), n
        if true.any():
            assert (found & true).sum() / (found | true).sum() > 0.9, n
        assert frame.props["Number"] == n
        assert frame.props["WipeMasked"] == pytest.approx(found.mean())


def test_the_same_after_any_seek() -> None:
    linear = [planes(f)[0] for f in core.wipe.DynamicLogoMask(marked(), mark=example(), frame=SHOWN).frames()]
    order = list(range(LENGTH))
    random.Random(1).shuffle(order)
    mask = core.wipe.DynamicLogoMask(marked(), mark=example(), frame=SHOWN)
    for n in order:
        assert np.array_equal(planes(mask.get_frame(n))[0], linear[n]), n


def test_found_without_help_and_the_same_after_a_seek() -> None:
    linear = [planes(f)[0] for f in core.wipe.DynamicLogoMask(marked(), dilate=0).frames()]
    for n in range(20, 32):  # it comes and goes here
        found, true = linear[n] > 0, mask_of(n) > 0
        assert (found & true).sum() / (found | true).sum() > 0.7, n
    assert not any(linear[n].any() for n in range(LENGTH) if PLACES[n] is None)
    mask = core.wipe.DynamicLogoMask(marked(), dilate=0)
    for n in (40, 3, 24, 17):
        assert np.array_equal(planes(mask.get_frame(n))[0], linear[n]), n


@pytest.mark.usefixtures("dummy")
def test_a_clip_without_a_mark_is_passed_on(monkeypatch: pytest.MonkeyPatch, dummy: Any) -> None:
    monkeypatch.setattr("vswipe.filters._render.Pipeline", dummy)
    monkeypatch.setitem(globals(), "PLACES", [None] * LENGTH)
    source = marked()
    for before, after in zip(source.frames(), core.wipe.AutoDynamicLogo(source, device="cpu").frames(), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes(before), planes(after), strict=True))
        assert after.props["WipeMasked"] == 0


@pytest.mark.usefixtures("dummy")
def test_only_the_mark_is_touched(monkeypatch: pytest.MonkeyPatch, dummy: Any) -> None:
    monkeypatch.setattr("vswipe.filters._render.Pipeline", dummy)
    source, options = marked(), {"mark": example(), "frame": SHOWN}
    result = core.wipe.AutoDynamicLogo(source, device="cpu", **options)
    mask = vswipe.dynamic_logo_mask(source, dilate=0, **options)
    same = core.wipe.Inpaint(source, mask, device="cpu", dilate=0)
    for n in range(LENGTH):
        before, after, drawn, other = (clip.get_frame(n) for clip in (source, result, mask, same))
        outside = planes(drawn)[0] == 0
        assert np.array_equal(planes(before)[0][outside], planes(after)[0][outside]), n
        changed = not np.array_equal(planes(before)[0], planes(after)[0])
        assert changed == (PLACES[n] is not None), n
        assert all(np.array_equal(a, b) for a, b in zip(planes(after), planes(other), strict=True)), n
        assert (after.props["WipeMasked"] > 0) == (PLACES[n] is not None)


def test_a_mark_of_the_clips_length_and_regions() -> None:
    def shown(n: int, **options: Any) -> np.ndarray:
        return planes(core.wipe.DynamicLogoMask(marked(), frame=SHOWN, dilate=0, **options).get_frame(n))[0] > 0

    assert np.array_equal(shown(24, mark=example(length=LENGTH)), shown(24, mark=example()))
    assert not shown(24, mark=example(), region=[0, 0, 100, HEIGHT]).any()
    part = shown(24, mark=example(), region=[130, 0, WIDTH - 130, HEIGHT])
    assert part[:, 130:].any()
    assert not part[:, :130].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": 3}, "frame must be left out where no mark is given, got 3"),
        ({"mark": 1, "frame": LENGTH}, f"frame must be one of the clip's {LENGTH}, counted from 0, got {LENGTH}"),
        ({"mark": 2}, "mark must have the clip's size 160x90, got 80x90"),
        ({"mark": 3}, "mark must be GRAY, got YUV420P8"),
        ({"mark": 4}, f"mark must have 1 frame or the clip's {LENGTH}, got 2"),
        ({"threshold": 1.5}, "threshold must be from 0 to 1, got 1.5"),
        ({"region": [0, 0, 8]}, "region must be left, top, width, height (several allowed), got [0, 0, 8]"),
    ],
)
@pytest.mark.parametrize("name", ["AutoDynamicLogo", "DynamicLogoMask"])
def test_refusals(name: str, options: dict[str, Any], message: str) -> None:
    marks = {1: example(), 2: example()[0].std.Crop(right=WIDTH // 2), 3: marked()[0], 4: example(length=2)}
    given = {**options, **({"mark": marks[options["mark"]]} if "mark" in options else {})}
    with pytest.raises(vs.Error) as caught:
        getattr(core.wipe, name)(marked(), **given)
    assert str(caught.value) == f"{name}: {message}"


def test_an_empty_mark() -> None:
    with pytest.raises(vs.Error, match=r"^DynamicLogoMask: mark must mark something, got an empty frame 0"):
        core.wipe.DynamicLogoMask(marked(), mark=example(15), frame=SHOWN).get_frame(0)
