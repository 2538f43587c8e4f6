"""Quality of erasing methods over the validation clips.

    python scripts/evaluate.py --methods nothing,telea,delogo,copy --out scripts/results/copy.json --sheets demo/sheets
    python scripts/evaluate.py --clips 6 --kinds sub,dyn --set radius=20
    python scripts/evaluate.py --compare scripts/results/old.json scripts/results/new.json

Clips are those of `vswipe.training.clips`: $VSWIPE_DATA/clips, else ../shared/data/clips. Marks are drawn from a seed
made of the clip's and the kind's name, so that two runs see the same pictures. Tables go to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe.training import results, sheets
from vswipe.training.clips import ClipFile, find_clips, is_validation, validation_clips
from vswipe.training.evaluation import CaseResult, Task, evaluate
from vswipe.training.overlays import KINDS

NUM_WORST = 8


def main() -> int:
    """Parse, run, print; returns the exit status."""
    args = parse()
    if args.compare:
        print(results.compare(*args.compare))
        return 0
    log = Console(stderr=True)
    clips = choose_clips(args.clips, args.min_frames or args.frames)
    if not clips:
        log.print("evaluate: no clips found; set VSWIPE_DATA to the folder that holds clips/")
        return 1
    for clip in clips:
        if not is_validation(clip.name):
            log.print(f"evaluate: {clip.name} is a training clip")
    tasks = [Task(clip, kind, args.frames, args.methods, args.codec, args.set, args.sheets)
             for kind in args.kinds for clip in clips]  # fmt: skip
    done: dict[tuple[str, str], CaseResult] = {}
    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
                  console=log) as bar:  # fmt: skip
        step = bar.add_task("cases", total=len(tasks))
        for task, result in run(tasks, args.workers):
            done[task.clip.name, task.kind] = result
            bar.update(step, advance=1, description=f"{task.kind} {task.clip.name}")
    rows = [row for task in tasks for row in done[task.clip.name, task.kind].rows]
    print(results.summary_table(rows))
    print()
    print(results.clip_table(rows))
    if args.out:
        settings = {**vars(args), "set": dict(args.set), "clips": [clip.name for clip in clips]}
        del settings["out"], settings["sheets"], settings["compare"], settings["workers"]
        results.save(Path(args.out), settings, rows)
    if args.sheets:
        write_worst(Path(args.sheets), rows, done)
    return 0


def parse() -> argparse.Namespace:
    """Command line."""

    def names(text: str) -> tuple[str, ...]:
        return tuple(part for part in text.split(",") if part)

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", type=names, default=("sub", "subnogap", "logo", "dyn"),
                        help=f"of {', '.join(KINDS)}")  # fmt: skip
    parser.add_argument("--clips", default="all", help='"all", a number (evenly chosen), or names with commas')
    parser.add_argument("--frames", type=int, default=60, help="frames per clip")
    parser.add_argument("--min-frames", type=int, help="take clips of at least so many frames (default: --frames)")
    parser.add_argument("--methods", type=names, default=("nothing", "telea", "delogo", "copy"),
                        help="nothing, telea, delogo, or models of the engine")  # fmt: skip
    parser.add_argument("--set", type=assignment, action="append", default=[], metavar="NAME=VALUE",
                        help="change an engine setting, e.g. radius=20")  # fmt: skip
    parser.add_argument("--codec", default="none", help='"none", or e.g. h264:20, hevc:24: code the composite first')
    parser.add_argument("--out", help="write rows and means to this JSON file")
    parser.add_argument("--sheets", metavar="DIR", help="write a contact sheet per case, and one of the worst cases")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--compare", nargs=2, metavar=("A.json[:method]", "B.json[:method]"), help="print B minus A")
    args = parser.parse_args()
    unknown = [kind for kind in args.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"kinds must be of {', '.join(KINDS)}, got {', '.join(unknown)}")
    args.set = tuple(args.set)
    return args


def assignment(text: str) -> tuple[str, Any]:
    """("radius", 20) from "radius=20"; a value that is no Python literal stays text."""
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, {"true": True, "false": False}.get(value.lower(), value)


def choose_clips(wanted: str, min_frames: int) -> list[ClipFile]:
    """Clips by the --clips option."""
    if wanted != "all" and not wanted.isdigit():
        known = {clip.name: clip for clip in find_clips()}
        missing = [name for name in wanted.split(",") if name not in known]
        if missing:
            raise SystemExit(f"evaluate: no clip {', '.join(missing)}")
        return [known[name] for name in wanted.split(",")]
    clips = validation_clips(min_frames)
    if wanted == "all" or int(wanted) >= len(clips):
        return clips
    return [clips[int(i)] for i in np.arange(int(wanted)) * len(clips) / int(wanted)]


def run(tasks: list[Task], workers: int) -> Iterator[tuple[Task, CaseResult]]:
    """Results as they come."""
    if workers <= 1:
        for task in tasks:
            yield task, evaluate(task)
        return
    # spawn: OpenCV and torch threads do not survive a fork.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        jobs = {pool.submit(evaluate, task): task for task in tasks}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def write_worst(folder: Path, rows: list[dict[str, Any]], done: dict[tuple[str, str], CaseResult]) -> None:
    """One sheet of the cases where the last method gains least over Telea: the worst moment of each."""
    base = {(r["clip"], r["kind"]): r["psnr"] for r in rows if r["method"] == results.BASELINE}
    last = rows[-1]["method"] if rows else ""
    keys = {(r["clip"], r["kind"]): r["psnr"] for r in rows if r["method"] == last}
    gains = {key: value - base.get(key, 0.0) for key, value in keys.items()}
    worst = [done[key].strip for key in sorted(gains, key=gains.__getitem__)[:NUM_WORST]]
    images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in worst if data]
    if images:
        sheets.save(folder / "worst.png", sheets.join(images, axis=0))


if __name__ == "__main__":
    raise SystemExit(main())
