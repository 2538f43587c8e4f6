"""The command line: arguments, progress, exit codes. What the commands do is done elsewhere.

A command is one function that adds its parser and names its handler (`add_demo`, `_demo`); COMMANDS lists them.
Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 an error told in one line, 2 wrong arguments,
130 stopped with Ctrl-C (or by SIGTERM); of a batch: how many files failed.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from .analyse import add_analyse, add_mask, add_preview
from .demo import add_demo
from .erase import add_erase
from .info import add_completion, add_doctor, add_models

EXIT_ERROR, EXIT_STOPPED = 1, 130
COMMANDS = (add_erase, add_analyse, add_preview, add_mask, add_demo, add_models, add_doctor, add_completion)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from vswipe import __version__

    parser = argparse.ArgumentParser(
        prog="vswipe",
        description="Erase subtitles, logos and masked objects from video.",
        epilog="example:\n  vswipe erase film.mkv --subs      makes film.clean.mkv\n\n"
        "`vswipe COMMAND --help` explains a command and shows examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vswipe {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    from vswipe.jobs.process import UserError

    given = list(sys.argv[1:] if argv is None else argv)
    # What follows -- is ffmpeg's and looks like options: argparse is not to see it.
    encoder = given[given.index("--") + 1 :] if "--" in given else None
    parser = build_parser()
    arguments = parser.parse_args(given[: given.index("--")] if encoder is not None else given)
    if encoder is not None:
        if not hasattr(arguments, "encoder"):
            parser.error("-- and arguments for an encoder belong to `vswipe erase`")
        if not encoder:
            parser.error("after -- there must be arguments for the encoder, as -c:v libx265 -crf 16")
        arguments.encoder = tuple(encoder)
    # Ended from outside, it cleans up as after Ctrl-C: no process is left behind, no half-written file.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return arguments.run(arguments)
    except UserError as error:
        print(f"vswipe: {error}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:  # nobody reads the output any more, as in `vswipe models | head -1`
        sys.stderr.close()
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
