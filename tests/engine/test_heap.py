"""Freed arrays go back to the system."""

import subprocess
import sys

import pytest

# In a process of its own: the threshold is the process's.
SCRIPT = """
import sys
import numpy as np
from vswipe.engine import heap

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "apart" and not heap.keep_arrays_apart():
    sys.exit("no glibc")
np.ones(4 << 20, np.uint8)  # once a block of this size was freed, glibc takes smaller ones from the heap
blocks = [np.ones(300 << 10, np.uint8) for _ in range(400)]
small = [np.ones(3000, np.uint8) for _ in range(8)]
kept = blocks[::2]
before = resident()
del blocks
print((before - resident()) >> 20)
"""


def freed(how: str) -> int:
    """MiB given back of the 58 that were freed."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True)
    if "no glibc" in done.stderr:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_arrays_between_others_in_use_are_given_back() -> None:
    assert freed("apart") > 50
    assert freed("as it is") < 20  # else the module is not needed
