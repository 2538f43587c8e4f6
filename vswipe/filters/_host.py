"""The C++ side of the bridge as Python sees it: a table of functions, mirrored with ctypes.

The structs and the order of the functions are those of `vswipe/native/host.h`; both carry a version number.
Functions that may allocate or free a frame are called with the GIL released (`CFUNCTYPE`): freeing a frame may run
other filters' code, which may want the GIL on another thread. The short ones keep it (`PYFUNCTYPE`), which is cheaper.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, PYFUNCTYPE, c_char, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache

VERSION = 1
MAX_INPUTS = 8
FAMILIES = {1: "GRAY", 2: "RGB", 3: "YUV"}


class Picture(ctypes.Structure):
    """Format and size of a clip or of a frame. Family 0 or width 0: they change midway."""

    _fields_ = [
        ("family", c_int32),
        ("floating", c_int32),
        ("bits", c_int32),
        ("sub_w", c_int32),
        ("sub_h", c_int32),
        ("width", c_int32),
        ("height", c_int32),
        ("num_frames", c_int32),
        ("name_bytes", c_char * 32),
    ]

    @property
    def name(self) -> str:
        """The format's name as scripts write it, e.g. GRAY8 (VapourSynth itself says Gray8)."""
        return bytes(self.name_bytes).decode().upper()


class Planes(ctypes.Structure):
    """Where the samples of a frame lie."""

    _fields_ = [
        ("data", c_void_p * 3),
        ("stride", c_int64 * 3),
        ("width", c_int32 * 3),
        ("height", c_int32 * 3),
        ("count", c_int32),
        ("bytes", c_int32),
    ]


class Layout(ctypes.Structure):
    """What a filter gives: its output clip, the chunk length, and how many chunks and input frames are kept."""

    _fields_ = [
        ("picture", Picture),
        ("chunk", c_int32),
        ("keep", c_int32),
        ("hold", c_int32 * MAX_INPUTS),
    ]


# Name, whether the GIL is released, result, arguments: in the order of `struct Host`.
_FUNCTIONS: tuple[tuple[str, bool, object, tuple[object, ...]], ...] = (
    ("fail", False, None, (c_void_p, c_char_p)),
    ("arg_count", False, c_int, (c_void_p, c_char_p)),
    ("arg_int", False, c_int64, (c_void_p, c_char_p, c_int)),
    ("arg_float", False, c_double, (c_void_p, c_char_p, c_int)),
    ("arg_data", False, c_char_p, (c_void_p, c_char_p, c_int)),
    ("arg_clip", True, None, (c_void_p, c_char_p, POINTER(Picture))),
    ("layout", False, None, (c_void_p, POINTER(Layout))),
    ("request", False, None, (c_void_p, POINTER(c_int32), c_int)),
    ("finish", False, None, (c_void_p, c_void_p, c_char_p)),
    ("patch", False, None, (c_void_p, c_void_p)),
    ("hold", False, None, (c_void_p, c_int, c_int)),
    ("read", False, None, (c_void_p, POINTER(Planes))),
    ("write", True, None, (c_void_p, POINTER(Planes))),
    ("copy", True, c_void_p, (c_void_p, c_void_p)),
    ("create", True, c_void_p, (POINTER(Picture), c_void_p, c_void_p)),
    ("free", True, None, (c_void_p,)),
    ("get_int", False, c_int, (c_void_p, c_char_p, POINTER(c_int64))),
    ("set_int", False, None, (c_void_p, c_char_p, c_int64)),
    ("set_float", False, None, (c_void_p, c_char_p, c_double)),
    ("set_data", False, None, (c_void_p, c_char_p, c_char_p)),
    ("close", False, None, ()),
    ("inside", False, c_int, ()),
)


class _Table(ctypes.Structure):
    _fields_ = [("version", c_int32), ("functions", c_void_p * len(_FUNCTIONS))]


@dataclass(frozen=True)
class Core:
    """A VapourSynth core: what frames are allocated with."""

    host: Host
    address: int


class Host:
    """The bridge's functions as attributes; pointers are plain integers.

    Raises:
        RuntimeError: the loaded library and this package are of different builds.
    """

    # A ctypes function checks its arguments itself.
    fail: Callable[..., None]
    arg_count: Callable[..., int]
    arg_int: Callable[..., int]
    arg_float: Callable[..., float]
    arg_data: Callable[..., bytes]
    arg_clip: Callable[..., None]
    layout: Callable[..., None]
    request: Callable[..., None]
    finish: Callable[..., None]
    patch: Callable[..., None]
    hold: Callable[..., None]
    read: Callable[..., None]
    write: Callable[..., None]
    copy: Callable[..., int]
    create: Callable[..., int]
    free: Callable[..., None]
    get_int: Callable[..., int]
    set_int: Callable[..., None]
    set_float: Callable[..., None]
    set_data: Callable[..., None]
    close: Callable[[], None]
    inside: Callable[[], int]

    def __init__(self, address: int) -> None:
        table = _Table.from_address(address)
        if table.version != VERSION:
            raise RuntimeError(
                f"wipe: the plugin library must be of bridge version {VERSION}, got {table.version}; reinstall vswipe"
            )
        for (name, releases, result, arguments), pointer in zip(_FUNCTIONS, table.functions, strict=True):
            prototype = CFUNCTYPE if releases else PYFUNCTYPE
            setattr(self, name, prototype(result, *arguments)(pointer))  # type: ignore[arg-type]


@cache
def host_at(address: int) -> Host:
    """The `Host` of the table at this address."""
    return Host(address)
