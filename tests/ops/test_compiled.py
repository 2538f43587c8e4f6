"""Compiled loops: what they calculate with, and a cache that cannot be written."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from vswipe.ops.compiled import compiled, single

THIRD = single(1 / 3)


def thirds(values: np.ndarray) -> None:
    for i in range(values.size):
        values[i] = THIRD * values[i]


def test_constants_keep_single_precision() -> None:
    values = np.array([3, 7, 11], np.float32)
    compiled(thirds)(values)
    assert values.tolist() == [float(np.float32(1 / 3) * np.float32(v)) for v in (3, 7, 11)]


def test_where_nothing_may_be_kept_it_is_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    njit, asked = numba.njit, []

    def refuse(function: Any, **options: Any) -> Any:
        asked.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("cannot cache function 'thirds': no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", refuse)
    values = np.full(4, 3, np.float32)
    compiled(thirds)(values)
    assert asked == [True, False]
    assert values.tolist() == pytest.approx([1.0] * 4)
