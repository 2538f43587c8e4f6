"""`core.wipe.Inpaint` with the real engine: what the dummy-driven tests of the bridge cannot show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import vapoursynth as vs

import vswipe

LENGTH, WIDTH, HEIGHT = 20, 96, 64
GAP = range(8, 11)
core = vs.core
FORMATS = [vs.YUV420P8, vs.YUV422P10, vs.YUV444P16, vs.YUV444PS, vs.RGB24, vs.RGBH, vs.GRAY16]


def painting() -> np.ndarray:
    noise = np.random.default_rng(0).random((HEIGHT, WIDTH + 3 * LENGTH)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0.1, 0.9, cv2.NORM_MINMAX)


def picture(n: int) -> np.ndarray:
    """A drawn pan, (H, W) float 0..1."""
    return painting()[:, 3 * n : 3 * n + WIDTH]


def letters() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(mask, "ab", (20, 50), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 3)
    return np.where(mask > 0, 255, 0).astype(np.uint8)  # OpenCV 5 draws soft edges


def video(form: vs.VideoFormat, marked: bool) -> vs.VideoNode:
    """The pan in any format, with the letters burnt in at full scale, but for the gap."""

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for p in range(form.num_planes):
            plane = np.asarray(out[p])
            view = cv2.resize(picture(n), plane.shape[::-1], interpolation=cv2.INTER_AREA)
            hole = cv2.resize(letters(), plane.shape[::-1], interpolation=cv2.INTER_AREA) > 0
            chroma = form.color_family == vs.YUV and p > 0
            if form.sample_type == vs.FLOAT:
                plane[:] = view - (0.5 if chroma else 0)
                full = 0.5 if chroma else 1.0
            else:
                plane[:] = np.rint(view * ((1 << form.bits_per_sample) - 1)).astype(plane.dtype)
                full = (1 << form.bits_per_sample) - 1
            if marked and n not in GAP:
                plane[hole] = full
        out.props["Kept"] = n
        return out

    blank = core.std.BlankClip(None, WIDTH, HEIGHT, form.id, LENGTH)
    return core.std.ModifyFrame(blank, blank, draw)


def mask_clip(held: bool) -> vs.VideoNode:
    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        np.asarray(out[0])[:] = 0 if not held and n in GAP else letters()
        return out

    blank = core.std.BlankClip(None, WIDTH, HEIGHT, vs.GRAY8, 1 if held else LENGTH)
    return core.std.ModifyFrame(blank, blank, draw)


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    return [np.array(frame[p]) for p in range(frame.format.num_planes)]


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_every_family_of_formats(form: vs.PresetVideoFormat) -> None:
    form = core.get_video_format(form)
    source, clean = video(form, True), video(form, False)
    result = core.wipe.Inpaint(source, mask_clip(held=False), device="cpu")
    assert (result.format.id, result.num_frames, result.width) == (form.id, LENGTH, WIDTH)
    for n in (0, 7, 9, 15):
        before, after, truth = (planes(c.get_frame(n)) for c in (source, result, clean))
        props = result.get_frame(n).props
        assert props["Kept"] == n
        if n in GAP:
            assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
            assert props["WipeMasked"] == 0
            continue
        assert props["WipeModel"] == "wipe"
        assert props["WipeCopied"] > 0.5
        for p in range(form.num_planes):
            footprint = cv2.dilate(letters(), np.ones((3, 3), np.uint8))
            height, width = before[p].shape
            inside = footprint.reshape(height, HEIGHT // height, width, WIDTH // width).max((1, 3)) > 0
            assert np.array_equal(before[p][~inside], after[p][~inside])
            peak = 1 if form.sample_type == vs.FLOAT else (1 << form.bits_per_sample) - 1
            error = (after[p].astype(float) - truth[p].astype(float))[inside] / peak
            assert np.sqrt((error**2).mean()) < 0.06


def test_seeks_and_nesting_give_the_frames_of_linear_playback() -> None:
    source = video(core.get_video_format(vs.YUV420P8), True)
    linear = [planes(f) for f in core.wipe.Inpaint(source, mask_clip(held=True)).frames()]
    again = vswipe.inpaint(source, mask_clip(held=True))
    for n in np.random.default_rng(1).permutation(LENGTH)[:8].tolist():
        assert all(np.array_equal(a, b) for a, b in zip(linear[n], planes(again.get_frame(n)), strict=True))
    twice = core.wipe.Inpaint(again, mask_clip(held=True), radius=4)
    assert planes(twice.get_frame(10))[0].shape == (HEIGHT, WIDTH)
