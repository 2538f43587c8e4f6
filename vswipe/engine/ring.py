"""FrameRing: what was already computed for a frame, kept while neighbouring windows need it.

Entries are keyed by what they are, the region and the frame number, and hold values that depend on nothing else, so
that the ring saves time and never changes a result. It is bounded in bytes; the least recently used entry goes first.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from torch import Tensor


def size_of(value: Any) -> int:
    """Bytes held by an array, a tensor, or a nested tuple, list or dict of them."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Tensor):
        return value.element_size() * value.numel()
    if isinstance(value, dict):
        return sum(size_of(v) for v in value.values())
    if isinstance(value, (tuple, list)):
        return sum(size_of(v) for v in value)
    if hasattr(value, "__dict__"):
        return size_of(vars(value))
    return 0


class FrameRing:
    """Bounded store of computed values.

    Args:
        max_bytes: bound on the sum of the entries' sizes; one entry larger than the bound is returned but not kept.
        max_entries: bound on their number: an answer of one bit has no size worth counting.
    """

    def __init__(self, max_bytes: int, max_entries: int = 1 << 16) -> None:
        self.max_bytes, self.max_entries = max_bytes, max_entries
        self.held_bytes = 0
        self.peak_bytes = 0
        self.computed: Counter[str] = Counter()  # by kind: in linear playback each frame counts once
        self._entries: OrderedDict[tuple[str, Hashable], tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, kind: str, key: Hashable) -> Any | None:
        """The entry, or None; a found entry counts as just used."""
        with self._lock:
            entry = self._entries.get((kind, key))
            if entry is None:
                return None
            self._entries.move_to_end((kind, key))
            return entry[0]

    def put(self, kind: str, key: Hashable, value: Any) -> Any:
        """Stores a value that was just computed and returns it."""
        size = size_of(value)
        with self._lock:
            self.computed[kind] += 1
            old = self._entries.pop((kind, key), None)
            if old is not None:
                self.held_bytes -= old[1]
            if size > self.max_bytes:
                return value
            self._entries[kind, key] = (value, size)
            self.held_bytes += size
            while self.held_bytes > self.max_bytes or len(self._entries) > self.max_entries:
                _, (_, gone) = self._entries.popitem(last=False)
                self.held_bytes -= gone
            self.peak_bytes = max(self.peak_bytes, self.held_bytes)
        return value

    def get(self, kind: str, key: Hashable, compute: Callable[[], Any]) -> Any:
        """The entry, computed and stored if it is not there. Two threads may compute it at once, to equal values."""
        found = self.find(kind, key)
        return self.put(kind, key, compute()) if found is None else found

    def clear(self) -> None:
        """Drops every entry; counters stay."""
        with self._lock:
            self._entries.clear()
            self.held_bytes = 0
