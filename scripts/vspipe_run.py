"""One timed run of a script through vspipe, for the benchmarks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SPEED = re.compile(r"Output (\d+) frames in ([\d.]+) seconds")


@dataclass(frozen=True)
class Run:
    """What one process took.

    Args:
        fps: frames per second, as vspipe counts them.
        wall: seconds from start to end.
        processor: seconds of processor time; nan where the system does not say.
        bytes: largest resident size; 0 where the system does not say.
    """

    fps: float
    wall: float
    processor: float
    bytes: int


def run(vspipe: Path, script: Path, options: dict[str, Any], last: int | None = None) -> Run:
    """Run a script to its end, its frames counted and not written.

    Args:
        vspipe: the program.
        script: .vpy.
        options: its arguments.
        last: the last frame; None: the clip's.

    Raises:
        SystemExit: it failed; with what it said.
    """
    arguments = [part for key, value in options.items() for part in ("-a", f"{key}={value}")]
    end = [] if last is None else ["-e", str(last)]
    command = [str(vspipe), *end, *arguments, str(script), "--"]
    processor, largest = float("nan"), 0
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output)
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            processor = usage.ru_utime + usage.ru_stime
        else:
            process.wait()
        wall = time.perf_counter() - began
        output.seek(0)
        text = output.read().decode(errors="replace")
    found = _SPEED.search(text)
    if process.returncode or not found:
        raise SystemExit(f"{script.name}: vspipe failed\n{text}")
    return Run(int(found[1]) / float(found[2]), wall, processor, largest)
