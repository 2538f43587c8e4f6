"""`vswipe analyse`, `vswipe preview`, `vswipe mask`: what would be erased."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from .common import add_marks, add_options, add_output, counted, marks_from
from .progress import reporting


def add_analyse(commands: Any) -> None:
    """The parser."""
    parser = commands.add_parser(
        "analyse",
        help="find marks once and write an editable plan",
        description="Find the marks of a video and write them down: each line with its first and last frame, box,\n"
        "confidence and strokes. Edit the file, then: vswipe erase --plan plan.json",
        epilog="examples:\n  vswipe analyse film.mkv -o plan.json\n"
        "  vswipe analyse film.mkv --subs --region 0,800,1920,280 -o plan.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help="the video")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="the plan (default: INPUT.plan.json)")
    add_marks(parser, plan=False)
    add_output(parser)
    parser.add_argument("--salvage", action="store_true", help="take a file that was cut off as it is")
    parser.set_defaults(run=_analyse)


def _analyse(arguments: argparse.Namespace) -> int:
    from vswipe.jobs.analyse import analyse, logo_files
    from vswipe.jobs.process import UserError

    output = _target(arguments, ".plan.json")
    if not arguments.overwrite and (there := logo_files(output)):
        raise UserError(f"{there[0]}: exists already; -y replaces it")
    with reporting(quiet=arguments.quiet, as_json=arguments.json) as report:
        plan = analyse(arguments.input, marks_from(arguments), report, output, salvage=arguments.salvage)
        plan.save(output)
        report.event("done", output=str(output), marks=len(plan.events))
    _tell(arguments, f"{output}: {counted(len(plan.events), 'mark')} in {plan.num_frames} frames")
    return 0


def add_preview(commands: Any) -> None:
    """The parser."""
    parser = commands.add_parser(
        "preview",
        help="one page that shows before | mask | after",
        description="Write one HTML page, complete in itself: every mark before | mask | after, a timeline, and a\n"
        "slider to compare. Without a plan the video is analysed first.",
        epilog="examples:\n  vswipe preview film.mkv --plan plan.json -o preview.html\n"
        "  vswipe preview film.mkv --mask logo.png -o preview.html",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help="the video")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="the page (default: INPUT.preview.html)")
    parser.add_argument("--most", type=int, default=60, metavar="N", help="marks shown with pictures (default: 60)")
    add_marks(parser)
    add_options(parser)
    add_output(parser)
    parser.set_defaults(run=_preview)


def _preview(arguments: argparse.Namespace) -> int:
    from vswipe.jobs.analyse import analyse
    from vswipe.jobs.plan import Plan
    from vswipe.jobs.preview import preview

    output = _target(arguments, ".preview.html")
    marks = marks_from(arguments)
    with reporting(quiet=arguments.quiet, as_json=arguments.json) as report:
        # without a plan of the user's, that of the analysis is needed no longer than the page is drawn
        with tempfile.TemporaryDirectory(prefix="vswipe-") as folder:
            path = arguments.plan or Path(folder) / "plan.json"
            plan = Plan.load(path) if arguments.plan else analyse(arguments.input, marks, report, path)
            shown = preview(arguments.input, plan.located(path), output, marks, report, max(0, arguments.most))
        report.event("done", output=str(output), marks=len(plan.events), shown=shown)
    _tell(arguments, f"{output}: {counted(len(plan.events), 'mark')}, {shown} with pictures")
    return 0


def add_mask(commands: Any) -> None:
    """The parser."""
    parser = commands.add_parser(
        "mask",
        help="write the mask as a lossless video",
        description="Write what would be erased as a lossless gray video (FFV1 in Matroska), white = erase,\n"
        "with the times of the source.",
        epilog="examples:\n  vswipe mask film.mkv --subs -o mask.mkv\n"
        "  vswipe mask film.mkv --plan plan.json -o mask.mkv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help="the video")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="the mask (default: INPUT.mask.mkv)")
    add_marks(parser)
    add_output(parser)
    parser.add_argument("--salvage", action="store_true", help="take a file that was cut off as it is")
    parser.set_defaults(run=_mask, parser=parser)


def _mask(arguments: argparse.Namespace) -> int:
    from vswipe.jobs.erase import Job, run_job

    output = arguments.output or arguments.input.with_name(f"{arguments.input.stem}.mask.mkv")
    marks = marks_from(arguments)
    if not (marks.kinds or marks.mask or marks.plan):
        arguments.parser.error("say which mask: --subs, --logo, --dynamic-logo, --mask FILE or --plan FILE")
    job = Job(arguments.input, output, marks, masks_only=True, overwrite=arguments.overwrite, salvage=arguments.salvage)
    with reporting(quiet=arguments.quiet, as_json=arguments.json) as report:
        done = run_job(job, report)
        report.event("done", output=str(done.output), frames=done.num_frames)
    _tell(arguments, f"{done.output}: {done.num_frames} frames")
    return 0


def _target(arguments: argparse.Namespace, ending: str) -> Path:
    """The output, which may be written; refused before the work is done."""
    from vswipe.jobs.process import UserError

    output: Path = arguments.output or arguments.input.with_name(arguments.input.stem + ending)
    if output.is_dir():
        raise UserError(f"{output}: is a folder, not a file")
    if output.exists() and not arguments.overwrite:
        raise UserError(f"{output}: exists already; -y replaces it")
    try:
        with tempfile.TemporaryFile(dir=output.absolute().parent):
            pass
    except OSError as error:
        raise UserError(f"cannot write into {output.parent}: {error.strerror}") from error
    return output


def _tell(arguments: argparse.Namespace, text: str) -> None:
    if not arguments.quiet and not arguments.json:
        print(text)
