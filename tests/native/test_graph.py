"""The bridge inside one Python process: order, threads, errors, and what is asked of the source."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import vapoursynth as vs
from dummy import DummyPipeline

core = vs.core
LENGTH = 61
BUSY = range(20, 30)  # frames with a mask


def numbered(length: int = LENGTH) -> vs.VideoNode:
    """A clip whose first sample tells the frame number."""
    blank = core.std.BlankClip(width=64, height=48, format=vs.YUV420P8, length=length)
    return core.std.FrameEval(blank, lambda n: core.std.BlankClip(blank, color=[n % 256, 128, 64], length=1))


def held_mask(color: int = 255) -> vs.VideoNode:
    return core.std.BlankClip(width=64, height=48, format=vs.GRAY8, length=1, color=color)


def corner_mask(length: int = LENGTH, busy: Sequence[int] = BUSY) -> vs.VideoNode:
    """Marks the right half of the frames in `busy`."""
    half = core.std.BlankClip(width=32, height=48, format=vs.GRAY8, length=length)
    marked = core.std.StackHorizontal([half, core.std.BlankClip(half, color=255)])
    empty = core.std.BlankClip(marked, color=0)
    return core.std.FrameEval(marked, lambda n: marked if n in busy else empty)


def expected(n: int, length: int, pipeline: type[DummyPipeline] = DummyPipeline) -> int:
    window = range(max(0, n - pipeline.before), min(length, n + pipeline.after + 1))
    return sum(i % 256 * (1 + i - n + pipeline.before) for i in window) % 200


def values(clip: vs.VideoNode, numbers: list[int]) -> list[int]:
    """The sample at the right edge of each frame."""
    result = []
    for n in numbers:
        with clip.get_frame(n) as frame:
            result.append(int(np.asarray(frame[0])[5, 60]))
    return result


def counted(clip: vs.VideoNode) -> tuple[vs.VideoNode, Counter[int]]:
    """The clip, and how often each of its frames was made."""
    counts: Counter[int] = Counter()
    lock = threading.Lock()

    def count(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        with lock:
            counts[n] += 1
        return f

    return core.std.ModifyFrame(clip, clip, count), counts


@pytest.mark.usefixtures("dummy")
def test_every_frame_sees_its_window() -> None:
    clip = core.wipe.Inpaint(numbered(), held_mask(), device="cpu")
    assert values(clip, list(range(LENGTH))) == [expected(n, LENGTH) for n in range(LENGTH)]


@pytest.mark.usefixtures("dummy")
def test_any_order_gives_the_same_frames() -> None:
    linear = list(range(LENGTH))
    shuffled = linear * 2
    random.Random(1).shuffle(shuffled)
    for order in (linear[::-1], shuffled):
        clip = core.wipe.Inpaint(numbered(), corner_mask(), device="cpu")
        assert values(clip, order) == [expected(n, LENGTH) if n in BUSY else n for n in order]


@pytest.mark.usefixtures("dummy")
def test_16_core_threads_and_12_requesting_threads() -> None:
    core.num_threads = 16
    clip = core.wipe.Inpaint(numbered(), corner_mask(), device="cpu")
    order = list(range(LENGTH)) * 12
    random.Random(2).shuffle(order)
    with ThreadPoolExecutor(12) as pool:
        result = list(pool.map(lambda n: values(clip, [n])[0], order))
    assert result == [expected(n, LENGTH) if n in BUSY else n for n in order]


@pytest.mark.usefixtures("dummy")
def test_three_filters_in_a_chain() -> None:
    core.num_threads = 2
    clip = numbered()
    for busy in (range(0, 10), range(20, 30), range(40, 50)):
        clip = core.wipe.Inpaint(clip, corner_mask(busy=busy), device="cpu")
    frames = [np.asarray(frame[0])[5, 60] for frame in clip.frames(close=False)]
    marked = (*range(0, 10), *range(20, 30), *range(40, 50))
    assert frames == [expected(n, LENGTH) if n in marked else n for n in range(LENGTH)]


def test_linear_playback_asks_the_source_once(dummy: type[DummyPipeline]) -> None:
    dummy.before = dummy.after = 40
    length = 200
    core.num_threads = 4
    source, source_counts = counted(numbered(length))
    mask, mask_counts = counted(core.std.Loop(held_mask(), length))
    for _ in core.wipe.Inpaint(source, mask, device="cpu").frames(close=True):
        pass
    assert set(source_counts.values()) == set(mask_counts.values()) == {1}
    assert len(source_counts) == length
    assert dummy.rendered == [range(n, min(n + 8, length)) for n in range(0, length, 8)]


def test_frames_are_kept_from_the_first_mask_on(dummy: type[DummyPipeline]) -> None:
    dummy.before = dummy.after = 20
    core.num_threads = 4
    source, counts = counted(numbered(200))
    marked = (*range(64, 70), *range(140, 150))
    for _ in core.wipe.Inpaint(source, corner_mask(200, marked), device="cpu").frames(close=True):
        pass
    assert sorted(counts) == list(range(200))
    assert {n for n, count in counts.items() if count > 1} <= set(range(64 - 20, 64 + 16))
    assert max(counts.values()) <= 2


def test_each_chunk_is_rendered_once_and_only_when_asked_for(dummy: type[DummyPipeline]) -> None:
    clip = core.wipe.Inpaint(numbered(), held_mask(), device="cpu")
    values(clip, list(range(18, 26)))
    assert dummy.rendered == [range(16, 24), range(24, 32)]


def test_a_chunk_without_mask_asks_for_nothing_else(dummy: type[DummyPipeline]) -> None:
    source, source_counts = counted(numbered())
    mask, mask_counts = counted(corner_mask())
    values(core.wipe.Inpaint(source, mask, device="cpu"), [9])
    assert dummy.rendered == []
    assert sorted(source_counts) == [9]
    assert sorted(mask_counts) == list(range(8, 16))


def test_a_held_mask_is_asked_for_once(dummy: type[DummyPipeline]) -> None:
    mask, counts = counted(held_mask(0))
    values(core.wipe.Inpaint(numbered(), mask, device="cpu"), list(range(LENGTH)))
    assert counts == {0: 1}
    assert dummy.rendered == []


@pytest.mark.parametrize("length", [1, 7, 8, 9])
@pytest.mark.usefixtures("dummy")
def test_short_clips(length: int) -> None:
    clip = core.wipe.Inpaint(numbered(length), held_mask(), device="cpu")
    assert clip.num_frames == length
    assert values(clip, list(range(length))) == [expected(n, length) for n in range(length)]


def test_unmasked_frames_share_their_planes_with_the_source(dummy: type[DummyPipeline]) -> None:
    clip = core.std.BlankClip(width=64, height=48, format=vs.GRAY8, length=3, keep=True)
    out = core.wipe.Inpaint(clip, held_mask(0), device="cpu")
    with clip.get_frame(1) as a, out.get_frame(1) as b:
        assert np.asarray(a[0]).ctypes.data == np.asarray(b[0]).ctypes.data


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ValueError("warp: flow must be (B, 2, H, W), got (1, 3)"),
            r"^Inpaint: warp: flow must be \(B, 2, H, W\), got \(1, 3\)$",
        ),
        (KeyError("gone"), r"^Inpaint: unexpected KeyError: 'gone' \(dummy\.py:\d+\)$"),
        (RuntimeError("two\nlines"), r"^Inpaint: unexpected RuntimeError: two lines \(dummy\.py:\d+\)$"),
    ],
)
def test_an_error_in_the_engine_arrives(dummy: type[DummyPipeline], error: Exception, message: str) -> None:
    dummy.error = error
    clip = core.wipe.Inpaint(numbered(), corner_mask(), device="cpu")
    with pytest.raises(vs.Error, match=message):
        clip.get_frame(BUSY[0])
    assert values(clip, [3]) == [3]  # other chunks go on working


@pytest.mark.usefixtures("dummy")
def test_only_interlaced_frames_with_a_mask_are_refused() -> None:
    source = numbered()
    top = core.std.SetFieldBased(source, 2)
    mixed = core.std.FrameEval(source, lambda n: top if n in (5, 21, 27) else source)
    clip = core.wipe.Inpaint(mixed, corner_mask(), device="cpu")
    for n in (21, 27):
        with pytest.raises(vs.Error, match=rf"^Inpaint: frame {n} must be progressive, got top field first"):
            clip.get_frame(n)
    assert values(clip, [5, 20, 22]) == [5, expected(20, LENGTH), expected(22, LENGTH)]


@pytest.mark.usefixtures("dummy")
def test_frames_outlive_their_clip() -> None:
    clip = core.wipe.Inpaint(numbered(), held_mask(), device="cpu")
    frame = clip.get_frame(10)
    del clip
    core.clear_cache()
    assert np.asarray(frame[0])[5, 60] == expected(10, LENGTH)


@pytest.mark.usefixtures("dummy")
def test_nothing_stays_behind() -> None:
    core.clear_cache()
    before = core.used_cache_size
    for _ in range(3):
        clip = core.wipe.Inpaint(numbered(), held_mask(), device="cpu")
        values(clip, list(range(LENGTH)))
        del clip
    core.clear_cache()
    assert core.used_cache_size <= before + (1 << 20)
