"""Segments rendered by the workers of a dask scheduler (https://distributed.dask.org), an optional extra.

Source, masks and the job's folder must be under the same paths on all machines, and vswipe installed there. A segment
that fails is tried again, on whichever worker is free.
"""

from __future__ import annotations

import os
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .child import Event, end, run_child
from .process import UserError
from .segments import SPEC, STOP, segment_file

RETRIES = 2
PATIENCE = 10  # seconds for the scheduler to answer
LOOK_EVERY = 0.3  # seconds, for the sign to stop


def render_on(address: str, folder: Path, segments: Sequence[Sequence[int]], index: Path) -> Iterator[Event]:
    """Render segments; the events "frames" and "segment" as each is finished.

    Args:
        address: of the scheduler, as in "tcp://host:8786".
        folder: of the job.
        segments: first frame, and the one after the last.
        index: folder of BestSource's index, on the shared disk.

    Raises:
        UserError: dask is not installed, nobody answers, or a segment failed for good.
    """
    try:
        from dask.distributed import Client, as_completed
    except ImportError as error:
        raise UserError("--dask needs dask.distributed: pip install 'vswipe[dask]'") from error
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(f"--dask {address}: no scheduler answers there") from error
    try:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise UserError(f"--dask {address}: the scheduler has no workers")
        run = uuid.uuid4().hex
        futures = [
            client.submit(
                render_segment, str(folder), list(pair), str(index), retries=RETRIES, key=f"vswipe-{run}-{pair[0]}"
            )
            for pair in segments
        ]
        for future in as_completed(futures, loop=client.loop):
            failure = future.exception()
            if failure is not None:
                raise UserError(f"a segment failed {RETRIES + 1} times: {failure}")
            done = future.result()
            yield {"event": "frames", "count": done["frames"]}
            yield done
    finally:
        (folder / STOP).touch()  # for those that are still at work
        client.close(timeout=1)


def render_segment(folder: str, pair: list[int], index: str) -> dict[str, Any]:
    """On a worker: render one segment of a job; its report.

    Raises:
        RuntimeError: it failed, or the job is over.
    """
    place = Path(folder)
    if not (place / SPEC).is_file():
        raise RuntimeError(f"{os.uname().nodename if hasattr(os, 'uname') else 'worker'} does not see {folder}")
    report: dict[str, Any] = {}
    over = threading.Event()

    def watch(process: subprocess.Popen[bytes]) -> None:
        def look() -> None:
            while not over.wait(LOOK_EVERY):
                if (place / STOP).exists() or not place.exists():
                    end(process)
                    return

        threading.Thread(target=look, daemon=True).start()

    try:
        for event in run_child("render", {"folder": folder, "segments": [pair], "index": index}, on_start=watch):
            if event["event"] == "segment":
                report = event
    except UserError as error:
        raise RuntimeError(str(error)) from error
    finally:
        over.set()
    if not segment_file(place, pair[0]).is_file():
        raise RuntimeError(f"segment {pair[0]} was not made")
    return report
