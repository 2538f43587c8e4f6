"""core.wipe.SubMask and core.wipe.AutoSub: on a stand-in for the network, which takes bright pixels for strokes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import vapoursynth as vs
from torch import nn

import vswipe
from vswipe.detect.perceive import Evidence
from vswipe.detect.working import WorkingFrame, WorkingSize
from vswipe.nets import create
from vswipe.nets.textseg import RADIUS
from vswipe.nets.weights import save

core = vs.core
WIDTH, HEIGHT, LENGTH = 192, 108, 70
FIRST, LAST = 21, 43  # of the line


class BrightPerception:
    """Strokes are what is brighter than 200; counts its looks, and wants every frame of its window."""

    looks = 0

    def __init__(self, device: str = "cpu", weights: str | None = None) -> None:
        if weights is not None:
            raise ValueError(f"textseg: weights must be a file, got {weights}")

    def see(
        self, n: int, frames: Mapping[int, WorkingFrame], num_frames: int, size: WorkingSize, mirrored: bool = False
    ) -> Evidence:
        type(self).looks += 1
        assert all(k in frames for k in range(max(0, n - RADIUS), min(num_frames, n + RADIUS + 1)))
        luma = frames[n].luma[: size.height, : size.width]
        box = np.zeros((size.height // 2, size.width // 2), np.uint8)
        return Evidence(np.where(luma > 200, 255, 0).astype(np.uint8), box)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[BrightPerception]:
    class Perception(BrightPerception):
        pass

    monkeypatch.setattr("vswipe.filters.submask.Perception", Perception)
    return Perception


def letters(y: int = 98) -> np.ndarray:
    out = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(out, "A LINE", (50, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2, cv2.LINE_AA)
    return out


def titled(name: str = "YUV420P8", y: int = 98, length: int = LENGTH, **props: int) -> vs.VideoNode:
    """A dark moving texture with one line from FIRST to LAST."""
    ground = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 200, (HEIGHT, 600), dtype=np.uint8), (0, 0), 3)
    blank = core.std.BlankClip(format=vs.GRAY8, width=WIDTH, height=HEIGHT, length=length)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        plane = ground[:, 2 * n : 2 * n + WIDTH].astype(np.float32)
        if FIRST <= n <= LAST:
            plane += (235 - plane) * (letters(y) / 255.0)
        np.asarray(frame[0])[:] = np.rint(plane)
        frame.props.update({"_Range": 0, "Number": n, **props})
        return frame

    clip = core.std.ModifyFrame(blank, blank, fill)
    options = {"matrix_s": "170m"} if name.startswith("YUV") else {"matrix_in_s": "170m"}
    return clip if name == "GRAY8" else clip.resize.Point(format=getattr(vs, name), **options)


def planes(frame: vs.VideoFrame) -> list[np.ndarray]:
    return [np.array(frame[p]) for p in range(frame.format.num_planes)]


@pytest.mark.parametrize("name", ["YUV420P8", "GRAY8", "YUV444P16", "YUV422P10", "RGBS"])
def test_the_mask_is_there_exactly_while_the_line_is(name: str) -> None:
    mask = core.wipe.SubMask(titled(name), device="cpu", dilate=2)
    assert (mask.format.id, mask.width, mask.height, mask.num_frames) == (vs.GRAY8, WIDTH, HEIGHT, LENGTH)
    grown = cv2.dilate((letters() > 120).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    for n, frame in enumerate(mask.frames()):
        plane = planes(frame)[0]
        assert bool(plane.any()) == (FIRST <= n <= LAST), n
        assert frame.props["Number"] == n
        assert frame.props["WipeMasked"] == pytest.approx((plane > 0).mean())
        assert set(np.unique(plane)) <= {0, 255}
        if plane.any():
            assert (plane[grown] == 255).all()


def test_the_same_after_any_seek(stand_in: type[BrightPerception]) -> None:
    linear = [planes(f)[0] for f in core.wipe.SubMask(titled(), device="cpu").frames()]
    assert stand_in.looks == -(-LENGTH // 4)  # every fourth frame once
    order = list(range(LENGTH))
    for seed in range(2):
        random.Random(seed).shuffle(order)
        mask = core.wipe.SubMask(titled(), device="cpu")
        for n in order:
            assert np.array_equal(planes(mask.get_frame(n))[0], linear[n]), n


@pytest.mark.usefixtures("dummy")
def test_autosub_touches_only_the_line(monkeypatch: pytest.MonkeyPatch, dummy: Any) -> None:
    monkeypatch.setattr("vswipe.filters._render.Pipeline", dummy)
    source = titled()
    result = core.wipe.AutoSub(source, device="cpu")
    mask = core.wipe.SubMask(source, device="cpu", dilate=0)
    same = core.wipe.Inpaint(source, mask, device="cpu", dilate=0)
    for n in range(LENGTH):
        before, after, marked, other = (clip.get_frame(n) for clip in (source, result, mask, same))
        outside = planes(marked)[0] == 0
        assert np.array_equal(planes(before)[0][outside], planes(after)[0][outside]), n
        changed = not np.array_equal(planes(before)[0], planes(after)[0])
        assert changed == (FIRST <= n <= LAST), n
        assert all(np.array_equal(a, b) for a, b in zip(planes(after), planes(other), strict=True)), n
        assert after.props["WipeModel"] == "dummy"
        assert (after.props["WipeMasked"] > 0) == (FIRST <= n <= LAST)


def test_the_real_engine_erases_what_the_mask_says() -> None:
    source = titled(length=30)
    result = core.wipe.AutoSub(source, device="cpu", radius=4)
    by_hand = core.wipe.Inpaint(source, core.wipe.SubMask(source, device="cpu", dilate=0), device="cpu", radius=4)
    for n in (3, 24):
        assert all(np.array_equal(a, b) for a, b in zip(*(planes(c.get_frame(n)) for c in (result, by_hand)),
                                                        strict=True))  # fmt: skip
    core_pixels = letters() > 200
    assert planes(source.get_frame(24))[0][core_pixels].min() > 180
    assert planes(result.get_frame(24))[0][core_pixels].max() < 180


def test_the_mask_free_network_runs_where_text_was_found(tmp_path: Path) -> None:
    """auto-STTN sees text itself, and writes only where the detector found some; Inpaint, which is told, has no use for
    it."""
    torch.manual_seed(0)
    net = create("autosttn", own=True, width=0.125, depth=1)
    nn.init.constant_(net.head.last.bias, 0.3)  # untrained it changes nothing
    path = str(tmp_path / "autosttn.safetensors")
    save(net, path)
    source = titled(length=30)
    plain = core.wipe.AutoSub(source, device="cpu", radius=4)
    result = core.wipe.AutoSub(source, device="cpu", radius=4, model="autosttn", weights=path)
    mask = core.wipe.SubMask(source, device="cpu", dilate=1)
    for n in (3, 24):
        before, by_copy, after, marked = (planes(clip.get_frame(n))[0] for clip in (source, plain, result, mask))
        assert np.array_equal(before[marked == 0], after[marked == 0])
        assert np.array_equal(by_copy, after) == (n == 3)
    assert result.get_frame(24).props["WipeModel"] == "autosttn"
    with pytest.raises(vs.Error, match=r"Inpaint: model must be auto, copy or .*, got autosttn"):
        core.wipe.Inpaint(source, mask, model="autosttn", weights=path)


def test_region_classes_and_length() -> None:
    def is_found(clip: vs.VideoNode, **options: Any) -> bool:
        return bool(planes(core.wipe.SubMask(clip, device="cpu", **options).get_frame(30))[0].any())

    assert is_found(titled())
    assert not is_found(titled(), region=[0, 0, WIDTH, 50])
    part = planes(core.wipe.SubMask(titled(), device="cpu", region=[0, 60, 100, 48]).get_frame(30))[0]
    assert part[:, :100].any()
    assert not part[:, 100:].any()
    assert not is_found(titled(), min_frames=24)
    assert is_found(titled(), min_frames=23)
    assert not is_found(titled(y=60))
    assert is_found(titled(y=60), classes=["sign", "dialogue"])


def test_interlaced_frames_are_refused(monkeypatch: pytest.MonkeyPatch, dummy: Any) -> None:
    monkeypatch.setattr("vswipe.filters._render.Pipeline", dummy)
    result = core.wipe.AutoSub(titled(_FieldBased=2), device="cpu")
    result.get_frame(3)
    with pytest.raises(vs.Error, match="AutoSub: frame 30 must be progressive, got top field first"):
        result.get_frame(30)


@pytest.mark.parametrize("function", ["AutoSub", "SubMask"])
@pytest.mark.parametrize(("options", "message"), [
    ({"threshold": 1.5}, "threshold must be from 0 to 1, got 1.5"),
    ({"min_frames": 0}, "min_frames must be at least 1, got 0"),
    ({"classes": ["song"]}, "classes must be of dialogue, sign, got song"),
    ({"region": [0, 0, 500, 20]}, "region must lie inside the 192x108 frame, got \\[0, 0, 500, 20\\]"),
    ({"dilate": -1}, "dilate must be at least 0, got -1"),
    ({"fp16": 2}, "fp16 must be 0 or 1, got 2"),
    ({"device": "tpu"}, "device must be auto, cpu, cuda"),
    ({"detector": "none.safetensors"}, "textseg: weights must be a file, got none.safetensors"),
])  # fmt: skip
def test_arguments(function: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(vs.Error, match=f"^{function}: {message}"):
        getattr(core.wipe, function)(titled(), **{"device": "cpu", **options})


def test_python_functions_have_the_same_arguments() -> None:
    import inspect

    for name, function in (("AutoSub", vswipe.auto_sub), ("SubMask", vswipe.sub_mask)):
        signature = getattr(core.wipe, name).signature
        plugin = [argument.split(":")[0] for argument in signature.split(";") if argument]
        assert plugin == list(inspect.signature(function).parameters)
    assert vswipe.sub_mask(titled(), device="cpu", dilate=0).format.id == vs.GRAY8


def test_examples_name_only_what_exists() -> None:
    folder = Path(__file__).parents[2] / "examples"
    for name in ("autosub.vpy", "submask_preview.vpy"):
        compile((folder / name).read_text(), name, "exec")
