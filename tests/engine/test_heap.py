"""Freed memory goes back to the system."""

import sys
from pathlib import Path

import numpy as np
import pytest

from vswipe.engine import heap


def resident() -> int:
    """Bytes of the process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_what_lies_between_blocks_in_use_goes_back() -> None:
    if not heap.trim():
        pytest.skip("the C library cannot")
    # Blocks small enough to lie in the heap; every second one stays.
    blocks = [np.ones(8000, np.float64) for _ in range(4000)]
    kept = blocks[::2]
    before = resident()
    del blocks
    heap.trim()
    assert before - resident() > 60 << 20
    assert all(block[0] == 1 for block in kept)
