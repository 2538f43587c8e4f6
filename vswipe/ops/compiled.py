"""Compiled loops over pixels.

What NumPy and torch do in a dozen passes over memory, a compiled loop does in one, and it lets go of the interpreter's
lock: two frames are then worked on at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def compiled[F: Callable[..., Any]](function: F) -> F:
    """The function compiled at its first call, for the types it is called with; later processes load it from the cache.

    Only NumPy arrays and numbers go in and out. Products and sums are rounded one by one, as written, on every machine.
    """
    try:
        return numba.njit(function, nogil=True, error_model="numpy", cache=True)  # type: ignore[return-value]
    except RuntimeError:  # neither beside the module nor in the user's folder may be written
        return numba.njit(function, nogil=True, error_model="numpy")  # type: ignore[return-value]


def single(value: float) -> float:
    """A constant for compiled loops: beside a plain number what is single precision becomes double."""
    return np.float32(value)  # type: ignore[return-value]  # it calculates like one
