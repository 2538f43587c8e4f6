"""`vswipe erase`: one file or many."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from .common import add_marks, add_options, add_output, at_least, marks_from
from .progress import reporting

EXAMPLES = """\
examples:
  vswipe erase film.mkv --subs                       makes film.clean.mkv
  vswipe erase film.mkv --subs --region 0,800,1920,280
  vswipe erase film.mp4 --mask logo.png -o clean.mp4
  vswipe erase film.mkv --subs -- -c:v libx265 -crf 16 -preset slow
  vswipe erase --plan plan.json                      what `vswipe analyse` found, after a look at it
  vswipe erase season1/ --subs -o cleaned/           every video in a folder

Sound, subtitles, chapters, fonts, tags and every frame's time stay as they are. Stopped or broken off, the same
command goes on where it was."""


def add_erase(commands: Any) -> None:
    """The parser."""
    parser = commands.add_parser(
        "erase",
        help="erase marks from a video, keep everything else",
        usage="vswipe erase INPUT ... [-o OUTPUT] --subs | --logo | --dynamic-logo | --mask FILE | --plan FILE "
        "[options] [-- ENCODER ARGUMENTS]",
        description="Erase what was burnt into a video.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help="videos, or folders of videos")
    parser.add_argument(
        "-o", dest="output", type=Path, metavar="OUTPUT",
        help="the file to write, or a folder (default: INPUT.clean.EXT beside the input)",
    )  # fmt: skip
    add_marks(parser)
    add_options(parser)
    add_output(parser)
    group = parser.add_argument_group("work")
    group.add_argument("--segment", type=at_least(8), metavar="N", help="frames rendered in one piece (default: 240)")
    group.add_argument("--salvage", action="store_true", help="take a file that was cut off as it is")
    group.add_argument("--dask", default="", metavar="ADDRESS", help="let a dask cluster render: tcp://host:8786")
    parser.set_defaults(run=_erase, encoder=(), parser=parser)


def _erase(arguments: argparse.Namespace) -> int:
    from vswipe.jobs.batch import exit_code, expand, output_for, run_all
    from vswipe.jobs.erase import Job, run_job
    from vswipe.jobs.plan import Plan
    from vswipe.jobs.process import UserError
    from vswipe.jobs.segments import GRID

    inputs = list(arguments.inputs)
    if arguments.plan and not inputs:
        inputs = [Path(Plan.load(arguments.plan).source)]
    if not inputs:
        arguments.parser.error("the following arguments are required: INPUT")
    marks = marks_from(arguments)
    if not (marks.kinds or marks.mask or marks.plan):
        arguments.parser.error("say what to erase: --subs, --logo, --dynamic-logo, --mask FILE or --plan FILE")
    files = expand(inputs)
    many = len(files) > 1 or any(path.is_dir() for path in inputs)
    if many and arguments.output:
        if arguments.output.exists() and not arguments.output.is_dir():
            raise UserError(f"{arguments.output}: must be a folder for several inputs")
        try:
            arguments.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder {arguments.output}: {error.strerror}") from error
    made: set[Path] = set()

    with reporting(quiet=arguments.quiet, as_json=arguments.json) as report:

        def one(source: Path) -> None:
            output = output_for(source, arguments.output, many=many)
            if output in made:
                raise UserError(f"{output}: is the output of another input of this run")
            made.add(output)
            report.event("file", source=str(source), output=str(output))
            began = time.monotonic()
            job = Job(
                source, output, marks, False, arguments.encoder, arguments.overwrite, arguments.salvage,
                arguments.segment or GRID, arguments.dask,
            )  # fmt: skip
            done = run_job(job, report)
            spent = time.monotonic() - began
            values = {"frames": done.num_frames, "masked": done.masked, "seconds": round(spent, 3)}
            report.event("done", output=str(done.output), resumed=done.resumed, **values)
            if not arguments.json and not arguments.quiet:
                print(f"{done.output}: {done.num_frames} frames, {done.masked} changed, {spent:.1f} s", flush=True)

        if not many:
            one(files[0])
            return 0
        outcomes = run_all(files, one)
        failed = [outcome for outcome in outcomes if outcome.error]
        report.event(
            "summary", files=len(outcomes), failed=[{"source": str(o.source), "error": o.error} for o in failed]
        )
    for outcome in failed:
        print(f"vswipe: {outcome.error}", file=sys.stderr)
    if not arguments.quiet:
        print(f"vswipe: {len(outcomes) - len(failed)} of {len(outcomes)} files done", file=sys.stderr)
    return exit_code(outcomes)
