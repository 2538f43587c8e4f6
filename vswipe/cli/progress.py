"""What a running job shows: a bar on stderr, events on stdout, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vswipe.jobs.report import Report, Silent

# Frames come in bursts, a chunk at a time: before so many of them, or seconds, a speed would be anything but true.
SURE_FRAMES, SURE_SECONDS = 24, 10.0


@contextmanager
def reporting(*, quiet: bool, as_json: bool) -> Iterator[Report]:
    """The kind of report that is wanted."""
    if as_json:
        yield JsonReport()
    elif quiet:
        yield Silent()
    else:
        with BarReport() as report:
            yield report


class JsonReport:
    """One event per line of JSON on stdout: {"event": ..., ...}. Frames are told at most ten times a second."""

    def __init__(self) -> None:
        self._phase = ""
        self._total = self._done = 0
        self._last = 0.0

    def phase(self, what: str, total: int = 0, done: int = 0) -> None:
        self._flush()
        self._phase, self._total, self._done = what, total, done
        self.event("phase", what=what, total=total, done=done)

    def advance(self, count: int = 1) -> None:
        self._done += count
        if time.monotonic() - self._last >= 0.1 or self._done == self._total:
            self._flush()

    def note(self, text: str) -> None:
        self.event("note", text=text)

    def event(self, name: str, **values: Any) -> None:
        print(json.dumps({"event": name, **values}), flush=True)

    def _flush(self) -> None:
        if self._total and self._done:
            self.event("progress", what=self._phase, done=self._done, total=self._total)
        self._last = time.monotonic()


class BarReport:
    """A progress bar where somebody looks, plain notes always."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: Any = None
        self._done, self._total = 0, 0
        self._began, self._at_start = 0.0, 0

    def __enter__(self) -> BarReport:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def phase(self, what: str, total: int = 0, done: int = 0) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(
            what, total=total or None, completed=done, state=f"{done}/{total} looking ahead" * (total > 0)
        )
        self._done, self._total, self._began = done, total, 0.0

    def advance(self, count: int = 1) -> None:
        self._done += count
        if not self._began:  # from the first step on: loading a network is no measure of its speed
            self._began, self._at_start = time.monotonic(), self._done
        spent, made = time.monotonic() - self._began, self._done - self._at_start
        state = f"{self._done}/{self._total}"
        if spent > 0 and (made >= SURE_FRAMES or (made and spent >= SURE_SECONDS)):
            state += f" {made / spent:.1f} frames/s, {clock((self._total - self._done) * spent / made)} left"
        self._bar.update(self._task, completed=self._done, state=state)

    def note(self, text: str) -> None:
        # through the bar's own console, so that it does not draw over it; escape: a path may hold brackets
        from rich.text import Text

        if self._bar.disable:
            print(f"vswipe: {text}", file=sys.stderr)
        else:
            self._bar.console.print(Text(f"vswipe: {text}"), soft_wrap=True)

    def event(self, name: str, **values: Any) -> None:
        pass


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
