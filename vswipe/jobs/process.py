"""Running ffmpeg: found, fed, watched, stopped, and its last words passed on when it fails."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import IO

Progress = Callable[[int], None]
LAST_LINES = 6
_CHATTER = re.compile(r"Frame: |Script evaluation done|Output \d+ frames|Information: ")  # of vspipe; no reason to fail


class UserError(Exception):
    """Something the person at the keyboard can put right; the message says what, without a traceback."""


@cache
def find_ffmpeg() -> str:
    """Path of an ffmpeg that has the encoders needed here: the one on PATH, else the imageio-ffmpeg wheel's.

    Raises:
        UserError: there is none.
    """
    found = shutil.which("ffmpeg")
    if found:
        # Some distributions ship ffmpeg without H.264; the wheel's has it.
        listing = subprocess.run([found, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False)
        if all(f" {name} " in listing.stdout for name in ("libx264", "ffv1")):
            return found
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise UserError(f"no ffmpeg with libx264 on PATH, and imageio-ffmpeg has none either ({error})") from error


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends well, and is deleted when it does not."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")  # the suffix stays: ffmpeg chooses the container by it
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class Tail:
    """The last lines of a stream, read in a thread so that the process behind it never waits."""

    def __init__(self, stream: IO[bytes], on_line: Callable[[str], None] | None = None) -> None:
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self._on_line = on_line
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        rest = b""
        while chunk := os.read(stream.fileno(), 4096):
            *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
            for line in lines:
                self._take(line)
        self._take(rest)

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text and self._on_line:
            self._on_line(text)
        if text and not _CHATTER.match(text):
            self.lines.append(text)

    def text(self) -> str:
        """The lines, indented, once the stream has ended."""
        self._thread.join(timeout=5)
        return "".join(f"\n    {line}" for line in self.lines)

    def last(self) -> str:
        """The reason in one line."""
        self._thread.join(timeout=5)
        if any("matches no streams" in line for line in self.lines):
            return "there is no video in it"
        return re.sub(r"^file:.*: ", "", self.lines[-1]) if self.lines else "ffmpeg gave no reason"


@contextlib.contextmanager
def stopping(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    """On the way out, whatever the reason, none of these processes is left running."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()  # what it wrote is thrown away; asked to finish, ffmpeg would take seconds
        for process in processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()


def ffmpeg(
    arguments: Sequence[str | Path],
    *,
    what: str,
    feed: Iterable[bytes] | None = None,
    on_frame: Progress = lambda done: None,
) -> bytes:
    """Run ffmpeg to its end.

    Args:
        arguments: what follows ffmpeg's general options.
        what: for the message when it fails, as in "cannot read FILE".
        feed: raw frames for its standard input, one by one.
        on_frame: called with the number of frames fed so far.

    Returns:
        What ffmpeg wrote to its standard output.

    Raises:
        UserError: ffmpeg failed; holds its last line.
    """
    command = [
        find_ffmpeg(),
        "-hide_banner",
        "-v",
        "error",
        "-y",
        *([] if feed else ["-nostdin"]),
        *map(str, arguments),
    ]
    stdin = subprocess.PIPE if feed else subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with stopping(process):
        assert process.stdout
        assert process.stderr
        tail = Tail(process.stderr)
        if feed:
            assert process.stdin
            with contextlib.suppress(BrokenPipeError):  # ffmpeg gave up: its exit status tells
                for done, frame in enumerate(feed, 1):
                    process.stdin.write(frame)
                    on_frame(done)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        output = process.stdout.read()
        if process.wait() != 0:
            raise UserError(f"{what}: {tail.last()}")
    return output
