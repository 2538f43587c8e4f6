"""The command line: arguments, progress, exit codes. What the commands do is done elsewhere.

A command is one function that adds its parser and names its handler (`_add_demo`, `_demo`); COMMANDS lists them.
Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 an error told in one line, 2 wrong arguments,
130 stopped with Ctrl-C (or by SIGTERM).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXIT_ERROR, EXIT_STOPPED = 1, 130


def _at_least(least: int) -> Any:
    """An argparse type: a whole number not under `least`."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text}")
        return value

    return number


def _add_demo(commands: Any) -> None:
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
        "--frames", type=_at_least(1), default=96, metavar="N", help="length, from the start (default: 96)"
    )
    parser.add_argument(
        "--height", type=_at_least(32), metavar="H", help="height in pixels (default: 360, or the file's own)"
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


COMMANDS = (_add_demo,)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from vswipe import __version__

    parser = argparse.ArgumentParser(prog="vswipe", description="Erase subtitles, logos and masked objects from video.")
    parser.add_argument("--version", action="version", version=f"vswipe {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    from vswipe.demo.media import UserError

    arguments = build_parser().parse_args(argv)
    # Ended from outside, it cleans up as after Ctrl-C: no process is left behind, no half-written file.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return arguments.run(arguments)
    except UserError as error:
        print(f"vswipe: {error}", file=sys.stderr)
        return EXIT_ERROR
    except OSError as error:  # a full disk, a folder taken away: the reason in one line as well
        where = f"{error.filename}: " if error.filename else ""
        print(f"vswipe: {where}{error.strerror or error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("vswipe: stopped", file=sys.stderr)
        return EXIT_STOPPED
    finally:
        signal.signal(signal.SIGTERM, previous)
