"""The engine on drawn clips whose truth is known: guarantees first, then that copying really copies."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vswipe.engine import region_job
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.settings import Settings
from vswipe.nets import create
from vswipe.nets.weights import save
from vswipe.ops.morphology import dilate, shrink_any

WIDTH, HEIGHT, LENGTH = 128, 96, 28
YUV420 = PictureFormat(WIDTH, HEIGHT, "YUV", 8, False, 1, 1)


def painting(seed: int = 0) -> np.ndarray:
    """Texture of several scales, larger than a frame, (H, W, 3) levels."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.GaussianBlur(rng.standard_normal((HEIGHT + 64, WIDTH + 160, 3)).astype(np.float32), (0, 0), s) * s
        for s in (1.5, 4, 12)
    ]
    return np.clip(sum(layers) * 90 + 120, 20, 230)


def draw_clip(fmt: PictureFormat, length: int = LENGTH, seed: int = 0, speed: int = 2) -> list[Frame]:
    """A pan over the painting in any format."""
    art = painting(seed)
    frames = []
    for n in range(length):
        view = art[10 : 10 + fmt.height, 4 + speed * n : 4 + speed * n + fmt.width]
        frames.append(Frame(n, to_planes(view, fmt)))
    return frames


def to_planes(view: np.ndarray, fmt: PictureFormat) -> tuple[np.ndarray, ...]:
    planes = []
    for p in range(fmt.num_planes):
        height, width = fmt.plane_shape(p)
        plane = cv2.resize(view[..., p], (width, height), interpolation=cv2.INTER_AREA)
        if fmt.floating:
            plane = (plane - (128 if fmt.family == "YUV" and p else 0)) / 255
        else:
            plane = np.rint(plane * fmt.level)
        planes.append(plane.astype(fmt.dtype))
    return tuple(planes)


def text_mask(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.putText(mask, "Wipe", (width // 8, height - height // 6), cv2.FONT_HERSHEY_SIMPLEX, width / 128, 1, 3)
    return mask


def burn(
    frames: Sequence[Frame], masks: Sequence[np.ndarray | None], fmt: PictureFormat, low: float = 235
) -> list[Frame]:
    """The clip with masked samples overwritten by a loud colour."""
    out = []
    for frame, mask in zip(frames, masks, strict=True):
        planes = [p.copy() for p in frame.planes]
        for p, plane in enumerate(planes):
            if mask is not None:
                sub = (fmt.sub_h, fmt.sub_w) if p and fmt.family == "YUV" else (0, 0)
                loud = low / 255 if fmt.floating else low * fmt.level
                plane[shrink_any(mask, 1 << sub[0], 1 << sub[1]) > 0] = loud
        out.append(Frame(frame.n, tuple(planes), frame.props))
    return out


class Run:
    """A pipeline over a clip held in memory; frames come out in any order."""

    def __init__(
        self, fmt: PictureFormat, frames: Sequence[Frame], masks: Sequence[np.ndarray | None], **settings: object
    ):
        self.frames, self.masks = frames, masks
        self.pipeline = Pipeline(fmt, len(frames), Settings(**settings))  # type: ignore[arg-type]
        self.touched: set[int] = set()

    def chunk(self, start: int) -> tuple[dict[int, tuple[np.ndarray, ...]], dict]:
        p = self.pipeline
        stop = min(start + p.chunk, len(self.frames))
        window = range(max(0, start - p.before), min(len(self.frames), stop + p.after))
        out: dict[int, tuple[np.ndarray, ...]] = {}

        def writable(n: int) -> tuple[np.ndarray, ...]:
            self.touched.add(n)
            out[n] = tuple(plane.copy() for plane in self.frames[n].planes)
            return out[n]

        reports = p.render(
            start, stop, {n: self.frames[n] for n in window}, {n: self.masks[n] for n in window}, writable
        )
        return {n: out.get(n, self.frames[n].planes) for n in range(start, stop)}, reports

    def all(self, order: Sequence[int] | None = None) -> list[tuple[np.ndarray, ...]]:
        starts = range(0, len(self.frames), self.pipeline.chunk) if order is None else order
        done = {}
        for start in starts:
            done |= self.chunk(start)[0]
        return [done[n] for n in range(len(self.frames))]


def with_gap(mask: np.ndarray, length: int = LENGTH) -> list[np.ndarray | None]:
    """A held line with a gap of four frames."""
    return [None if 12 <= n < 16 else mask for n in range(length)]


FORMATS = [
    YUV420,
    PictureFormat(WIDTH, HEIGHT, "YUV", 10, False, 1, 0),
    PictureFormat(WIDTH, HEIGHT, "YUV", 16, False, 0, 0),
    PictureFormat(WIDTH, HEIGHT, "YUV", 32, True, 1, 1),
    PictureFormat(WIDTH, HEIGHT, "YUV", 16, True, 0, 0),
    PictureFormat(WIDTH, HEIGHT, "GRAY", 12),
    PictureFormat(WIDTH, HEIGHT, "GRAY", 32, True),
    PictureFormat(WIDTH, HEIGHT, "RGB", 8),
    PictureFormat(WIDTH, HEIGHT, "RGB", 16, True),
]


@pytest.mark.parametrize(
    "fmt", FORMATS, ids=lambda f: f"{f.family}{f.bits}{'f' if f.floating else ''}s{f.sub_w}{f.sub_h}"
)
def test_outside_the_mask_every_sample_is_the_input_and_inside_the_mark_is_gone(fmt: PictureFormat) -> None:
    clean, mask = draw_clip(fmt, 20), text_mask()
    masks = with_gap(mask, 20)
    source = burn(clean, masks, fmt)
    result = Run(fmt, source, masks, radius=14).all()
    for n, planes in enumerate(result):
        for p, plane in enumerate(planes):
            if masks[n] is None:
                assert plane is source[n].planes[p]
                continue
            sub = (1 << fmt.sub_h, 1 << fmt.sub_w) if p and fmt.family == "YUV" else (1, 1)
            inside = shrink_any(dilate(mask, 1), *sub) > 0
            assert np.array_equal(plane[~inside], source[n].planes[p][~inside])
            error = (plane.astype(np.float64) - clean[n].planes[p].astype(np.float64))[inside] / fmt.level
            assert np.sqrt((error**2).mean()) < 12


def test_any_order_gives_the_same_frames() -> None:
    masks = with_gap(text_mask())
    source = burn(draw_clip(YUV420), masks, YUV420)
    starts = list(range(0, LENGTH, Run(YUV420, source, masks).pipeline.chunk))
    linear = Run(YUV420, source, masks, radius=12).all()
    for order in (starts[::-1], [starts[k] for k in np.random.default_rng(5).permutation(len(starts))]):
        again = Run(YUV420, source, masks, radius=12).all(order)
        for a, b in zip(linear, again, strict=True):
            assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    single = Run(YUV420, source, masks, radius=12)
    for start in starts + starts[:1]:
        single.pipeline.ring.clear()
        for n, planes in single.chunk(start)[0].items():
            assert all(np.array_equal(x, y) for x, y in zip(linear[n], planes, strict=True))


def test_linear_playback_converts_and_computes_flow_once_per_frame() -> None:
    masks = [text_mask()] * LENGTH
    run = Run(YUV420, burn(draw_clip(YUV420), masks, YUV420), masks, radius=12)
    run.all()
    counts = run.pipeline.ring.computed
    assert counts["basics"] == counts["work_fill"] == counts["second"] == counts["thumbnail"] == LENGTH
    assert counts["flow1"] == counts["flow2"] == LENGTH - 1


def test_frames_without_mask_are_not_touched_and_cost_nothing() -> None:
    masks: list[np.ndarray | None] = [None] * LENGTH
    run = Run(YUV420, draw_clip(YUV420), masks)
    run.all()
    assert not run.touched
    assert not run.pipeline.ring.computed


def test_no_hidden_pixel_ever_enters_a_result() -> None:
    """Two clips that differ only under the mask give the same frames."""
    masks = with_gap(text_mask())
    clean = draw_clip(YUV420)
    dark = Run(YUV420, burn(clean, masks, YUV420, 0), masks, radius=12).all()
    loud = Run(YUV420, burn(clean, masks, YUV420, 255), masks, radius=12).all()
    for a, b in zip(dark, loud, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_pan_is_restored_from_other_frames() -> None:
    masks: list[np.ndarray | None] = [text_mask()] * LENGTH
    clean = draw_clip(YUV420)
    run = Run(YUV420, burn(clean, masks, YUV420), masks)
    result = run.all()
    inside = dilate(text_mask(), 1) > 0
    error = np.concatenate([(r[0].astype(float) - c.planes[0])[inside] for r, c in zip(result, clean, strict=True)])
    assert np.sqrt((error**2).mean()) < 6
    reports = run.chunk(8)[1]
    assert all(r.copied > 0.8 for r in reports.values())
    assert all(abs(r.masked - inside.mean()) < 1e-6 for r in reports.values())


def test_large_pictures_are_followed_at_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the working size flow is coarser and 2x2 pixels are decided as one; every guarantee still holds."""
    monkeypatch.setattr("vswipe.engine.pipeline.WORKING_SIDE", HEIGHT // 2)
    masks = with_gap(text_mask())
    clean = draw_clip(YUV420)
    results = [Run(YUV420, burn(clean, masks, YUV420, low), masks, radius=12).all() for low in (0, 255)]
    for n in range(LENGTH):
        assert all(np.array_equal(a, b) for a, b in zip(results[0][n], results[1][n], strict=True)) or masks[n] is None
    inside = dilate(text_mask(), 1) > 0
    error = np.concatenate(
        [(r[0].astype(float) - c.planes[0])[inside] for r, c in zip(results[0], clean, strict=True)][:12]
    )
    assert np.sqrt((error**2).mean()) < 14  # the spatial fill alone has 30


def test_a_cut_is_never_crossed() -> None:
    """The other shot shows the hidden place, but it is another picture: the result must not depend on it."""
    mask = text_mask()
    first = draw_clip(YUV420, 12, seed=1)
    results = []
    for seed in (2, 3):
        other = [Frame(f.n + 12, f.planes) for f in draw_clip(YUV420, 8, seed=seed)]
        frames = [*first, *other]
        frames[11] = Frame(11, frames[11].planes, {"_SceneChangeNext": 1})
        masks: list[np.ndarray | None] = [mask] * 12 + [None] * 8
        results.append(Run(YUV420, burn(frames, masks, YUV420), masks).all()[:12])
    for a, b in zip(*results, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_fade_is_followed() -> None:
    fmt = PictureFormat(WIDTH, HEIGHT, "GRAY", 8)
    mask = text_mask()
    clean = [Frame(f.n, (np.rint(f.planes[0] * (1 - 0.02 * f.n)).astype(np.uint8),)) for f in draw_clip(fmt, speed=0)]
    masks: list[np.ndarray | None] = [mask] * 20 + [None] * 8
    result = Run(fmt, burn(clean, masks, fmt), masks).all()
    inside = dilate(mask, 1) > 0
    error = (result[4][0].astype(float) - clean[4].planes[0])[inside]
    assert abs(error.mean()) < 2
    assert np.sqrt((error**2).mean()) < 6


@pytest.mark.parametrize("size", [(2, 2), (16, 9), (33, 31), (130, 20), (20, 130)])
@pytest.mark.parametrize("sub", [0, 1])
def test_small_and_odd_sizes(size: tuple[int, int], sub: int) -> None:
    width, height = (side // (1 << sub) * (1 << sub) for side in size)
    fmt = PictureFormat(width, height, "YUV", 8, False, sub, sub)
    clip = [Frame(n, tuple(np.full(fmt.plane_shape(p), 90 + p, np.uint8) for p in range(3))) for n in range(3)]
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2, width // 2] = 1
    masks: list[np.ndarray | None] = [mask] * 3
    for planes in Run(fmt, burn(clip, masks, fmt), masks).all():
        assert abs(int(planes[0][height // 2, width // 2]) - 90) <= (1 if width > 2 else 255)


def test_a_mask_over_everything_takes_the_frames_around() -> None:
    clean = draw_clip(YUV420, 10, speed=0)
    full = np.ones((HEIGHT, WIDTH), np.uint8)
    masks: list[np.ndarray | None] = [full if n == 5 else None for n in range(10)]
    result = Run(YUV420, burn(clean, masks, YUV420), masks).all()
    assert np.abs(result[5][0].astype(int) - clean[5].planes[0]).mean() < 3
    everywhere: list[np.ndarray | None] = [full] * 10
    assert len(Run(YUV420, clean, everywhere).all()) == 10


@pytest.mark.parametrize("fmt", [YUV420, FORMATS[2], FORMATS[5], FORMATS[7]], ids=["420", "444", "gray", "rgb"])
def test_what_no_frame_shows_goes_on_from_what_was_copied(fmt: PictureFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box hides a pattern of which later frames show the upper part; only there can be seen how the rest goes on."""
    view = painting()[:HEIGHT, :WIDTH].copy()
    view[30:66, 24:104] = view[30:66, 24:104] / 4 + 20
    view[30:66, 52:76] += 130
    clean = [Frame(n, to_planes(view, fmt)) for n in range(16)]
    whole, part = (np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(2))
    whole[26:70, 20:108] = 1
    part[56:70, 20:108] = 1
    masks: list[np.ndarray | None] = [whole if n < 8 else part for n in range(16)]
    burnt = burn(clean, masks, fmt)
    errors: list[list[float]] = []
    for peel in (region_job.peel, lambda *args, **_: args[4]):
        monkeypatch.setattr(region_job, "peel", peel)
        out, height = Run(fmt, burnt, masks).all()[3], fmt.plane_shape(0)[0]
        errors.append([])
        for plane, truth in zip(out, clean[3].planes, strict=True):
            sub = height // plane.shape[0]
            below = np.s_[58 // sub : 62 // sub, 32 // sub : 96 // sub]
            errors[-1].append(np.abs(plane.astype(float) - truth)[below].mean() / fmt.level)
    for with_copies, without in zip(*errors, strict=True):
        assert with_copies < 0.75 * without


def test_a_single_frame_is_filled_from_itself() -> None:
    masks: list[np.ndarray | None] = [text_mask()]
    clean = draw_clip(YUV420, 1)
    ((luma, *_),) = Run(YUV420, burn(clean, masks, YUV420), masks).all()
    error = (luma.astype(float) - clean[0].planes[0])[text_mask() > 0]
    assert np.sqrt((error**2).mean()) < 40


def test_regions_limit_the_mask() -> None:
    mask = text_mask()
    masks: list[np.ndarray | None] = [mask] * 4
    source = burn(draw_clip(YUV420, 4), masks, YUV420)
    result = Run(YUV420, source, masks, regions=((0, 0, WIDTH // 2, HEIGHT),), dilate=0).all()
    right = np.s_[:, WIDTH // 2 :]
    assert np.array_equal(result[0][0][right], source[0].planes[0][right])
    assert (result[0][0] != source[0].planes[0]).any()


def network_file(folder: Path, **changes: float) -> str:
    """An untrained RNoT of our own: it adds nothing to the fill it starts from, unless its last layer is changed."""
    torch.manual_seed(1)
    net = create("rnot", own=True, width=0.25, depth=1)
    if changes:
        last = [p for p in net.parameters() if p.ndim == 1][-1]
        torch.nn.init.constant_(last, changes["bias"])
    return str(save(net, folder / f"rnot{len(changes)}.safetensors"))


def erased(
    frames: Sequence[Frame], masks: Sequence[np.ndarray | None], order: Sequence[int], **settings: object
) -> dict[int, tuple[np.ndarray, ...]]:
    """Frames by number, chunks asked for in an order."""
    pipeline = Pipeline(YUV420, len(frames), Settings(**settings))  # type: ignore[arg-type]
    out: dict[int, tuple[np.ndarray, ...]] = {}

    def writable(n: int) -> tuple[np.ndarray, ...]:
        out[n] = tuple(plane.copy() for plane in frames[n].planes)
        return out[n]

    for chunk in order:
        start, stop = 8 * chunk, min(8 * chunk + 8, len(frames))
        window = range(max(0, start - pipeline.before), min(len(frames), stop + pipeline.after))
        pipeline.render(start, stop, {n: frames[n] for n in window}, {n: masks[n] for n in window}, writable)
    assert pipeline.model == settings.get("model", "copy")
    return out


def test_a_network_fills_in_place_of_the_spatial_fill(tmp_path: Path) -> None:
    """Untrained it changes nothing but rounding; what it adds shows inside the hole and nowhere else."""
    clean = draw_clip(YUV420, 12, speed=0)
    masks: list[np.ndarray | None] = [text_mask()] * 12
    frames = burn(clean, masks, YUV420)
    plain = erased(frames, masks, [0, 1], radius=4)
    same = erased(frames, masks, [0, 1], radius=4, model="rnot", weights=network_file(tmp_path))
    other = erased(frames, masks, [0, 1], radius=4, model="rnot", weights=network_file(tmp_path, bias=0.5))
    grown = dilate(text_mask(), 1)
    for n in range(12):
        difference = np.abs(plain[n][0].astype(int) - same[n][0])
        assert difference.max() <= 2
        changed = other[n][0] != frames[n].planes[0]
        assert not changed[grown == 0].any()
        assert (other[n][0] != plain[n][0])[grown > 0].mean() > 0.5


def test_a_network_gives_the_same_frames_in_any_order(tmp_path: Path) -> None:
    clean = draw_clip(YUV420, 28)
    masks: list[np.ndarray | None] = [text_mask()] * 28
    frames = burn(clean, masks, YUV420)
    settings = {"radius": 4, "model": "rnot", "weights": network_file(tmp_path, bias=0.5)}
    linear = erased(frames, masks, [0, 1, 2, 3], **settings)
    shuffled = erased(frames, masks, [2, 0, 3, 1], **settings)
    for n in range(28):
        for a, b in zip(linear[n], shuffled[n], strict=True):
            assert np.abs(a.astype(int) - b).max() <= 1


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.safetensors"):
        Pipeline(YUV420, 4, Settings(model="rnot", weights=str(tmp_path / "nothing.safetensors")))


def test_a_window_is_let_go_without_the_collector() -> None:
    """A circle of references would hold every frame of a window, 250 MB at 1080p, until the collector comes by."""
    masks: list[np.ndarray | None] = [text_mask()] * 12
    frames = burn(draw_clip(YUV420, 12), masks, YUV420)
    pipeline = Pipeline(YUV420, 12, Settings(radius=4))
    seen = [weakref.ref(frame) for frame in frames]
    gc.collect()
    gc.disable()
    try:
        copies = [tuple(plane.copy() for plane in frame.planes) for frame in frames]
        pipeline.render(0, 8, dict(enumerate(frames)), dict(enumerate(masks)), copies.__getitem__)
        frames.clear()
        assert all(ref() is None for ref in seen)
    finally:
        gc.enable()
