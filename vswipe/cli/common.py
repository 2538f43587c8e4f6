"""Arguments that several commands share, and their types."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

Range = tuple[float | int, float | int, bool]


def at_least(least: int) -> Any:
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


def share(text: str) -> float:
    """An argparse type: a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got {text}")
    return value


def region(text: str) -> tuple[int, int, int, int]:
    """An argparse type: L,T,W,H."""
    match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text.strip())
    if not match or not int(match[3]) or not int(match[4]):
        raise argparse.ArgumentTypeError(f"must be left,top,width,height in pixels, got {text}")
    return int(match[1]), int(match[2]), int(match[3]), int(match[4])


def frame_range(text: str) -> tuple[int, int]:
    """An argparse type: A-B, frames, both included."""
    match = re.fullmatch(r"(\d+)-(\d+)", text.strip())
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"must be the first and the last frame as 100-250, got {text}")
    return int(match[1]), int(match[2])


def add_marks(parser: Any, *, plan: bool = True) -> None:
    """What is to be erased."""
    group = parser.add_argument_group("marks", "several of these together are allowed")
    group.add_argument("--subs", action="store_true", help="burnt-in subtitles, found by themselves")
    group.add_argument("--logo", action="store_true", help="logos that stand still, opaque or translucent")
    group.add_argument("--dynamic-logo", action="store_true", help="marks that blink, alternate or move")
    group.add_argument(
        "--mark", type=Path, metavar="FILE",
        help="with --dynamic-logo: how the mark looks: a picture of the video's size, white where the mark is in one "
        "frame; found far more surely with it",
    )  # fmt: skip
    group.add_argument(
        "--mark-frame", type=at_least(0), default=0, metavar="N", help="that frame, counted from 0 (default: 0)"
    )
    group.add_argument("--mask", type=Path, metavar="FILE", help="a picture or video of the same size; white is erased")
    if plan:
        group.add_argument("--plan", type=Path, metavar="FILE", help="the marks of a plan (see vswipe analyse)")
    group.add_argument(
        "--region", type=region, action="append", default=[], metavar="L,T,W,H",
        help="only inside this box: left, top, width, height in pixels; may be given several times",
    )  # fmt: skip
    group.add_argument(
        "--range", dest="ranges", type=frame_range, action="append", default=[], metavar="A-B",
        help="only in frames A to B, both included, counted from 0; may be given several times",
    )  # fmt: skip

    group.add_argument("--progressive", action="store_true", help="the video is marked as interlaced, but is not")


def add_options(parser: Any) -> None:
    """How it is erased: the filters' own arguments."""
    group = parser.add_argument_group("erasing", "see docs/inpaint.md; what is left out takes the filter's default")
    group.add_argument("--model", metavar="NAME", help="who fills what no frame shows (see vswipe models)")
    group.add_argument("--radius", type=at_least(0), metavar="N", help="frames on each side that may give pixels")
    group.add_argument("--dilate", type=at_least(0), metavar="N", help="pixels the mask is grown by")
    group.add_argument("--feather", type=at_least(0), metavar="N", help="pixels of fading, inside the dilation")
    group.add_argument("--grain", type=share, metavar="0..1", help="share of the surrounding grain put back")
    group.add_argument("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps, xpu")
    group.add_argument("--fp16", action="store_true", default=None, help="half precision for networks")


def add_output(parser: Any) -> None:
    """What is shown on the way."""
    group = parser.add_argument_group("output")
    group.add_argument("-y", dest="overwrite", action="store_true", help="replace an output that exists")
    group.add_argument("--quiet", "-q", action="store_true", help="no progress; errors only")
    group.add_argument("--json", action="store_true", help="one event per line on stdout, for programs")


def marks_from(arguments: argparse.Namespace) -> Any:
    """The `Marks` of a command line."""
    from vswipe.jobs.graph import FILTERS, Marks
    from vswipe.jobs.process import UserError

    names = ("model", "radius", "dilate", "feather", "grain", "device", "fp16")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name, None) is not None}
    if "fp16" in options:
        options["fp16"] = int(options["fp16"])
    plan = getattr(arguments, "plan", None)
    if arguments.mark and not arguments.dynamic_logo:
        raise UserError("--mark belongs to --dynamic-logo; --mask FILE erases what is white in a picture")
    return Marks(
        tuple(kind for kind in FILTERS if getattr(arguments, kind)),
        str(_existing(arguments.mask)) if arguments.mask else "",
        str(_existing(plan)) if plan else "",
        tuple(arguments.region),
        tuple(arguments.ranges),
        options,
        arguments.progressive,
        str(_existing(arguments.mark)) if arguments.mark else "",
        arguments.mark_frame,
    )


def counted(count: int, word: str) -> str:
    """`1 mark`, `2 marks`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def _existing(path: Path) -> Path:
    from vswipe.jobs.probe import need_file

    need_file(path)
    return path.absolute()
