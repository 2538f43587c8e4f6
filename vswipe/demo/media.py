"""Running `vspipe | ffmpeg` for the demo; the rest of running programs is in `vswipe.jobs.process`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from vswipe.jobs.process import Progress, Tail, UserError, ffmpeg, find_ffmpeg, stopping, whole

__all__ = ["Progress", "UserError", "ffmpeg", "find_ffmpeg", "vspipe_to_ffmpeg", "whole"]

_VSPIPE_FRAME = re.compile(r"Frame: (\d+)/")
_VSPIPE_SPEED = re.compile(r"Output \d+ frames in [\d.]+ seconds \(([\d.]+) fps\)")


def vspipe_to_ffmpeg(
    vspipe: str | Path, script: Path, arguments: Sequence[str | Path], on_frame: Progress,
    given: Mapping[str, object] | None = None,
) -> float:  # fmt: skip
    """`vspipe -c y4m script - | ffmpeg -i - arguments`.

    Args:
        vspipe: its path.
        script: the .vpy file.
        arguments: what follows `ffmpeg -i -`.
        on_frame: called with the number of frames vspipe has put out.
        given: arguments of the script.

    Returns:
        Frames per second, by vspipe's count: the script's loading is not in it.

    Raises:
        UserError: one of the two failed; holds its last lines.
    """
    speed = [0.0]

    def watch(line: str) -> None:
        if match := _VSPIPE_FRAME.match(line):
            on_frame(int(match[1]))
        elif match := _VSPIPE_SPEED.search(line):
            speed[0] = float(match[1])

    passed = [part for name, value in (given or {}).items() for part in ("-a", f"{name}={value}")]
    source = subprocess.Popen(
        [str(vspipe), "-p", "-c", "y4m", *passed, str(script), "-"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with stopping(source):
        sink = subprocess.Popen(
            [find_ffmpeg(), "-hide_banner", "-v", "error", "-y", "-f", "yuv4mpegpipe", "-i", "-", *map(str, arguments)],
            stdin=source.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        with stopping(sink):
            assert source.stdout
            assert source.stderr
            assert sink.stderr
            source.stdout.close()  # so that vspipe notices when ffmpeg is gone
            source_tail, sink_tail = Tail(source.stderr, watch), Tail(sink.stderr)
            sink_status, source_status = sink.wait(), source.wait()
            # When ffmpeg dies first, vspipe only reports that it could not write.
            cut_off = "write" in source_tail.text().lower() or source_status < 0
            if sink_status != 0 and (source_status == 0 or cut_off):
                raise UserError(f"ffmpeg could not write the video:{sink_tail.text()}")
            if source_status != 0:
                raise UserError(f"vspipe could not run {script}:{source_tail.text()}")
    return speed[0]
