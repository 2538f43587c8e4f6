"""The C library's heap: large arrays live outside of it, so that what was freed is the system's again.

Arrays of many sizes come and go with every chunk, on several threads. Once a block of some size was freed, glibc takes
blocks up to that size from its heaps, and the gaps between those still in use grow over hundreds of frames: 1.8 GB
after 144 frames of 1920x1080, 2.4 after 576, with the same 0.6 GB of arrays in use. Trimming the heaps now and then
left a third of that growth.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

LEAST = 128 << 10
"""Bytes from which an array has pages of its own: glibc's value before it adapts it."""

_M_MMAP_THRESHOLD = -3  # of malloc.h


@cache
def keep_arrays_apart() -> bool:
    """Let arrays of `LEAST` bytes and more have pages of their own from now on, for the whole process.

    Returns:
        Whether the C library is glibc, and did.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - another C library may have a mallopt that means something else
        return bool(library.mallopt(_M_MMAP_THRESHOLD, LEAST))
    except (OSError, AttributeError):
        return False
