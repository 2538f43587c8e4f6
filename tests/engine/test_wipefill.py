"""vswipe's own network in the engine: untrained it is the copy stage, and it keeps the engine's guarantees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from away import accelerator

from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.settings import Settings
from vswipe.engine.wipefill import _COPIED, VIEWS, WipeFill
from vswipe.nets import create
from vswipe.nets.weights import save
from vswipe.nets.wipe import Found, own_share

WIDTH, HEIGHT, LENGTH = 112, 80, 9
FORMATS = [
    PictureFormat(WIDTH, HEIGHT, "YUV", 8, False, 1, 1),
    PictureFormat(WIDTH, HEIGHT, "YUV", 10, False, 1, 0),
    PictureFormat(WIDTH, HEIGHT, "YUV", 32, True, 0, 0),
    PictureFormat(WIDTH, HEIGHT, "GRAY", 16),
    PictureFormat(WIDTH, HEIGHT, "RGB", 8),
    PictureFormat(1280, 722, "YUV", 8, False, 1, 1),  # blocks of 2x2
    PictureFormat(1120, 1080, "RGB", 8),  # blocks of 4x4
    PictureFormat(1122, 1082, "YUV", 16, False, 1, 1),
]


def draw(fmt: PictureFormat, length: int) -> tuple[list[Frame], list[np.ndarray | None]]:
    """A slow pan over noise with a line of strokes over it, which is away for a while."""
    rng = np.random.default_rng(5)
    scale = max(1, fmt.height // 80)
    mask = np.zeros((fmt.height, fmt.width), np.uint8)
    cv2.putText(mask, "Wipe", (10 * scale, 60 * scale), cv2.FONT_HERSHEY_SIMPLEX, scale, 1, 3 * scale)
    planes = []
    for p in range(fmt.num_planes):
        height, width = fmt.plane_shape(p)
        grid = rng.uniform(0, 255, (height // (4 * scale) + 4, width // (4 * scale) + 4)).astype(np.float32)
        down, across = (2 * own // whole for own, whole in zip((height, width), fmt.plane_shape(0), strict=True))
        size = (width + across * length, height + down * length)
        art = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC).clip(0, 255)
        views = np.stack([art[down * n :, across * n :][:height, :width] for n in range(length)])
        views = views / 255 - (0.5 if p and fmt.family == "YUV" else 0) if fmt.floating else views * fmt.level
        planes.append(views.astype(fmt.dtype))
    frames = [Frame(n, tuple(plane[n] for plane in planes)) for n in range(length)]
    return frames, [None if n == 3 else mask for n in range(length)]


def weights(folder: Path, std: float = 0.0, seed: int = 1) -> str:
    torch.manual_seed(seed)
    net = create("wipe", width=0.34, rim=True)
    if std:
        torch.nn.init.normal_(net.last.weight, std=std)
        torch.nn.init.normal_(net.mended.weight, std=std)
    return str(save(net, folder / f"wipe{std}.safetensors", half=False))


def erase(fmt: PictureFormat, frames: Sequence[Frame], masks: Sequence[np.ndarray | None],
          order: Sequence[int] | None = None, motion: bool = True,
          **settings: object) -> dict[int, tuple[np.ndarray, ...]]:  # fmt: skip
    """All changed frames. Without `motion` the copies are those of the copy stage: test_flowfill.py has the rest."""
    pipeline = Pipeline(fmt, len(frames), Settings(radius=4, **settings))  # type: ignore[arg-type]
    if not motion:
        pipeline.motion = None
    out: dict[int, tuple[np.ndarray, ...]] = {}

    def writable(n: int) -> tuple[np.ndarray, ...]:
        out[n] = tuple(plane.copy() for plane in frames[n].planes)
        return out[n]

    chunks = range(-(-len(frames) // pipeline.chunk)) if order is None else order
    for chunk in chunks:
        start, stop = pipeline.chunk * chunk, min(pipeline.chunk * (chunk + 1), len(frames))
        window = range(max(0, start - pipeline.before), min(len(frames), stop + pipeline.after))
        pipeline.render(start, stop, {n: frames[n] for n in window}, {n: masks[n] for n in window}, writable)
    return out


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f"{f.family}{f.bits}-{f.sub_w}{f.sub_h}-{f.height}")
def test_untrained_it_is_the_copy_stage_and_trained_it_only_writes_in_the_hole(
    fmt: PictureFormat, tmp_path: Path
) -> None:
    frames, masks = draw(fmt, 4 if fmt.height > 200 else LENGTH)
    plain = erase(fmt, frames, masks)
    same = erase(fmt, frames, masks, motion=False, model="wipe", weights=weights(tmp_path))
    other = erase(fmt, frames, masks, model="wipe", weights=weights(tmp_path, 0.2))
    mask = cv2.dilate(masks[0], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    assert set(plain) == set(same) == set(other)
    for n in plain:
        assert all(np.array_equal(a, b) for a, b in zip(plain[n], same[n], strict=True))
        changed = other[n][0] != frames[n].planes[0]
        assert not changed[mask == 0].any()
        assert (other[n][0] != plain[n][0])[mask > 0].mean() > 0.3
        for before, after in zip(plain[n], other[n], strict=True):
            assert np.isfinite(after).all()
            assert not np.array_equal(before, after)


def test_a_clip_of_one_frame_is_filled(tmp_path: Path) -> None:
    fmt = FORMATS[0]
    frames, masks = draw(fmt, 1)
    plain = erase(fmt, frames, masks)[0]
    same = erase(fmt, frames, masks, model="wipe", weights=weights(tmp_path))[0]
    assert (plain[0] != frames[0].planes[0]).any()
    assert all(np.array_equal(a, b) for a, b in zip(plain, same, strict=True))


@pytest.mark.parametrize("model", ["copy", "wipe"])
def test_the_caller_s_threads_change_nothing(model: str, tmp_path: Path) -> None:
    """Sums that two threads share may differ from one thread's in the last bit, which float samples keep."""
    fmt = next(f for f in FORMATS if f.bits == 32)
    frames, masks = draw(fmt, LENGTH)
    given = {"weights": weights(tmp_path, 0.2)} if model == "wipe" else {}
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(erase(fmt, frames, masks, model=model, **given))
    finally:
        torch.set_num_threads(threads)
    for n, planes in results[0].items():
        assert all(np.array_equal(a, b) for a, b in zip(planes, results[1][n], strict=True))


class Spoken(torch.nn.Module):
    """In the network's place: keeps what it was shown, and says that only the frame's own fill is to be trusted: by
    logits, or by a residual."""

    options = {"rim": True, "steps": False}  # noqa: RUF012 (it stands for both networks)

    def __init__(self, by_logits: bool) -> None:
        super().__init__()
        self.by_logits, self.seen = by_logits, []

    def forward(self, found: Found) -> tuple[torch.Tensor, torch.Tensor]:
        self.seen.append(found)
        logits, residual = torch.zeros_like(found.logits), torch.zeros_like(found.picture)
        if self.by_logits:
            logits -= 1e4
        else:
            share = _COPIED + (1 - _COPIED) * own_share(found, logits)  # all views agree
            residual[:, :1] = (found.spatial - found.picture[:, :1]) * found.hole / share
        return logits, residual


@pytest.mark.parametrize("fmt", [FORMATS[0], FORMATS[7]], ids=["pixels", "blocks"])
def test_samples_and_blocks_lie_where_they_should(fmt: PictureFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, masks = draw(fmt, 4)
    grown = cv2.dilate(masks[0], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    results, shown = [], None
    for by_logits in (True, False):
        net = Spoken(by_logits)
        monkeypatch.setattr("vswipe.nets.create", lambda *_, net=net: net)
        results.append(erase(fmt, frames, masks, motion=False, model="wipe", weights="-"))
        shown = net.seen[0]
    for n in results[0]:
        apart = np.abs(results[0][n][0].astype(float) - results[1][n][0])[grown > 0] / fmt.level
        # Between blocks a residual is read smoothly, where logits jump.
        assert apart.max() <= 1 if fmt is FORMATS[0] else apart.mean() < 1.5
    side = 1 if fmt is FORMATS[0] else 4
    height, width = fmt.height // side, fmt.width // side
    hole = grown[: height * side, : width * side].reshape(height, side, width, side).max((1, 3))
    rows, columns = np.nonzero(hole)
    top, left = (max(0, (int(first.min()) - 16) // 8 * 8) for first in (rows, columns))
    own = shown.hole[0, 0].numpy()
    part = hole[top : top + own.shape[0], left : left + own.shape[1]]
    own = own[: part.shape[0], : part.shape[1]]
    assert np.array_equal(own, part)
    picture = shown.picture[0, 0].numpy()[: own.shape[0], : own.shape[1]]
    apart = []
    for frame in frames:  # several are worked on at once: any may have been the first
        luma = frame.planes[0][: height * side, : width * side].astype(np.float32) / fmt.level
        luma = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)[top:, left:]
        apart.append(np.abs(luma[: own.shape[0], : own.shape[1]] - picture)[own == 0].max())
    assert min(apart) < 0.01
    # Beside the hole the copies are those of the same place.
    there = shown.rimmed[0].numpy()[:, : own.shape[0], : own.shape[1]] > 0
    rim = shown.rim[0].numpy()[:, : own.shape[0], : own.shape[1]]
    near = cv2.dilate(own, np.ones((7, 7), np.uint8)) - own
    assert not there[:, near == 0].any()
    assert there[:, near > 0].mean() > 0.25
    here, elsewhere = (np.abs(rim - np.roll(picture, (k, k), (0, 1)))[there].mean() for k in (0, 2))
    assert here < 0.5 * elsewhere


def test_any_order_gives_the_same_frames(tmp_path: Path) -> None:
    fmt = FORMATS[0]
    frames, masks = draw(fmt, 20)
    settings = {"model": "wipe", "weights": weights(tmp_path, 0.2)}
    linear = erase(fmt, frames, masks, **settings)
    again = erase(fmt, frames, masks, **settings)
    shuffled = erase(fmt, frames, masks, [2, 0, 1], **settings)
    for n in linear:
        for a, b, c in zip(linear[n], again[n], shuffled[n], strict=True):
            assert np.array_equal(a, b)
            assert np.array_equal(a, c)


def test_tiles_leave_no_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tiles the network sees less around; where they fade into each other nothing may jump."""
    fmt = PictureFormat(400, 80, "GRAY", 16)
    frames, masks = draw(fmt, 4)
    mask = np.zeros((80, 400), np.uint8)
    mask[36:44, 10:390] = 1
    masks = [None if m is None else mask for m in masks]
    settings = {"model": "wipe", "weights": weights(tmp_path, 0.05)}
    settings |= {"motion": False}
    plain, whole = erase(fmt, frames, masks), erase(fmt, frames, masks, **settings)
    calls = []
    run = WipeFill.ask

    def counted(self: WipeFill, found: Found, views: Any) -> Any:
        calls.append(len(views))
        return run(self, found, views)

    monkeypatch.setattr(WipeFill, "ask", counted)
    monkeypatch.setattr(WipeFill.__init__, "__defaults__", (40 * 200,))
    tiled = erase(fmt, frames, masks, **settings)
    assert len(calls) > 2 * len(whole)
    assert set(calls) == {2}  # a tile is looked at in as many ways as the whole crop would be, which is no small one
    for n in whole:
        change = whole[n][0].astype(float) - plain[n][0]
        apart = np.abs(tiled[n][0].astype(float) - whole[n][0])
        assert np.abs(change).max() > 256
        assert apart.max() < 0.25 * np.abs(change).max()


class Doubtful(torch.nn.Module):
    """In the network's place: the views of a crop say `first`, and then `others`, of every pixel."""

    options = {"rim": True}  # noqa: RUF012

    def __init__(self, first: float, others: float) -> None:
        super().__init__()
        self.said = first, others

    def forward(self, found: Found) -> tuple[torch.Tensor, torch.Tensor]:
        said = torch.tensor([self.said[0], *[self.said[1]] * (len(found.hole) - 1)]).view(-1, 1, 1, 1)
        return torch.zeros_like(found.logits), said * torch.ones_like(found.picture) * found.hole


@pytest.mark.parametrize("ways", [2, 4])
def test_where_nothing_is_copied_views_that_disagree_are_believed_less(ways: int) -> None:
    hole = torch.zeros(1, 1, 64, 96)
    hole[..., 8:56, 8:88] = 1
    hole[..., 58:60, 8:48] = 1  # thin
    logits = torch.full((1, 4, 64, 96), -torch.inf)
    logits[:, 2, :, 48:] = 20.0  # one half of the hole is copied
    zeros = {name: torch.zeros(1, channels, 64, 96)
             for name, channels in (("picture", 3), ("values", 4), ("spatial", 1), ("own", 1), ("texture", 1),
                                    ("fills", 2), ("rim", 4), ("rimmed", 4))}  # fmt: skip
    found = Found(hole=hole, logits=logits, **zeros)

    def taken(first: float, others: float) -> tuple[float, float, float]:
        """Of the mean, where nothing is copied, where all is, and in a thin stroke."""
        net = Doubtful(first, others)
        residual = WipeFill(net, torch.device("cpu"), fp16=False).ask(found, VIEWS[:ways])[1][0, 0]
        mean = (first + (ways - 1) * others) / ways
        assert not residual[hole[0, 0] == 0].any()
        return tuple(float(residual[row, column]) / mean for row, column in ((30, 20), (30, 80), (59, 20)))

    agreed, doubted, torn = taken(8, 8), taken(8, 6), taken(8, -6)
    assert agreed[0] == pytest.approx(1, abs=1e-3)
    assert 0.1 < doubted[0] < 0.9
    assert torn[0] < 0.1
    assert [agreed[1], doubted[1], torn[1]] == pytest.approx([_COPIED] * 3, abs=1e-3)
    assert [agreed[2], doubted[2], torn[2]] == pytest.approx([1] * 3, abs=1e-3)


@pytest.mark.parametrize(("ways", "axis"), [(2, -1), (4, -1), (4, -2)])
def test_mirrored_and_backwards_it_says_the_same(tmp_path: Path, ways: int, axis: int) -> None:
    """Neither left nor past is special, whatever the weights."""
    run = WipeFill(create("wipe", weights(tmp_path, 0.05)), torch.device("cpu"), fp16=False)
    generator = torch.Generator().manual_seed(3)

    def noise(channels: int, low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(1, channels, 32, 48, generator=generator)

    hole, levels = (noise(1, 0, 1) > 0.5).float(), (16, 235)
    found = Found(
        hole,
        noise(3, *levels),
        noise(4, *levels),
        noise(4, -3, 3),
        noise(1, *levels),
        noise(1, -3, 3),
        noise(1, 0, 20),
        noise(2, *levels),
        noise(4, *levels),
        (noise(4, 0, 1) > 0.5).float() * (1 - hole),
    )
    logits, residual = run.ask(found, VIEWS[:ways])
    mirrored = {key: value.flip(axis) for key, value in vars(found).items()}
    for key in ("values", "logits", "rim", "rimmed"):  # two candidates of the past, two of the future
        mirrored[key] = torch.cat([mirrored[key][:, 2:], mirrored[key][:, :2]], 1)
    other_logits, other_residual = run.ask(Found(**mirrored), VIEWS[:ways])
    assert float(residual.abs().max()) > 1
    torch.testing.assert_close(other_residual.flip(axis), residual, atol=1e-4, rtol=1e-4)
    other_logits = torch.cat([other_logits[:, 2:], other_logits[:, :2]], 1)
    torch.testing.assert_close(other_logits.flip(axis), logits, atol=1e-4, rtol=1e-4)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.safetensors"):
        Pipeline(FORMATS[0], 4, Settings(model="wipe", weights=str(tmp_path / "nothing.safetensors")))


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.parametrize("fmt", [FORMATS[i] for i in (0, 2, 3, 4, 5, 6)],
                         ids=lambda f: f"{f.family}{f.bits}-{f.sub_w}{f.sub_h}-{f.height}")  # fmt: skip
def test_on_an_accelerator_it_is_the_same(fmt: PictureFormat, tmp_path: Path) -> None:
    """Everything is where it must be, and torch gives what the CPU's compiled loops give."""
    frames, masks = draw(fmt, 3 if fmt.height > 200 else 6)
    file = weights(tmp_path, 0.1)
    for model in ({"model": "copy"}, {"model": "wipe", "weights": file}):
        here = erase(fmt, frames, masks, **model)
        with accelerator() as device:
            there = erase(fmt, frames, masks, device=str(device), **model)
        assert set(here) == set(there)
        level = 1 / 255 if fmt.floating else fmt.level
        for n in here:
            for one, other in zip(here[n], there[n], strict=True):
                apart = np.abs(one.astype(np.float64) - other) / level
                assert apart.mean() < 0.05
                assert np.mean(apart > 1) < 0.01
