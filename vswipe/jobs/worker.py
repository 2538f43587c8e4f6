"""The process that renders: `python -m vswipe.jobs.worker TASK`, started by `child`.

It reads one line of JSON from its standard input and writes events, one per line of JSON, to its standard output. When
the input ends, its parent has gone, and it goes too, with the encoders it started.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from .process import UserError

Emit = Callable[..., None]
REPORT_EVERY = 0.1  # seconds between two events of progress


def open_source(request: dict[str, Any], emit: Emit) -> None:
    """Index a video and tell its facts; refuse marks that cannot be erased, or masks that do not fit."""
    from . import graph, source

    marks = graph.Marks.from_json(request["marks"]) if request.get("marks") else None
    if marks:
        graph.need_filters(marks, masks_only=bool(request.get("masks_only")))
    path = Path(request["path"])
    opened = source.open_clip(
        path, request["track"], Path(request["index"]), lambda share: emit("indexing", share=share)
    )
    facts = source.read_facts(path, opened, Fraction(request["average"]))
    if facts.interlaced and not (marks and marks.progressive):
        n, field = facts.interlaced
        raise UserError(
            f"{path}: must be progressive, frame {n} is interlaced ({field}); deinterlace it first, "
            "as with ffmpeg -i INPUT -vf bwdif -c:v ffv1 -c:a copy progressive.mkv; "
            "--progressive is for video that is only marked so"
        )
    if marks and (marks.mask or marks.plan):
        # the engine is not needed to see that a mask or a plan does not fit
        graph.masked(opened["clip"], dataclasses.replace(marks, kinds=()))
    if marks and marks.example:
        graph.mask_file(opened["clip"], Path(marks.example), lengths=(1,))
        if not 0 <= marks.example_frame < facts.num_frames:
            raise UserError(f"--mark-frame must lie inside 0-{facts.num_frames - 1}, got {marks.example_frame}")
    emit("facts", facts=dataclasses.asdict(facts))


def _clip(job: dict[str, Any]) -> Any:
    """What a job renders."""
    from . import graph, source

    clip = source.open_clip(Path(job["source"]["path"]), job["source"]["track"], Path(job["index"]))["clip"]
    marks = graph.Marks.from_json(job["marks"])
    return graph.masked(clip, marks) if job["masks_only"] else graph.erased(clip, marks)


def render(request: dict[str, Any], emit: Emit) -> None:
    """Render and encode segments of a job: {"folder", "segments": [[first, stop], ...]}."""
    from .encode import Encoder, Encoding
    from .segments import SPEC, finish_segment, runs, segment_file

    folder = Path(request["folder"])
    job = json.loads((folder / SPEC).read_text(encoding="utf-8"))
    job["index"] = request["index"]
    clip = _clip(job)
    encoding = Encoding(job["pixel_format"], tuple(job["encoder"]))
    # Workers on a shared folder may be given the same segment twice: each writes its own file.
    mark = f"{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
    progress = _Progress(emit)
    for run in runs([range(*pair) for pair in request["segments"]]):
        frames = clip[run[0].start : run[-1].stop].frames(close=True)
        for segment in run:
            target = segment_file(folder, segment.start)
            part = target.with_name(f"{target.stem}.{mark}.part.mkv")
            encoder = Encoder((clip.width, clip.height), job["rate"], encoding, part)
            masked, unknown = 0, False
            for n in segment:
                frame = _next(frames, n, job["masks_only"])
                masked += float(frame.props.get("WipeMasked", 0)) > 0
                unknown |= frame.props.get("WipeLogo") == "unknown"
                encoder.write(frame)
                progress.add(n)
            encoder.close()
            about = {"first": segment.start, "frames": len(segment), "masked": masked, "unknown": unknown}
            finish_segment(part, target, about)
            emit("segment", **about)
    progress.flush()


def put_together(request: dict[str, Any], emit: Emit) -> None:
    """Write the output: {"path", "target", "container", "folder", "facts", "others", "skip"}."""
    from . import mux
    from .probe import probe
    from .segments import JobFolder
    from .source import Facts

    progress = _Progress(emit)
    mux.write(
        Path(request["target"]),
        request["container"],
        probe(Path(request["path"])),
        mux.look_at(JobFolder(Path(request["folder"])).finished()),
        Facts.from_json(request["facts"]),
        progress.add,
        others=request["others"],
        skip=request["skip"],
    )
    progress.flush()


def _next(frames: Iterator[Any], n: int, masks_only: bool) -> Any:
    import vapoursynth as vs

    try:
        return next(frames)
    except vs.Error as error:
        raise UserError(f"frame {n}: {error}") from error


class _Progress:
    """Tells how many frames are done, not too often."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._count = 0
        self._last = time.monotonic()

    def add(self, n: int) -> None:
        self._count += 1
        if time.monotonic() - self._last >= REPORT_EVERY:
            self.flush()

    def flush(self) -> None:
        if self._count:
            self._emit("frames", count=self._count)
        self._count, self._last = 0, time.monotonic()


def analyse(request: dict[str, Any], emit: Emit) -> None:
    """Look for marks: {"path", "track", "index", "marks", "folder"}; logos' files go into the folder."""
    from . import graph, source
    from .analyse import find_marks

    clip = source.open_clip(Path(request["path"]), request["track"], Path(request["index"]))["clip"]
    progress, what = _Progress(emit), ""
    done = 0
    for name, n, mark in find_marks(clip, graph.Marks.from_json(request["marks"]), Path(request["folder"])):
        if name != what:
            progress.flush()
            what, done = name, 0
            emit("looking", what=f"marks of the kind {name}")
        if isinstance(mark, str):
            emit("note", text=mark)
        elif mark is not None:
            progress.flush()
            emit("mark", mark=dataclasses.asdict(mark))
        elif n > done:
            progress.add(n)
            done = n


def stills(request: dict[str, Any], emit: Emit) -> None:
    """Draw frames before and after: {"path", "track", "index", "marks", "frames", "width"}."""
    from . import graph, source
    from .preview import draw_stills

    clip = source.open_clip(Path(request["path"]), request["track"], Path(request["index"]))["clip"]
    marks = graph.Marks.from_json(request["marks"])
    mask, cleaned = graph.masked(clip, marks), graph.erased(clip, marks)
    for still in draw_stills(clip, cleaned, mask, request["frames"], request["width"]):
        emit("still", **dataclasses.asdict(still))


def selftest(request: dict[str, Any], emit: Emit) -> None:
    """Tell what VapourSynth and PyTorch say of themselves, and erase something small."""
    from .doctor import look_inside

    for name, fine, text in look_inside():
        emit("check", name=name, fine=fine, text=text)


TASKS: dict[str, Callable[[dict[str, Any], Emit], None]] = {
    "open": open_source,
    "render": render,
    "mux": put_together,
    "analyse": analyse,
    "stills": stills,
    "selftest": selftest,
}


def main(task: str) -> int:
    """Run one task; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a plugin prints must not come between the events
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    lock = threading.Lock()

    def emit(event: str, **values: Any) -> None:
        with lock:
            events.write(json.dumps({"event": event, **values}) + "\n")
            events.flush()

    try:
        TASKS[task](request, emit)
    except UserError as error:
        emit("error", message=str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        emit("error", message=f"{where}{error.strerror or error}")
    # Straight out: threads of VapourSynth and PyTorch need not be taken down in order, and would take their time.
    os._exit(0)


def _end_with(parent: IO[bytes]) -> None:
    parent.read()
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
