"""Frames as arrays: what VapourSynth owns, seen from NumPy without a copy.

A `FrameHandle` owns one reference to a VapourSynth frame. Arrays over its planes hold the handle, so they stay valid
for as long as anybody keeps them.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.settings import Region
from vswipe.filters._host import Core, Picture, Planes

# The integer frame properties that the engine may want to know.
PROPERTIES = (
    "_FieldBased",
    "_SceneChangePrev",
    "_SceneChangeNext",
    "_Range",
    "_ColorRange",
    "_Matrix",
    "_Transfer",
    "_Primaries",
    "_ChromaLocation",
)


class _Plane:
    """The buffer of one plane for `np.asarray`, which keeps this object, and so the frame, alive."""

    __slots__ = ("__array_interface__", "frame")

    def __init__(self, frame: FrameHandle, interface: dict[str, object]) -> None:
        self.frame = frame
        self.__array_interface__ = interface


class FrameHandle:
    """One reference to a VapourSynth frame.

    Args:
        core: the core it belongs to.
        address: the frame; its reference is taken over and given back when the handle is gone.
    """

    __slots__ = ("__weakref__", "address", "core")

    def __init__(self, core: Core, address: int) -> None:
        self.core = core
        self.address = address

    def __del__(self) -> None:
        if self.address:
            self.core.host.free(self.address)

    def release(self) -> int:
        """Give the reference away: its address. Only for frames without living arrays."""
        address, self.address = self.address, 0
        return address

    def copy(self) -> FrameHandle:
        """A frame of one's own with the same properties. Planes are shared until they are written to."""
        return FrameHandle(self.core, self.core.host.copy(self.address, self.core.address))

    def planes(self, dtype: np.dtype) -> tuple[np.ndarray, ...]:
        """Read-only arrays (H, W) over the planes, of the frame's sample type."""
        return self._arrays(dtype, writable=False)

    def writable(self, dtype: np.dtype) -> tuple[np.ndarray, ...]:
        """Arrays (H, W) to write to. Only for frames made by `copy` or `new_frame` that nobody else has seen."""
        return self._arrays(dtype, writable=True)

    def _arrays(self, dtype: np.dtype, writable: bool) -> tuple[np.ndarray, ...]:
        planes = Planes()
        (self.core.host.write if writable else self.core.host.read)(self.address, ctypes.byref(planes))
        return tuple(
            np.asarray(
                _Plane(
                    self,
                    {
                        "version": 3,
                        "shape": (planes.height[p], planes.width[p]),
                        "strides": (planes.stride[p], planes.bytes),
                        "typestr": dtype.str,
                        "data": (planes.data[p], not writable),
                    },
                )
            )
            for p in range(planes.count)
        )

    def get_int(self, key: str) -> int | None:
        """An integer frame property, or None."""
        value = ctypes.c_int64()
        return value.value if self.core.host.get_int(self.address, key.encode(), ctypes.byref(value)) else None

    def props(self) -> dict[str, int]:
        """Those of `PROPERTIES` that the frame has."""
        values = ((key, self.get_int(key)) for key in PROPERTIES)
        return {key: value for key, value in values if value is not None}

    def set_props(self, **props: int | float | str) -> FrameHandle:
        """Set properties of a frame that nobody else has seen; returns the handle."""
        host = self.core.host
        for key, value in props.items():
            if isinstance(value, str):
                host.set_data(self.address, key.encode(), value.encode())
            elif isinstance(value, float):
                host.set_float(self.address, key.encode(), value)
            else:
                host.set_int(self.address, key.encode(), value)
        return self


def new_frame(core: Core, picture: Picture, props_of: FrameHandle | None = None) -> FrameHandle:
    """A frame with undefined samples, and the properties of `props_of`."""
    source = props_of.address if props_of else None
    return FrameHandle(core, core.host.create(ctypes.byref(picture), source, core.address))


def picture_format(picture: Picture, family: str) -> PictureFormat:
    """The engine's view of a clip's format."""
    return PictureFormat(
        width=picture.width,
        height=picture.height,
        family=family,
        bits=picture.bits,
        floating=bool(picture.floating),
        sub_w=picture.sub_w,
        sub_h=picture.sub_h,
    )


class Frames(Mapping[int, Frame]):
    """Source frames by number for the engine, wrapped when they are looked at.

    Args:
        handles: the frames.
        dtype: their sample type.
        check: called at each look-up; it raises when the work is to be given up.
    """

    def __init__(self, handles: Mapping[int, FrameHandle], dtype: np.dtype, check: Callable[[], None]) -> None:
        self._handles = handles
        self._dtype = dtype
        self._check = check
        self._frames: dict[int, Frame] = {}

    def __getitem__(self, n: int) -> Frame:
        self._check()
        frame = self._frames.get(n)
        if frame is None:
            handle = self._handles[n]
            frame = self._frames[n] = Frame(n, handle.planes(self._dtype), handle.props())
        return frame

    def __iter__(self) -> Iterator[int]:
        return iter(self._handles)

    def __len__(self) -> int:
        return len(self._handles)


class MaskReader:
    """Mask frames as the engine wants them: uint8 (H, W), 1 = erase, or None when there is nothing to erase.

    Args:
        form: format of the mask clip.
        regions: rectangles outside of which nothing counts; none means everywhere.
        held: whether the mask clip's one frame serves every frame.

    A held mask is converted once. Of the others, a converted mask is the same array for as long as somebody keeps it:
    memory is bounded by who uses it, not by the length of the clip.
    """

    def __init__(self, form: PictureFormat, regions: Sequence[Region] = (), held: bool = False) -> None:
        self._form = form
        self._held = held
        self._windows = [(slice(y, y + h), slice(x, x + w)) for x, y, w, h in regions] or [(slice(None), slice(None))]
        self._held_mask: np.ndarray | None = None
        self._held_read = False
        # Frames of a looped or blank clip share their samples: looked at once. The handle keeps the memory from reuse.
        self._last_empty: tuple[int, FrameHandle] | None = None
        self._last: tuple[int, FrameHandle, np.ndarray] | None = None
        self._converted: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def frames_for(self, numbers: Sequence[int]) -> Sequence[int]:
        """The mask frames needed for these frames: none once a held mask is known."""
        if not self._held:
            return numbers
        return () if self._held_read else (0,)

    def is_empty(self, n: int, handles: Mapping[int, FrameHandle]) -> bool:
        """Whether nothing is to be erased from frame `n`, at the cost of one look at the samples."""
        if self._held:
            return self.read(n, handles) is None
        handle = handles[n]
        plane = self._plane(handle)
        place = plane.__array_interface__["data"][0]
        last = self._last_empty
        if last is not None and last[0] == place:
            return True
        empty = self._nothing_in(plane)
        if empty:
            self._last_empty = place, handle
        return empty

    def read(self, n: int, handles: Mapping[int, FrameHandle]) -> np.ndarray | None:
        """The mask of frame `n`; `handles` are mask frames by number."""
        with self._lock:
            if self._held:
                if not self._held_read:
                    self._held_mask = self._mask_of(handles[0])
                    self._held_read = True
                return self._held_mask
            mask = self._converted.get(n)
            if mask is not None:
                return mask
            place = self._plane(handles[n]).__array_interface__["data"][0]
            if self._last is not None and self._last[0] == place:
                mask = self._last[2]
            else:
                mask = self._mask_of(handles[n])
                if mask is None:
                    return None
                self._last = place, handles[n], mask
            self._converted[n] = mask
            return mask

    def _mask_of(self, frame: FrameHandle) -> np.ndarray | None:
        plane = self._plane(frame)
        return None if self._nothing_in(plane) else np.ascontiguousarray(self._above_half(plane))

    def _plane(self, frame: FrameHandle) -> np.ndarray:
        # The bits of positive half floats are ordered like integers, and NumPy's half arithmetic is slow.
        half = self._form.dtype == np.float16
        return frame.planes(np.dtype(np.int16) if half else self._form.dtype)[0]

    def _nothing_in(self, plane: np.ndarray) -> bool:
        return not any(self._any(plane[window]) for window in self._windows)

    def _any(self, plane: np.ndarray) -> bool:
        if plane.dtype == np.int16:
            return bool(self._above_half(plane).any())
        # The largest sample first: it needs no array in between. fmax passes over NaN.
        largest = np.fmax.reduce(plane, axis=None) if self._form.floating else plane.max()
        return bool(self._above_half(np.asarray(largest)))

    def _above_half(self, plane: np.ndarray) -> np.ndarray:
        if plane.dtype == np.int16:
            above = (plane > 0x3800) & (plane <= 0x7C00)  # 0.5, infinity
        elif self._form.floating:
            above = plane > 0.5
        else:
            # Half of the full range 2^bits - 1 lies just below 2^(bits - 1).
            above = plane >= (1 << (self._form.bits - 1))
        return np.asarray(above).view(np.uint8)


class Masks(Mapping[int, "np.ndarray | None"]):
    """Masks by frame number for the engine, converted when they are looked at.

    Args:
        reader: converts them.
        handles: mask frames by number.
        numbers: the frame numbers there are.
        skip: frames that are not to be erased whatever their mask says.
    """

    def __init__(
        self,
        reader: MaskReader,
        handles: Mapping[int, FrameHandle],
        numbers: range,
        skip: frozenset[int] = frozenset(),
    ) -> None:
        self._reader = reader
        self._handles = handles
        self._numbers = numbers
        self._skip = skip
        self._empty: set[int] = set()

    def __getitem__(self, n: int) -> np.ndarray | None:
        if n not in self._numbers:
            raise KeyError(n)
        if n in self._skip or n in self._empty:
            return None
        mask = self._reader.read(n, self._handles)
        if mask is None:
            self._empty.add(n)
        return mask

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
