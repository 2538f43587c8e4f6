"""FrameRing: bounded in bytes, least recently used first, counts what was computed."""

import numpy as np
import torch

from vswipe.engine.ring import FrameRing, size_of


def test_entry_is_computed_once() -> None:
    ring = FrameRing(1000)
    for _ in range(3):
        assert ring.get("flow", 7, lambda: np.zeros(10, np.uint8)).shape == (10,)
    assert ring.computed["flow"] == 1


def test_kinds_and_keys_do_not_mix() -> None:
    ring = FrameRing(1000)
    ring.put("a", 1, np.zeros(1))
    assert ring.find("b", 1) is None
    assert ring.find("a", 2) is None


def test_bound_holds_and_the_oldest_goes_first() -> None:
    ring = FrameRing(100)
    for n in range(10):
        ring.put("x", n, np.zeros(30, np.uint8))
        ring.find("x", 0)  # just used: stays
        assert ring.held_bytes <= 100
    assert ring.find("x", 0) is not None
    assert ring.find("x", 9) is not None
    assert ring.find("x", 5) is None
    assert ring.peak_bytes <= 100


def test_an_entry_larger_than_the_ring_is_returned_and_not_kept() -> None:
    ring = FrameRing(10)
    assert ring.get("x", 0, lambda: np.zeros(50, np.uint8)).size == 50
    assert ring.held_bytes == 0


def test_replacing_does_not_count_twice() -> None:
    ring = FrameRing(100)
    ring.put("x", 0, np.zeros(40, np.uint8))
    ring.put("x", 0, np.zeros(20, np.uint8))
    assert ring.held_bytes == 20
    ring.clear()
    assert ring.held_bytes == 0


def test_size_of_nested_values() -> None:
    assert size_of({"a": np.zeros(3, np.float32), "b": (torch.zeros(2), [np.zeros(1, np.uint8)])}) == 12 + 8 + 1


def test_entries_without_size_are_bounded_too():
    ring = FrameRing(1000, max_entries=3)
    for n in range(10):
        ring.put("bit", n, n % 2 == 0)
    assert [n for n in range(10) if ring.find("bit", n) is not None] == [7, 8, 9]
