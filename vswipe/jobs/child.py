"""Work in a process of its own: started, listened to, and gone at once when it is no longer wanted.

VapourSynth runs there and nowhere else: a decoder or a network in the middle of a frame cannot be interrupted, but a
process can. The request goes in as one line of JSON, events come back as lines of JSON. The child's standard input
stays open as long as its parent lives: when it ends, however the parent ended, the child ends too.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .process import Tail, UserError

Event = dict[str, Any]


def run_child(
    task: str, request: Mapping[str, Any], *, on_start: Callable[[subprocess.Popen[bytes]], None] | None = None
) -> Iterator[Event]:
    """The events of a task, as they come; leaving the loop ends the task.

    Args:
        task: a name in `worker.TASKS`.
        request: what the task needs, as JSON knows it.
        on_start: given the process, for those who may have to end it from another thread.

    Raises:
        UserError: the task failed.
    """
    # Ctrl-C in a terminal goes to every process of the group: in a session of its own the child hears of it from us.
    process = subprocess.Popen(
        [sys.executable, "-m", "vswipe.jobs.worker", task],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    tail = Tail(process.stderr)
    try:
        if on_start:
            on_start(process)
        with contextlib.suppress(BrokenPipeError):  # it died at once: its last words tell why
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "error":
                raise UserError(event["message"])
            yield event
        if status := process.wait():
            reason = tail.lines[-1] if tail.text() else f"it ended with {_name_of(status)}"
            raise UserError(f"the process that renders failed: {reason}")
    finally:
        end(process)


def ask_child(task: str, request: Mapping[str, Any]) -> Event:
    """The last event of a short task."""
    event: Event = {}
    for event in run_child(task, request):  # noqa: B007
        pass
    return event


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and the encoders it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


def _name_of(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name + (", out of memory?" if status == -9 else "")
    return f"exit code {status}"
