"""The window grid: what a chunk may look at, and that the first pass fits into it."""

import pytest

from vswipe.engine.window import SCENE_MARGIN, WindowPlan


@pytest.mark.parametrize("radius", [0, 1, 7, 8, 9, 30, 40])
@pytest.mark.parametrize("start", [0, 8, 80, 192])
def test_everything_a_chunk_computes_lies_in_its_window(radius: int, start: int) -> None:
    plan = WindowPlan(200, radius, min(radius, 8))
    stop = min(start + plan.chunk, 200)
    window = plan.window(start, stop)
    for n in plan.reach(start, stop, plan.radius):
        block = plan.block(n)
        needed = plan.reach(block.start, block.stop, plan.first_radius)
        assert needed.start >= window.start
        assert needed.stop <= window.stop
        low, high = max(0, needed.start - 1), min(200, needed.stop - 1 + SCENE_MARGIN)
        assert window.start <= low
        assert high <= window.stop


def test_blocks_are_the_chunk_grid() -> None:
    plan = WindowPlan(21, 30, 8)
    assert plan.block(17) == range(16, 21)
    assert plan.block(0) == range(0, 8)
