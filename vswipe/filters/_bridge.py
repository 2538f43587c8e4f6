"""What the C++ library calls: making a filter, and moving its chunks along.

A filter is a `Filter`: it says what it gives, and produces chunks of frames with a generator that yields what it needs:

- a list of requests (input, frame number): it is sent the frames, in the same order;
- a callable: it is run on the engine thread, and its result is sent back;
- a mapping: so many frames are kept of each input (the key) from now on.

It returns a `Chunk`. The generator's own steps run on VapourSynth's worker threads and must be short; whatever is heavy
goes into a callable. `vs.core` must not be used anywhere in here: it is not available while vspipe renders.
"""

from __future__ import annotations

import ctypes
import importlib
import re
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import vapoursynth as vs

from vswipe.filters._frames import FrameHandle, new_frame
from vswipe.filters._host import MAX_INPUTS, Core, Host, Layout, Picture, host_at
from vswipe.filters._worker import Closed, engine

# The module of each function of the namespace; its `create(arguments)` returns the `Filter`.
FILTERS = {
    "Inpaint": "vswipe.filters.inpaint",
    "AutoSub": "vswipe.filters.autosub",
    "SubMask": "vswipe.filters.submask",
    "AutoDynamicLogo": "vswipe.filters.dynamiclogo",
    "DynamicLogoMask": "vswipe.filters.dynamiclogomask",
    "AutoLogo": "vswipe.filters.autologo",
    "LogoMask": "vswipe.filters.logomask",
    "Deblend": "vswipe.filters.deblend",
}

Request = tuple[int, int]
Steps = Generator[list[Request] | Callable[[], object] | Mapping[int, int], Any, "Chunk"]
Argument = int | float | str | list[int] | list[float] | list[str] | Picture | None


@dataclass(frozen=True)
class Chunk:
    """A finished chunk.

    Args:
        frames: one entry for each frame: a frame; or an exception, when this one frame is to fail; or None, when the
            frame of the first clip is to be passed on, which nobody needs to have asked for.
        passed_props: properties added to the frames passed on.
    """

    frames: Sequence[FrameHandle | Exception | None]
    passed_props: Mapping[str, int | float | str] = field(default_factory=dict)


class Filter(Protocol):
    """One call of a function of the namespace.

    Attributes:
        output: format, size and length of what it gives.
        chunk: frames computed together.
        keep: finished chunks kept for the frames still to be asked for.
        hold: frames kept of each input clip at first, so that overlapping windows ask the source once.
    """

    output: Picture
    chunk: int
    keep: int
    hold: Sequence[int]

    def produce(self, start: int, stop: int) -> Steps:
        """The steps that lead to frames `start` to `stop` - 1."""


class Arguments:
    """The arguments of a call by name: None where the user gave none, a `Picture` for a clip.

    Args:
        name: the function's name, for messages.
        values: one entry for each argument of the signature.
    """

    def __init__(self, name: str, values: dict[str, Argument]) -> None:
        self.name = name
        self.values = values

    def __getitem__(self, key: str) -> Argument:
        return self.values[key]

    def given(self, *keys: str) -> dict[str, Argument]:
        """Those of `keys` that the user gave."""
        return {key: self.values[key] for key in keys if self.values[key] is not None}


def create(host_address: int, answer: int, core_address: int, name: str, signature: str) -> Runner | None:
    """The filter behind a new node, or None after telling the host what is wrong. Called by the C++ library."""
    host = host_at(host_address)
    try:
        arguments = Arguments(name, _read_arguments(host, answer, signature))
        made: Filter = importlib.import_module(FILTERS[name]).create(arguments)
        layout = Layout(made.output, made.chunk, made.keep)
        for i, frames in enumerate(made.hold):
            layout.hold[i] = frames
        runner = Runner(Core(host, core_address), name, made)
        engine.attach(host, runner)
        host.layout(answer, ctypes.byref(layout))
        return runner
    except Exception as error:
        host.fail(answer, describe(error, name).encode())
        return None


class Runner:
    """A filter in use: starts the chunks the host asks for."""

    def __init__(self, core: Core, name: str, made: Filter) -> None:
        self.core = core
        self.name = name
        self._filter: Filter | None = made

    def begin(self, answer: int, chunk: int) -> Task:
        """Start one chunk: its task, after the first step. Called by the C++ library."""
        ticket = engine.ticket()
        made = self._filter
        if made is None:
            self.core.host.fail(answer, describe(Closed(), self.name).encode())
            return Task(self, None, ticket)
        start = chunk * made.chunk
        stop = min(start + made.chunk, made.output.num_frames)
        task = Task(self, made.produce(start, stop), ticket)
        task.step(answer, None)
        return task

    def close(self) -> None:
        """Let go of the filter and its frames, before the interpreter ends."""
        self._filter = None


class Task:
    """One chunk on its way."""

    def __init__(self, runner: Runner, steps: Steps | None, ticket: int) -> None:
        self._runner = runner
        self._steps = steps
        self._ticket = ticket

    def advance(self, answer: int, frames_address: int, count: int) -> None:
        """Go on with the frames asked for, which are taken over. Called by the C++ library."""
        core = self._runner.core
        addresses = (ctypes.c_void_p * count).from_address(frames_address)
        self.step(answer, [FrameHandle(core, address or 0) for address in addresses])

    def step(self, answer: int, frames: list[FrameHandle] | None) -> None:
        """Run the generator until it needs frames or is done, and tell the host."""
        host = self._runner.core.host
        try:
            assert self._steps is not None
            wanted = self._steps.send(frames)
            del frames  # so that the generator alone decides how long they live
            while True:
                if callable(wanted):
                    wanted = self._steps.send(engine.run(self._ticket, wanted))
                elif isinstance(wanted, Mapping):
                    for index, count in wanted.items():
                        host.hold(answer, index, count)
                    wanted = next(self._steps)
                elif wanted:
                    _request(host, answer, wanted)
                    return
                else:
                    wanted = self._steps.send([])
        except StopIteration as stop:
            self._finish(answer, stop.value)
        except Exception as error:
            self._steps = None
            host.fail(answer, describe(error, self._runner.name).encode())

    def _finish(self, answer: int, chunk: Chunk) -> None:
        core = self._runner.core
        for frame in chunk.frames:
            if isinstance(frame, FrameHandle):
                core.host.finish(answer, frame.release(), None)
            elif frame is None:
                core.host.finish(answer, None, None)
            else:
                core.host.finish(answer, None, describe(frame, self._runner.name).encode())
        if chunk.passed_props:
            patch = new_frame(core, Picture(family=1, bits=8, width=1, height=1)).set_props(**chunk.passed_props)
            core.host.patch(answer, patch.release())


def describe(error: BaseException, name: str) -> str:
    """One readable line for the user, beginning with the filter's name.

    A message of our own ("mask must be ...", from a filter or an inner room) is told as it is; anything unexpected with
    its type and the place it came from.
    """
    if isinstance(error, Closed):
        return f"{name}: stopped, Python is shutting down"
    text = " ".join(str(error).split())
    if isinstance(error, vs.Error | ValueError) and re.match(r"[A-Za-z_][\w.]*: ", text):
        return text if text.startswith(f"{name}: ") else f"{name}: {text}"
    place = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(place[-1].filename).name}:{place[-1].lineno})" if place else ""
    return f"{name}: unexpected {type(error).__name__}: {text}{where}"


def _request(host: Host, answer: int, wanted: list[Request]) -> None:
    numbers = [number for request in wanted for number in request]
    host.request(answer, (ctypes.c_int32 * len(numbers))(*numbers), len(wanted))


def _read_arguments(host: Host, answer: int, signature: str) -> dict[str, Argument]:
    """The values of a call, by the signature it was registered with: "clip:vnode;region:int[]:opt;..."."""
    readers: dict[str, Callable[[bytes, int], object]] = {
        "int": lambda key, i: host.arg_int(answer, key, i),
        "float": lambda key, i: host.arg_float(answer, key, i),
        "data": lambda key, i: host.arg_data(answer, key, i).decode(),
        "vnode": lambda key, i: _read_clip(host, answer, key),
    }
    values: dict[str, Argument] = {}
    for argument in filter(None, signature.split(";")):
        key, kind = argument.split(":")[:2]
        read = readers[kind.removesuffix("[]")]
        count = host.arg_count(answer, key.encode())
        items = [read(key.encode(), i) for i in range(count)]
        values[key] = (items if kind.endswith("[]") else items[0]) if items else None  # type: ignore[assignment]
    assert sum(isinstance(value, Picture) for value in values.values()) <= MAX_INPUTS
    return values


def _read_clip(host: Host, answer: int, key: bytes) -> Picture:
    picture = Picture()
    host.arg_clip(answer, key, ctypes.byref(picture))
    return picture
