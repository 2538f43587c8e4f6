"""`vswipe demo`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .common import at_least


def add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="erase subtitles from a sample clip, or from your own, and show the result",
        description="Burns subtitles into a clip, erases them again with core.wipe.Inpaint,\n"
        "and leaves input.mkv, mask.mkv, mask.png, demo.vpy, output.mp4 and sheet.png\n"
        "(before | mask | after) in a folder.",
        epilog="examples:\n  vswipe demo\n  vswipe demo holiday.mp4 -o holiday-demo --frames 240",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a video of your own; without it a clip is drawn"
    )
    parser.add_argument(
        "-o", dest="folder", type=Path, default=Path("demo"), metavar="DIR", help="folder for the files (default: demo)"
    )
    parser.add_argument(
        "--frames", type=at_least(1), default=96, metavar="N", help="length, from the start (default: 96)"
    )
    parser.add_argument(
        "--height", type=at_least(32), metavar="H", help="height in pixels (default: 360, or the file's own)"
    )
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from vswipe.demo.run import NAMES, run_demo

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        result = run_demo(arguments.file, arguments.folder, arguments.frames, arguments.height, report)
    for name in NAMES:
        print(result.folder / name)
    seconds = result.num_frames / result.speed if result.speed else 0
    size = f"{result.width}x{result.height}"
    print(f"{result.num_frames} frames of {size} in {seconds:.1f} s: {result.speed:.1f} frames/s")
    return 0
