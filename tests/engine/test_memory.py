"""Which frames are remembered, and that each is encoded once and depends on its surroundings only."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from vswipe.engine.memory import Inputs, MemoryBank, Timeline, bank_reach, on_grid
from vswipe.engine.ring import FrameRing
from vswipe.nets import create


def timeline(num_frames: int = 100, cuts: tuple[int, ...] = ()) -> Timeline:
    """Cuts lie before the given frames."""
    return Timeline(num_frames, lambda n: n + 1 not in cuts)


def load(n: int) -> Inputs:
    generator = torch.Generator().manual_seed(n)
    masks = torch.zeros(1, 1, 1, 16, 24)
    masks[..., 4:12, 4:16] = 1
    return Inputs(torch.rand(1, 1, 3, 16, 24, generator=generator), masks, torch.full((1, 1, 3, 16, 24), 0.5))


def bank(name: str, ring: FrameRing, line: Timeline | None = None, radius: int = 12) -> MemoryBank:
    torch.manual_seed(0)
    options: dict[str, Any] = {"depth": 2} if name == "rnot" else {}
    net = create(name, own=True, width=0.125, **options)
    torch.nn.init.normal_(net.head.last.weight, std=0.1)
    return MemoryBank(net, ring, "here", load, line or timeline(), radius)


def test_shot_ends_at_cuts_and_at_the_ends_of_the_clip() -> None:
    line = timeline(20, (5, 12))
    assert line.shot(7, 10, 10) == range(5, 12)
    assert line.shot(7, 1, 2) == range(6, 10)
    assert line.shot(2, 10, 10) == range(0, 5)
    assert line.shot(19, 3, 10) == range(16, 20)


def test_links_are_asked_once_and_never_beyond_the_clip() -> None:
    asked: list[int] = []
    line = Timeline(10, lambda n: asked.append(n) or True)
    for _ in range(2):
        assert line.shot(5, 20, 20) == range(0, 10)
    assert sorted(asked) == list(range(9))


def test_reference_frames() -> None:
    assert on_grid(range(3, 16), 5) == [5, 10, 15]
    some = bank("opn", FrameRing(1 << 24))
    assert some.references(20) == [10, 15, 25, 30]  # not itself
    assert some.references(21) == [10, 15, 20, 25, 30]
    assert some.references(1) == [0, 5, 10]
    cut = bank("opn", FrameRing(1 << 24), timeline(100, (18,)))
    assert cut.references(21) == [20, 25, 30]
    assert cut.references(17) == [5, 10, 15]


def test_short_shot_without_reference_frame_uses_its_neighbours() -> None:
    short = bank("opn", FrameRing(1 << 24), timeline(100, (21, 24)))
    assert short.references(22) == [21, 23]
    alone = bank("opn", FrameRing(1 << 24), timeline(100, (21, 22)))
    assert alone.references(21) == []
    out = alone.complete(21, load(21), None)
    assert torch.isfinite(out).all()


def test_frame_is_that_of_the_network_run_on_the_whole_clip() -> None:
    some = bank("opn", FrameRing(1 << 26), timeline(21), radius=1_000_000)  # so wide that nothing fades
    with torch.inference_mode():
        whole = some.net(*Inputs.together([load(n) for n in range(21)]).all, references=range(0, 21, 5))
        for n in (0, 7, 20):
            torch.testing.assert_close(some.complete(n, load(n), None), whole[:, n : n + 1], atol=4e-3, rtol=0)


def test_references_fade_out_towards_the_radius() -> None:
    some = bank("opn", FrameRing(1 << 24))
    weights = [m.bias for m in some.memory(22)]  # 10, 15, 20, 25, 30
    assert weights.index(max(weights)) == 2
    assert some.memory(22)[0].bias == pytest.approx(torch.tensor(1 / 13).log().item())


@pytest.mark.parametrize("name", ["opn", "rnot"])
def test_each_frame_is_encoded_once(name: str) -> None:
    ring = FrameRing(1 << 26)
    some = bank(name, ring)
    with torch.inference_mode():
        for n in range(20, 32):
            some.complete(n, load(n), None)
    read = {r for n in range(20, 32) for r in some.references(n)}
    if name == "opn":
        assert ring.computed["net.encode"] == len(read | set(range(20, 32)))
    else:  # references and statistics come from blocks: 10, 15 | 20, 25 | 30, 35 | 40
        assert ring.computed["net.encode"] == 12
        assert ring.computed["net.block"] == len({r // 10 for r in read})


@pytest.mark.parametrize("name", ["opn", "rnot"])
def test_an_empty_ring_gives_the_same(name: str) -> None:
    line = timeline(100, (27,))
    with torch.inference_mode():
        kept, lost = bank(name, FrameRing(1 << 26), line), bank(name, FrameRing(0), line)
        for n in (20, 26, 27, 29):
            assert torch.equal(kept.complete(n, load(n), None), lost.complete(n, load(n), None))


def test_statistics_change_smoothly_over_time() -> None:
    some = bank("rnot", FrameRing(1 << 26))
    with torch.inference_mode():
        means = []
        for n in range(20, 41):
            tape = some.tape(n)
            assert tape is not None
            assert tape.played is not None
            means.append(tape.played[0][1].mean)
    # The frames lie evenly between 2.5 (of 20 and 25), 12.5 and 22.5: n = 23 to 32 in equal steps.
    steps = [b - a for a, b in pairwise(means)]
    for step in steps[4:12]:
        torch.testing.assert_close(step, steps[3], atol=1e-6, rtol=1e-4)
    assert steps[3].abs().max() > 1e-4
    assert bank("opn", FrameRing(1)).tape(20) is None


def test_statistics_do_not_cross_cuts() -> None:
    line = timeline(100, (24,))
    some = bank("rnot", FrameRing(1 << 26), line)
    looked: list[int] = []
    some.load = lambda n: looked.append(n) or load(n)  # type: ignore[assignment, func-returns-value]
    with torch.inference_mode():
        some.tape(23)
        assert looked
        assert max(looked) < 24
        looked.clear()
        some.tape(24)
        assert min(looked) >= 24


@pytest.mark.parametrize("name", ["opn", "rnot"])
def test_nothing_beyond_the_reach_is_looked_at(name: str) -> None:
    some = bank(name, FrameRing(1 << 26))
    looked: list[int] = []
    some.load = lambda n: looked.append(n) or load(n)  # type: ignore[assignment, func-returns-value]
    reach = bank_reach(some.net, 12)
    with torch.inference_mode():
        for n in (50, 53, 59):
            looked.clear()
            bank_n = MemoryBank(some.net, FrameRing(1 << 26), "here", some.load, timeline(), 12)
            bank_n.complete(n, load(n), None)
            assert n - reach <= min(looked)
            assert max(looked) <= n + reach
