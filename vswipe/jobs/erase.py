"""One job from end to end: look, rehearse, render what is missing, put together, rename."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from . import mux
from .child import Event, run_child
from .encode import Encoder, Encoding, choose, default_threads, lossless_gray
from .graph import Marks
from .logos import UNKNOWN
from .plan import Plan
from .probe import Media, need_file, need_whole, probe
from .process import UserError, find_ffmpeg
from .report import Report
from .segments import GRID, JobFolder, grid, job_folder
from .source import Facts, index_folder

NOTHING = "nothing was found to erase: the video is only encoded anew"


@dataclass(frozen=True)
class Job:
    """What is wanted.

    Args:
        source, output: files.
        marks: what to erase, or to show.
        masks_only: the output is the mask, not the video.
        encoder: the user's own arguments for ffmpeg; empty: the default.
        overwrite: an output that exists is replaced.
        salvage: a source that was cut off is taken as it is.
        step: frames of a segment.
        scheduler: address of a dask scheduler; "": this machine renders.
    """

    source: Path
    output: Path
    marks: Marks
    masks_only: bool = False
    encoder: tuple[str, ...] = ()
    overwrite: bool = False
    salvage: bool = False
    step: int = GRID
    scheduler: str = ""


@dataclass(frozen=True)
class Done:
    """What came of it.

    Args:
        output: the file.
        num_frames: in it.
        masked: frames from which something was erased.
        resumed: frames that an earlier run had made.
    """

    output: Path
    num_frames: int
    masked: int
    resumed: int


def run_job(job: Job, report: Report) -> Done:
    """Do it.

    Raises:
        UserError: anything the user can put right. The source is never touched, and nothing stands under the output's
            name that is not whole; finished segments stay for the next run.
    """
    container = check_paths(job)
    media = probe(job.source)
    if media.alpha:
        raise UserError(f"{job.source}: has an opacity channel, which would be lost: it is not supported")
    folder = JobFolder(job_folder(job.output.absolute()))
    folder.open()
    finished = False
    try:
        done = _run(job, container, media, folder, report)
        finished = True
        return done
    finally:
        folder.close(keep=not finished)


def check_paths(job: Job) -> str:
    """Refuse before any work what would fail at its end; the container to write."""
    need_file(job.source)
    container = mux.FORMATS.get(job.output.suffix.lower())
    if container is None:
        raise UserError(f"{job.output}: must end in one of {', '.join(mux.FORMATS)}")
    if job.output.is_dir():
        raise UserError(f"{job.output}: is a folder, not a file")
    if job.output.exists():
        if job.output.samefile(job.source):
            raise UserError(f"{job.output}: is the input; it is never written over")
        if not job.overwrite:
            raise UserError(f"{job.output}: exists already; -y replaces it")
    if not job.output.absolute().parent.is_dir():
        raise UserError(f"{job.output.parent}: no such folder")
    return container


def _run(job: Job, container: str, media: Media, folder: JobFolder, report: Report) -> Done:
    if not job.salvage:
        report.phase("checking the file")
        need_whole(media)
    index = folder.index if job.scheduler else index_folder()
    facts = look(media, index, report, job.marks, masks_only=job.masks_only)
    for note in facts.notes:
        report.note(note)
    threads = default_threads()
    encoding = lossless_gray(threads) if job.masks_only else choose(facts, job.encoder, threads)
    for note in encoding.notes:
        report.note(note)
    skip, notes = _rehearse(job, container, media, facts, encoding, folder)
    for note in notes:
        report.note(note)

    resumed = folder.begin(_spec(job, media, facts, encoding))
    wanted = grid(facts.num_frames, job.step)
    there = folder.finished()
    missing = [segment for segment in wanted if segment.start not in there]
    before = facts.num_frames - sum(map(len, missing))
    if resumed:
        report.note(f"going on after frame {before} of {facts.num_frames}, which an earlier run has made")
    report.phase("making the mask" if job.masks_only else "erasing", facts.num_frames, before)
    report.event("rendering", frames=facts.num_frames, done=before, segments=len(missing))
    for event in _render(job, folder, missing, index):
        if event["event"] == "frames":
            report.advance(event["count"])
        elif event["event"] == "segment":
            report.event("segment", first=event["first"], frames=event["frames"], masked=event["masked"])

    report.phase("putting together", facts.num_frames)
    # in the folder, not beside the output: whatever ends this run, the next one clears it away
    part = folder.path / f"whole.part{job.output.suffix}"
    request = {
        "path": str(media.path), "target": str(part), "container": container, "folder": str(folder.path),
        "facts": dataclasses.asdict(facts), "others": not job.masks_only,
        "skip": skip,
    }  # fmt: skip
    for event in run_child("mux", request):
        report.advance(event.get("count", 0))
    if job.output.exists() and not job.overwrite:
        raise UserError(f"{job.output}: exists by now; -y replaces it")
    with open(part, "rb+") as file, contextlib.suppress(OSError):
        os.fsync(file.fileno())
    os.replace(part, job.output)
    entries = folder.reports()
    masked = sum(entry["masked"] for entry in entries)
    if any(entry["unknown"] for entry in entries):
        report.note(UNKNOWN)
    elif not masked and not job.masks_only:
        report.note(NOTHING)
    return Done(job.output, facts.num_frames, masked, before)


def look(
    media: Media, index: Path, report: Report, marks: Marks | None = None, *, masks_only: bool = False,
) -> Facts:  # fmt: skip
    """The facts of a file's video; the marks are checked against it."""
    report.phase("reading the video")
    request = {
        "path": str(media.path), "track": media.video, "index": str(index), "average": str(media.rate),
        "marks": dataclasses.asdict(marks) if marks else None, "masks_only": masks_only,
    }  # fmt: skip
    facts = None
    for event in run_child("open", request):
        if event["event"] == "indexing":
            report.phase(f"reading the video, {event['share']}")
        elif event["event"] == "facts":
            facts = Facts.from_json(event["facts"])
    if facts is None:
        raise UserError(f"cannot read a video from {media.path}")
    if marks:
        for first, last in marks.ranges:
            if not 0 <= first <= last < facts.num_frames:
                raise UserError(f"--range must lie inside 0-{facts.num_frames - 1}, got {first}-{last}")
        for left, top, width, height in marks.regions:
            if left + width > facts.width or top + height > facts.height:
                size, got = f"{facts.width}x{facts.height}", f"{left},{top},{width},{height}"
                raise UserError(f"--region must lie inside the {size} frame, got {got}")
    return facts


def _rehearse(
    job: Job, container: str, media: Media, facts: Facts, encoding: Encoding, folder: JobFolder
) -> tuple[list[int], list[str]]:
    """Encode one gray frame and have the container take every stream, so that hours of work do not end in a refusal.

    Returns:
        Data streams that have to be left out, and what the user should know of them.
    """
    trial = folder.path / "trial.part.mkv"
    encoder = Encoder((facts.width, facts.height), facts.rate, encoding, trial)
    floating = facts.floating and not job.masks_only
    kind = np.float32 if floating else np.uint16 if facts.bits > 8 and not job.masks_only else np.uint8
    shapes = [(facts.height, facts.width)]
    if not job.masks_only and facts.family != "GRAY":
        shapes += [(facts.height >> facts.subsampling[1], facts.width >> facts.subsampling[0])] * 2
    encoder.write_planes([np.zeros(shape, kind) for shape in shapes])
    encoder.close()
    target = folder.path / f"trial.whole.part{job.output.suffix}"
    segments = mux.look_at({0: trial})
    data = [stream.index for stream in media.streams if stream.kind in ("data", "unknown")]
    skip: list[int] = []
    try:
        notes = mux.write(target, container, media, segments, facts, header_only=True, others=not job.masks_only)
    except UserError:
        if not data or job.masks_only:
            raise
        skip = data
        notes = mux.write(target, container, media, segments, facts, header_only=True, skip=skip)
    trial.unlink()
    target.unlink(missing_ok=True)
    return skip, notes


def _render(job: Job, folder: JobFolder, missing: Sequence[range], index: Path) -> Iterator[Event]:
    if not missing:
        return
    pairs = [[segment.start, segment.stop] for segment in missing]
    if job.scheduler:
        from .cluster import render_on

        yield from render_on(job.scheduler, folder.path, pairs, index)
    else:
        yield from run_child("render", {"folder": str(folder.path), "segments": pairs, "index": str(index)})


def _spec(job: Job, media: Media, facts: Facts, encoding: Encoding) -> dict[str, Any]:
    """Everything a frame of the output depends on. Settings of speed alone are not in it."""
    marks = dataclasses.asdict(job.marks)
    marks["kinds"], marks["regions"], marks["ranges"] = (
        list(job.marks.kinds), [list(r) for r in job.marks.regions], [list(r) for r in job.marks.ranges],
    )  # fmt: skip
    files = [Path(path) for path in (job.marks.mask, job.marks.plan, job.marks.example) if path]
    if job.marks.plan:
        plan = Path(job.marks.plan)
        files += map(Path, Plan.load(plan).located(plan).logo_files)
    return {
        "source": {"path": str(media.path), "track": media.video, "file": _identity(media.path)},
        "marks": marks,
        "files": [_identity(path) for path in files],
        "masks_only": job.masks_only,
        "num_frames": facts.num_frames,
        "step": job.step,
        "rate": list(facts.rate),
        "pixel_format": encoding.pixel_format,
        "encoder": list(encoding.arguments),
        "versions": _versions(),
    }


def _identity(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _versions() -> dict[str, str]:
    """Of the programs that make the frames, and a hash of vswipe's own files, models included."""
    import vswipe

    package = Path(vswipe.__file__).parent
    state = hashlib.sha256()
    for root in (package, package.parent / "models"):
        for path in sorted(root.rglob("*")):
            if path.suffix in (".py", ".so", ".dll", ".safetensors") and path.is_file():
                state.update(f"{path.relative_to(root)} {_identity(path)}\n".encode())
    encoder = subprocess.run([find_ffmpeg(), "-version"], capture_output=True, text=True, check=False).stdout
    found = {"vswipe": f"{vswipe.__version__} {state.hexdigest()[:16]}", "ffmpeg": encoder.split("\n")[0]}
    for name in ("vapoursynth", "vapoursynth-bestsource", "torch", "opencv-python-headless", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
