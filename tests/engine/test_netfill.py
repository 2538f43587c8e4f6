"""Networks in the engine: the same frame in any order, nothing across a cut, outside the hole nothing."""

import random
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from away import accelerator

from vswipe.engine.memory import Timeline
from vswipe.engine.netfill import NetFill, NetSettings, _View, _Windows
from vswipe.engine.ring import FrameRing
from vswipe.nets import create

LEVEL = 1 / 255
NUM_FRAMES, CUT = 40, 23
HEIGHT, WIDTH = 37, 51
OPTIONS: dict[str, dict[str, Any]] = {
    "opn": {"width": 0.125},
    "rnot": {"width": 0.125, "depth": 2},
    "sttn": {"width": 0.125, "depth": 1},
    "autosttn": {"width": 0.125, "depth": 1},
    "opn+tcn": {"width": 0.125},
}


class Clip:
    """A drifting texture with a cut and a mark that is away for some frames; counts what is asked for."""

    def __init__(self, height: int = HEIGHT, width: int = WIDTH) -> None:
        rng = np.random.default_rng(5)
        noise = rng.random((2, height + 60, width + 120, 3)).astype(np.float32)
        self.scenes = [cv2.GaussianBlur(n, (0, 0), 2) * 2 - 0.5 for n in noise]
        self.height, self.width = height, width
        self.asked: set[int] = set()
        self.changed_from = NUM_FRAMES

    def picture(self, n: int) -> np.ndarray:
        assert 0 <= n < NUM_FRAMES
        self.asked.add(n)
        if n >= self.changed_from:
            return np.zeros((self.height, self.width, 3), np.float32)
        scene = self.scenes[n >= CUT]
        return np.clip(scene[n : n + self.height, 2 * n : 2 * n + self.width], 0, 1)

    def hole(self, n: int) -> np.ndarray | None:
        if n % 13 == 4:
            return None
        hole = np.zeros((self.height, self.width), np.uint8)
        hole[self.height // 2 : self.height // 2 + 9, 8 : self.width - 10] = 1
        return hole

    def base(self, n: int) -> np.ndarray:
        picture, hole = self.picture(n).copy(), self.hole(n)
        assert hole is not None
        picture[hole > 0] = picture[hole == 0].mean(0)
        return picture

    def linked(self, n: int) -> bool:
        assert 0 <= n < NUM_FRAMES - 1
        return n + 1 != CUT


def networks(name: str, own: bool = True) -> tuple[Any, Any]:
    """A network whose output differs from the base, and the post-network if there is one."""
    torch.manual_seed(1)
    first, _, second = name.partition("+")
    net = create(first, own=own, **OPTIONS[name])
    if own:
        torch.nn.init.normal_(net.head.last.weight, std=0.2)
    for block in getattr(net, "transformer", []):
        block.attention.output_linear[0].weight.data.mul_(30)  # other frames are to matter
    if first == "opn":  # here too: untrained, what is read hardly shows
        net.Encoder.val3.input_conv.weight.data.mul_(20)
        net.Encoder.key3.input_conv.weight.data.mul_(5)
    if not second:
        return net, None
    post = create(second, own=True, width=0.125)
    torch.nn.init.normal_(post.Decoder.conv1.input_conv.weight, std=0.2)
    return net, post


def filler(name: str, ring: FrameRing | None = None, own: bool = True, **settings: Any) -> NetFill:
    net, post = networks(name, own)
    ring = ring or FrameRing(1 << 28)
    return NetFill(net, "cpu", False, ring, NUM_FRAMES, NetSettings(**{"radius": 10, **settings}), post)


def run(fill: NetFill, clip: Clip, chunks: Sequence[Sequence[int]]) -> dict[int, np.ndarray]:
    out: dict[int, np.ndarray] = {}
    for chunk in chunks:
        out |= fill.fill("place", chunk, clip.picture, clip.hole, clip.base, clip.linked)
    return out


def chunks_of(size: int) -> list[list[int]]:
    return [list(range(s, min(s + size, NUM_FRAMES))) for s in range(0, NUM_FRAMES, size)]


@pytest.mark.parametrize(("name", "own"), [*((name, True) for name in OPTIONS), ("opn", False), ("rnot", False)])
def test_any_order_and_chunk_size_gives_the_same_frames(name: str, own: bool) -> None:
    clip = Clip()
    expected = run(filler(name, own=own), clip, chunks_of(4))
    moved = [np.abs(expected[n] - clip.base(n)).max() for n in expected if clip.hole(n) is not None]
    assert min(moved) > LEVEL
    shuffled = chunks_of(4)
    random.Random(3).shuffle(shuffled)
    orders = [chunks_of(12), chunks_of(4)[::-1], shuffled]
    rings = [FrameRing(1 << 28), FrameRing(1 << 20), FrameRing(1 << 28)]  # one forgets
    for order, ring in zip(orders, rings, strict=True):
        got = run(filler(name, ring, own=own), clip, order)
        assert max(np.abs(got[n] - expected[n]).max() for n in expected) < LEVEL


@pytest.mark.parametrize("name", OPTIONS)
def test_each_frame_is_encoded_once_in_linear_playback(name: str) -> None:
    fill, clip = filler(name), Clip()
    run(fill, clip, chunks_of(8))
    assert 0 < fill.ring.computed["net.encode"] <= NUM_FRAMES
    before = fill.ring.computed["net.encode"]
    run(fill, clip, chunks_of(8)[2:3])
    assert fill.ring.computed["net.encode"] == before
    if "+" in name:
        assert fill.ring.computed["net.done"] <= NUM_FRAMES


@pytest.mark.parametrize("name", OPTIONS)
def test_nothing_comes_from_beyond_a_cut(name: str) -> None:
    clip = Clip()
    expected = run(filler(name), clip, [range(16, CUT)])
    clip.changed_from = CUT
    got = run(filler(name), clip, [range(16, CUT)])
    assert all(np.array_equal(got[n], expected[n]) for n in expected)
    assert max(clip.asked) < CUT


@pytest.mark.parametrize("name", OPTIONS)
def test_frames_of_the_shot_are_used_within_the_reach(name: str) -> None:
    clip = Clip()
    clip.linked = lambda n: True  # type: ignore[method-assign]
    fill = filler(name, radius=5)
    run(fill, clip, [[20]])
    assert 20 - fill.reach <= min(clip.asked) < 20
    assert 20 < max(clip.asked) <= 20 + fill.reach


@pytest.mark.parametrize("name", OPTIONS)
def test_outside_the_hole_and_frames_without_one_are_the_picture(name: str) -> None:
    fill, clip = filler(name), Clip()
    out = run(fill, clip, [range(0, 8)])
    for n, got in out.items():
        hole = clip.hole(n)
        keep = np.ones((HEIGHT, WIDTH), bool) if hole is None else hole == 0
        assert np.array_equal(got[keep], clip.picture(n)[keep])
        assert got.dtype == np.float32
    clip.asked.clear()
    empty = filler(name)
    assert np.array_equal(run(empty, clip, [[4]])[4], clip.picture(4))
    assert clip.asked == {4}
    assert not empty.ring.computed


@pytest.mark.parametrize("name", ["opn", "rnot", "sttn"])
def test_untrained_network_gives_the_base_in_tiles_of_odd_sizes(name: str) -> None:
    clip = Clip(131, 301)
    net = create(name, own=True, **OPTIONS[name])
    settings = NetSettings(radius=5, max_pixels=12_000)
    fill = NetFill(net, "cpu", False, FrameRing(1 << 28), NUM_FRAMES, settings)
    out = run(fill, clip, [[6]])
    np.testing.assert_allclose(out[6], clip.base(6), atol=1e-6)


def test_shots_reach_the_network() -> None:
    clip = Clip(64, 80)
    clip.hole = lambda n: np.pad(np.ones((40, 50), np.uint8), ((12, 12), (15, 15)))  # type: ignore[method-assign]
    one, many = (run(filler("opn", shots=s), clip, [[6]])[6] for s in (1, 0))
    assert np.abs(one - many).max() > LEVEL
    run(filler("rnot", shots=3), clip, [[6]])  # works in one: not read


def test_context_is_asked_for_what_is_only_looked_at() -> None:
    clip = Clip()
    asked: list[int] = []

    def base(n: int) -> np.ndarray:
        asked.append(n)
        return clip.base(n)

    for name in ("opn", "rnot", "sttn"):
        asked.clear()
        numbers = [9, 10, 11]
        out = filler(name).fill("place", numbers, clip.picture, clip.hole, base, clip.linked, clip.base)
        assert set(asked) == set(numbers)
        expected = run(filler(name), clip, [numbers])
        assert all(np.array_equal(out[n], expected[n]) for n in numbers)


def test_frames_are_those_of_the_network_run_on_whole_windows() -> None:
    clip, (net, _) = Clip(32, 64), networks("sttn")
    clip.hole = lambda n: np.pad(np.ones((9, 40), np.uint8), ((12, 11), (10, 14)))  # type: ignore[method-assign]
    got = run(filler("sttn", radius=10), clip, [[13]])[13]

    def window(members: list[int], n: int) -> np.ndarray:
        arrays = zip(*((clip.picture(m), clip.hole(m)[..., None] * 1.0, clip.base(m)) for m in members), strict=True)
        inputs = [torch.from_numpy(np.stack(a)).float().permute(0, 3, 1, 2)[None] for a in arrays]
        with torch.inference_mode():
            return net(*inputs)[0, members.index(n)].permute(1, 2, 0).numpy()

    # Windows of 10 every 5 frames: 5..14 and 10..19; references 10 frames around them.
    first, second = window([*range(5, 15), 0, 20], 13), window([*range(10, 20), 0, 20], 13)
    np.testing.assert_allclose(got, 0.3 * first + 0.7 * second, atol=2 * LEVEL)
    assert np.abs(first - second).max() > 4 * LEVEL


def test_window_shares_add_up_and_change_slowly() -> None:
    windows = _Windows(10, Timeline(100, lambda n: n != 41))
    before: dict[range, float] = {}
    for n in range(100):
        shares = windows.of(n)
        assert sum(share for _, share in shares) == pytest.approx(1)
        assert all(n in frames and share > 0 for frames, share in shares)
        assert all(not (frames.start <= 41 < frames.stop - 1) for frames, _ in shares)
        now = dict(shares)
        if 10 < n < 30:  # whole windows: none comes or goes with more than a small share
            for frames in now.keys() | before.keys():
                assert abs(now.get(frames, 0) - before.get(frames, 0)) <= 0.2 + 1e-9
        before = now


def test_padding_mirrors_the_hole_with_the_picture() -> None:
    view = _View(None, None, (32, 64), torch.device("cpu"))  # type: ignore[arg-type]
    part = np.arange(5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
    padded = view.tensor(part)[0, 0].permute(1, 2, 0).numpy()
    assert padded.shape == (32, 64, 3)
    np.testing.assert_array_equal(padded[:5, :7], part)
    np.testing.assert_array_equal(padded[5, :7], part[3])
    np.testing.assert_array_equal(padded[:5, 7], part[:, 5])
    assert view.tensor(part[:1, :1]).shape == (1, 1, 3, 32, 64)


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.parametrize("name", OPTIONS)
def test_on_an_accelerator_it_is_the_same(name: str) -> None:
    """Everything is where it must be."""
    clip = Clip()

    def fill(device: str) -> dict[int, np.ndarray]:
        net, post = networks(name)
        filler = NetFill(net, torch.device(device), False, FrameRing(1 << 28), NUM_FRAMES, NetSettings(radius=10), post)
        return run(filler, clip, [range(8, 12)])

    here = fill("cpu")
    with accelerator() as device:
        there = fill(str(device))
    apart = [np.abs(here[n] - there[n]) for n in here]
    if "+" in name:  # of a recurrence with random weights every bit grows
        assert np.mean(apart) < 10 * LEVEL
    else:
        assert np.max(apart) < 0.05 * LEVEL


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", OPTIONS)
def test_half_precision_on_cuda_is_near(name: str) -> None:
    clip, results = Clip(), []
    for device, fp16 in (("cpu", False), ("cuda", True)):
        net, post = networks(name)
        fill = NetFill(net, device, fp16, FrameRing(1 << 28), NUM_FRAMES, NetSettings(radius=10), post)
        results.append(run(fill, clip, [range(8, 12)]))
    assert max(np.abs(results[0][n] - results[1][n]).mean() for n in results[0]) < 4 * LEVEL
