"""core.wipe.Inpaint: arguments, formats, masks, and what is kept of a frame. On the stand-in engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from dummy import DummyPipeline

import vswipe
from vswipe.engine.settings import Settings
from vswipe.nets import weights

core = vs.core
WIDTH, HEIGHT = 50, 34  # rows that are not a multiple of any alignment

GOOD_FORMATS = [
    name
    for name in vs.PresetVideoFormat.__members__
    if name not in ("NONE", "GRAY32") and not name.startswith(("YUV410", "YUV411", "YUV440"))
]
BAD_FORMATS = ["GRAY32", "YUV410P8", "YUV411P8", "YUV440P8", "YUV410PS", "YUV411P16", "YUV440PH"]

pytestmark = pytest.mark.usefixtures("dummy")


def clip_of(name: str, length: int = 3, **options: Any) -> vs.VideoNode:
    """A clip with random samples and padding between its rows."""
    size = {"width": WIDTH, "height": HEIGHT, **options}
    blank = core.std.BlankClip(format=getattr(vs, name), length=length, **size)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        random = np.random.default_rng(n)
        for plane in range(frame.format.num_planes):
            array = np.asarray(frame[plane])
            array[:] = (
                random.integers(0, 1 << frame.format.bits_per_sample, array.shape)
                if array.dtype.kind == "u"
                else (random.random(array.shape))
            )
        return frame

    return core.std.ModifyFrame(blank, blank, fill)


def mask_of(name: str = "GRAY8", length: int = 1, value: float | None = None, **options: Any) -> vs.VideoNode:
    """A mask that marks the right half, with `value` (default: the largest)."""
    size = {"width": WIDTH, "height": HEIGHT, **options}
    form = core.get_video_format(getattr(vs, name))
    top = 1.0 if form.sample_type == vs.FLOAT else (1 << form.bits_per_sample) - 1
    blank = core.std.BlankClip(format=form, length=length, **size)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        np.asarray(frame[0])[:, size["width"] // 2 :] = top if value is None else value
        return frame

    return core.std.ModifyFrame(blank, blank, fill)


def planes(clip: vs.VideoNode, n: int) -> list[np.ndarray]:
    with clip.get_frame(n) as frame:
        return [np.asarray(plane).copy() for plane in frame]


def inpaint(clip: vs.VideoNode, mask: vs.VideoNode, **arguments: Any) -> vs.VideoNode:
    return core.wipe.Inpaint(clip, mask, **{"device": "cpu", **arguments})


@pytest.mark.parametrize("name", GOOD_FORMATS)
def test_every_format_is_kept_outside_the_mask(name: str) -> None:
    clip = clip_of(name)
    out = inpaint(clip, mask_of())
    assert (out.format.id, out.width, out.height, out.num_frames) == (clip.format.id, WIDTH, HEIGHT, 3)
    for before, after in zip(planes(clip, 1), planes(out, 1), strict=True):
        half = (WIDTH // 2) * before.shape[1] // WIDTH
        assert np.array_equal(before[:, :half], after[:, :half])
        assert len(np.unique(after[:, half + 1 :])) == 1


@pytest.mark.parametrize("name", BAD_FORMATS)
def test_other_formats_are_refused(name: str) -> None:
    clip = core.std.BlankClip(format=getattr(vs, name), width=64, height=32)
    with pytest.raises(vs.Error, match=rf"^Inpaint: clip must .*, got {name}$"):
        inpaint(clip, mask_of(width=64, height=32))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("GRAY8", 127, 128),
        ("GRAY10", 511, 512),
        ("GRAY16", 32767, 32768),
        ("GRAYH", 0.5, 0.50049),
        ("GRAYS", 0.5, 0.500001),
        ("GRAYH", float("nan"), float("inf")),
        ("GRAYS", float("nan"), float("inf")),
        ("GRAYH", -1.0, 1.0),
    ],
)
@pytest.mark.parametrize("length", [1, 3])
def test_above_half_is_erased(name: str, low: float, high: float, length: int) -> None:
    clip = clip_of("GRAY8")
    assert np.array_equal(planes(inpaint(clip, mask_of(name, length, low)), 1)[0], planes(clip, 1)[0])
    changed = planes(inpaint(clip, mask_of(name, length, high)), 1)[0] != planes(clip, 1)[0]
    assert not changed[:, : WIDTH // 2].any()
    assert changed[:, WIDTH // 2 :].mean() > 0.9


def test_masks_that_begin_and_end_are_noticed(dummy: type[DummyPipeline]) -> None:
    """Blank frames share their samples and are looked at once; a frame with samples of its own is looked at."""
    blank = core.std.BlankClip(width=WIDTH, height=HEIGHT, format=vs.GRAY8, length=40, keep=True)
    mask = blank + mask_of(length=20) + blank
    clip = clip_of("GRAY8", length=100)
    out = inpaint(clip, mask)
    marked = [n for n in range(100) if not np.array_equal(planes(out, n)[0], planes(clip, n)[0])]
    assert marked == list(range(40, 60))


def test_a_mask_beside_nan_counts() -> None:
    for name in ("GRAYH", "GRAYS"):
        mask = core.std.StackHorizontal(
            [mask_of(name, 1, float("nan"), width=WIDTH - 4), mask_of(name, 1, 1.0, width=4)]
        )
        with inpaint(clip_of("GRAY8"), mask).get_frame(0) as frame:
            assert frame.props["WipeMasked"] == pytest.approx(2 / WIDTH)


def test_a_held_mask_is_one_array(dummy: type[DummyPipeline]) -> None:
    seen = []

    def render(self: DummyPipeline, start: int, stop: int, frames: Any, masks: Any, writable: Any) -> dict:
        seen.extend(masks[n] for n in masks)
        return {}

    dummy.render = render
    clip = inpaint(clip_of("GRAY8", 30), mask_of())
    planes(clip, 0)
    planes(clip, 20)
    assert len({id(mask) for mask in seen}) == 1
    assert seen[0].dtype == np.uint8
    assert seen[0].flags.c_contiguous
    assert (seen[0].min(), seen[0].max()) == (0, 1)


def test_frames_that_share_their_samples_share_a_mask(dummy: type[DummyPipeline]) -> None:
    """A picture that is shown for seconds is converted once; what comes after it is not taken for it."""
    seen: dict[int, np.ndarray] = {}

    def render(self: DummyPipeline, start: int, stop: int, frames: Any, masks: Any, writable: Any) -> dict:
        seen.update((n, masks[n]) for n in masks if masks[n] is not None)
        return {}

    dummy.render = render
    right, left = mask_of(), core.std.FlipHorizontal(mask_of())
    still = [core.std.Loop(clip, 20) for clip in (right, left, right)]
    clip = inpaint(clip_of("GRAY8", 60), core.std.Splice(still))
    for n in range(60):
        planes(clip, n)
    assert sorted(seen) == list(range(60))
    for n, mask in seen.items():
        assert bool(mask[0, 0]) == (20 <= n < 40)
    assert sum(mask is seen[5] for mask in seen.values()) > 4


def test_arrays_are_read_only_and_stay_valid(dummy: type[DummyPipeline]) -> None:
    kept: dict[int, np.ndarray] = {}

    def render(self: DummyPipeline, start: int, stop: int, frames: Any, masks: Any, writable: Any) -> dict:
        kept.update({n: frames[n].planes[0] for n in frames})
        assert not kept[start].flags.writeable
        assert writable(start)[0] is writable(start)[0]
        assert writable(start)[0].flags.writeable
        return {}

    dummy.render = render
    clip = clip_of("GRAY16")
    out = inpaint(clip, mask_of())
    planes(out, 0)
    del out
    core.clear_cache()
    for n, array in kept.items():
        assert np.array_equal(array, planes(clip, n)[0])


def test_frames_know_their_properties(dummy: type[DummyPipeline]) -> None:
    seen = {}

    def render(self: DummyPipeline, start: int, stop: int, frames: Any, masks: Any, writable: Any) -> dict:
        seen.update(frames[start].props)
        return {}

    dummy.render = render
    given = {"_FieldBased": 0, "_SceneChangePrev": 1, "_SceneChangeNext": 0, "_Matrix": 5, "_ChromaLocation": 1}
    planes(inpaint(clip_of("YUV420P8").std.SetFrameProps(**given), mask_of()), 0)
    assert {key: seen[key] for key in given} == given


@pytest.mark.parametrize("color", [0, 255])
def test_frame_properties_are_kept_and_added(color: int) -> None:
    source = clip_of("YUV420P8").std.SetFrameProps(_Matrix=1, Text="words", Number=2.5, Many=[1, 2, 3])
    mask = core.std.BlankClip(format=vs.GRAY8, width=WIDTH, height=HEIGHT, length=1, color=color)
    with source.get_frame(1) as before, inpaint(source, mask).get_frame(1) as after:
        props = dict(after.props)
        assert props.pop("WipeMasked") == (1.0 if color else 0.0)
        assert props.pop("WipeCopied") == (0.25 if color else 0.0)
        assert props.pop("WipeModel") == "dummy"
        assert props == dict(before.props)


def test_variable_frame_rate_is_kept() -> None:
    source = core.std.FrameEval(
        (base := clip_of("GRAY8", 5)), lambda n: base.std.SetFrameProps(_DurationNum=n + 1, _DurationDen=30)
    )
    source = core.std.AssumeFPS(source, fpsnum=30, fpsden=1).std.SetFrameProps(_DurationNum=7, _DurationDen=31)
    out = inpaint(source, mask_of())
    assert (out.fps_num, out.fps_den) == (30, 1)
    with out.get_frame(3) as frame:
        assert (frame.props["_DurationNum"], frame.props["_DurationDen"]) == (7, 31)


GRAY = {"format": vs.GRAY8, "width": WIDTH, "height": HEIGHT}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"clip": {"varformat": True}},
            "clip must have one format and size throughout, got a clip that changes midway",
        ),
        ({"clip": {"varsize": True}}, "clip must have one format and size throughout, got a clip that changes midway"),
        ({"mask": {"varsize": True}}, "mask must have one format and size throughout, got a clip that changes midway"),
        ({"mask": {"format": vs.YUV420P8}}, "mask must be GRAY, got YUV420P8"),
        (
            {"mask": {"format": vs.GRAY32}},
            "mask must have 8 to 16 bit integer, or 16 or 32 bit float samples, got GRAY32",
        ),
        ({"mask": {"width": 52}}, "mask must have the clip's size 50x34, got 52x34"),
        ({"mask": {"length": 2}}, "mask must have 1 frame or the clip's 4, got 2"),
        (
            {"model": "autosttn"},
            "model must be auto, copy or wipe, opn, rnot, rnnet, sttn, got autosttn",
        ),
        (
            {"model": "copy", "weights": "a.pth"},
            "weights must be left out for model copy, which has no network, got a.pth",
        ),
        ({"weights": "a.pth"}, "weights must come with the model they are for, got a.pth"),
        ({"model": "copy", "shots": 2}, "shots must be left out for model copy, which does all in one pass, got 2"),
        ({"model": "wipe", "shots": 2}, "shots must be left out for model wipe, which does all in one pass, got 2"),
        ({"region": [1, 2, 3]}, "region must be left, top, width, height (several allowed), got [1, 2, 3]"),
        ({"region": [0, 0, 51, 3]}, "region must lie inside the 50x34 frame, got [0, 0, 51, 3]"),
        ({"region": [0, 0, 4, 4, 9, 9, 4, 0]}, "region must lie inside the 50x34 frame, got [9, 9, 4, 0]"),
        ({"region": [-1, 0, 4, 4]}, "region must lie inside the 50x34 frame, got [-1, 0, 4, 4]"),
        ({"radius": -1}, "radius must be at least 0, got -1"),
        ({"dilate": -2}, "dilate must be at least 0, got -2"),
        ({"feather": -3}, "feather must be at least 0, got -3"),
        ({"grain": 1.5}, "grain must be from 0 to 1, got 1.5"),
        ({"grain": float("nan")}, "grain must be from 0 to 1, got nan"),
        ({"fp16": 2}, "fp16 must be 0 or 1, got 2"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda, cuda:1, mps or xpu, got gpu"),
    ],
)
def test_argument_errors(arguments: dict[str, Any], message: str) -> None:
    options = {"length": 4, **GRAY}
    given = dict(arguments)
    clip = core.std.BlankClip(**{**options, **given.pop("clip", {})})
    mask = core.std.BlankClip(**{**options, **given.pop("mask", {})})
    with pytest.raises(vs.Error) as error:
        inpaint(clip, mask, **given)
    assert str(error.value) == f"Inpaint: {message}"


def test_a_device_that_is_not_there() -> None:
    clip = core.std.BlankClip(**GRAY)
    with pytest.raises(vs.Error, match=r"^Inpaint: device must be present \(cpu.*\), got cuda:99$"):
        inpaint(clip, clip, device="cuda:99")


def settings_of(make: Callable[..., object], dummy: type[DummyPipeline], **arguments: Any) -> Settings:
    seen: list[Settings] = []
    plain = dummy.__init__

    def remember(self: DummyPipeline, fmt: Any, num_frames: int, settings: Settings) -> None:
        seen.append(settings)
        plain(self, fmt, num_frames, settings)

    dummy.__init__ = remember  # type: ignore[method-assign]
    make(core.std.BlankClip(**GRAY), core.std.BlankClip(**GRAY), **arguments)
    dummy.__init__ = plain  # type: ignore[method-assign]
    return seen[0]


@pytest.mark.parametrize(
    ("installed", "model"), [(("wipe", "flow"), "wipe"), (("wipe",), "copy"), (("flow",), "copy"), ((), "copy")]
)
def test_auto_is_the_network_where_both_its_files_are(
    installed: tuple[str, ...],
    model: str,
    dummy: type[DummyPipeline],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in installed:
        (tmp_path / f"{name}_v1.safetensors").touch()
    monkeypatch.setattr(weights, "places", lambda: [tmp_path])
    for given in ({}, {"model": "auto"}):
        assert settings_of(vswipe.inpaint, dummy, device="cpu", **given).model == model


@pytest.mark.parametrize("make", [core.wipe.Inpaint, vswipe.inpaint])
def test_settings_reach_the_engine(make: Callable[..., object], dummy: type[DummyPipeline]) -> None:
    assert settings_of(make, dummy, model="copy", device="cpu") == Settings()
    given = {"radius": 3, "dilate": 2, "feather": 1, "grain": 0.5, "fp16": True}
    regions = [1, 2, 3, 4, 5, 6, 7, 8]
    settings = settings_of(make, dummy, device="cpu", model="copy", region=regions, **given)
    assert settings == Settings(regions=((1, 2, 3, 4), (5, 6, 7, 8)), **given)


def test_the_mask_counts_only_inside_the_regions(dummy: type[DummyPipeline]) -> None:
    clip = inpaint(clip_of("GRAY8"), mask_of(), region=[0, 0, WIDTH // 2, HEIGHT])
    planes(clip, 0)
    assert dummy.rendered == []


def test_the_typed_function_has_the_arguments_of_the_plugin() -> None:
    import inspect

    signature = inspect.signature(vswipe.inpaint)
    plugin = [argument.split(":")[0] for argument in core.wipe.Inpaint.signature.split(";") if argument]
    assert list(signature.parameters) == plugin
    own = {field.name for field in fields(Settings)} - {"regions"}
    assert own <= set(plugin)
