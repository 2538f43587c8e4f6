"""The folder of a job: what is to be done, and the segments that are.

A job's frames are cut on a fixed grid. Each segment is encoded on its own, so it begins with a key frame, and depends
on nothing but the job: one that is there need not be made again, whoever made it, and whether the run that did was
broken off or not. A segment gets its name only when it is whole and on the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from .process import UserError

GRID = 240  # frames: 10 seconds; a multiple of the filters' chunks of 8
SPEC, LOCK, STOP = "job.json", "lock", "stop"


def job_folder(output: Path) -> Path:
    """Beside the output, on the same disk, out of sight."""
    return output.with_name(f".{output.name}.vswipe")


class JobFolder:
    """One job's folder, held by one process.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def index(self) -> Path:
        """For an index that other machines need."""
        return self.path / "index"

    def open(self) -> None:
        """Make it, or take hold of the one that is there.

        Raises:
            UserError: it cannot be made, or another process holds it.
        """
        try:
            self.path.mkdir(exist_ok=True)
            self._lock = open(self.path / LOCK, "a")  # noqa: SIM115
        except OSError as error:
            raise UserError(f"cannot write into {self.path.parent}: {error.strerror}") from error
        if not _lock(self._lock):
            self._lock.close()
            self._lock = None
            raise UserError(f"another vswipe is at work on this output (it holds {self.path})")
        (self.path / STOP).unlink(missing_ok=True)

    def begin(self, spec: Mapping[str, Any]) -> bool:
        """Write down what is to be done; whether segments of the very same job are there already.

        Everything the frames depend on stands in `spec`: what was made for another one is thrown away.
        """
        text = json.dumps(spec, indent=1, sort_keys=True)
        path = self.path / SPEC
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            for part in self.path.glob("*.part.mkv"):
                part.unlink(missing_ok=True)
            return bool(self.finished())
        for old in self.path.iterdir():
            if old.name not in (LOCK, self.index.name):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        _sync(part)
        os.replace(part, path)
        return False

    def finished(self) -> dict[int, Path]:
        """Segments that are whole: first frame -> file."""
        return {int(path.stem): path for path in sorted(self.path.glob("[0-9]*.mkv")) if path.stem.isdigit()}

    def reports(self) -> list[dict[str, Any]]:
        """What the filters said of each finished segment, in order."""
        texts = [path.with_suffix(".json").read_text(encoding="utf-8") for path in self.finished().values()]
        return [json.loads(text) for text in texts]

    def close(self, *, keep: bool) -> None:
        """Let go of it; it stays for a later run only when there is something in it to go on from."""
        if self._lock is None:
            return
        self._lock.close()
        self._lock = None
        if keep and self.finished():
            for part in self.path.glob("*.part.*"):
                part.unlink(missing_ok=True)
        else:
            # encoders that were just killed may still hold their file for a moment
            for _ in range(20):
                shutil.rmtree(self.path, ignore_errors=True)
                if not self.path.exists():
                    break
                time.sleep(0.05)


def segment_file(folder: Path, first: int) -> Path:
    """The file of the segment that begins with frame `first`."""
    return folder / f"{first:09}.mkv"


def finish_segment(part: Path, target: Path, report: Mapping[str, Any]) -> None:
    """Give a whole segment its name, for good: not before it is on the disk."""
    about = target.with_suffix(".json")
    about.write_text(json.dumps(report), encoding="utf-8")
    _sync(about)
    _sync(part)
    os.replace(part, target)


def grid(num_frames: int, step: int) -> list[range]:
    """The segments' frames."""
    return [range(first, min(first + step, num_frames)) for first in range(0, num_frames, step)]


def runs(segments: Sequence[range]) -> list[list[range]]:
    """Segments that follow on each other, together: they are rendered in one go."""
    together: list[list[range]] = []
    for segment in segments:
        if together and together[-1][-1].stop == segment.start:
            together[-1].append(segment)
        else:
            together.append([segment])
    return together


def _sync(path: Path) -> None:
    with open(path, "rb+") as file, contextlib.suppress(OSError):
        os.fsync(file.fileno())


def _lock(file: IO[str]) -> bool:
    """Held until the file is closed or its process ends, however it ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
