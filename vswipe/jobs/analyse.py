"""`vswipe analyse`: the marks of a video as a plan."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .child import run_child
from .erase import look
from .graph import FILTERS, Marks, as_marked, available
from .logos import find_logos
from .plan import Event, Part, Plan
from .probe import need_whole, probe
from .process import UserError, whole
from .report import Report
from .source import index_folder

# What the marks of each filter are called in a plan.
NAMES = {"subs": "subtitle", "logo": "logo", "dynamic_logo": "dynamic_logo"}


def analyse(source: Path, marks: Marks, report: Report, target: Path, *, salvage: bool = False) -> Plan:
    """Look for marks; the files of logos are written beside `target`, see `logo_file`.

    Args:
        source: the video.
        marks: what to look for; without kinds, mask and plan: all that this version can find.
        report: where news go.
        target: where the plan will stand; it is not written.
        salvage: take a file that was cut off as it is.

    Raises:
        UserError: anything the user can put right.
    """
    media = probe(source)
    if not salvage:
        report.phase("checking the file")
        need_whole(media)
    facts = look(media, index_folder(), report, marks, masks_only=True)
    events: list[Event] = []
    with tempfile.TemporaryDirectory(prefix="vswipe-") as folder:
        request = {
            "path": str(media.path), "track": media.video, "index": str(index_folder()),
            "marks": dataclasses.asdict(marks), "folder": folder,
        }  # fmt: skip
        for event in run_child("analyse", request):
            if event["event"] == "looking":
                report.phase(f"looking for {event['what']}", facts.num_frames)
            elif event["event"] == "frames":
                report.advance(event["count"])
            elif event["event"] == "note":
                report.note(event["text"])
            elif event["event"] == "mark":
                events.append(_keep_file(_event(event["mark"]), Path(folder), target))
                mark = event["mark"] | {"file": events[-1].file}
                report.event("mark", **{key: value for key, value in mark.items() if key != "parts"})
    events.sort(key=lambda event: (event.first, event.last, event.box))
    return Plan(str(source.absolute()), facts.width, facts.height, facts.num_frames, facts.rate, tuple(events))


def logo_file(target: Path, name: str) -> Path:
    """Where a logo's file stands: `film.plan.json` has `film.plan.logo1.npz`, and a picture of it as .png."""
    return target.with_name(f"{target.stem}.{name}")


def logo_files(target: Path) -> list[Path]:
    """The files of logos that stand there for a plan of that name."""
    start = logo_file(target, "logo").name
    folder = target.absolute().parent
    return sorted(p for p in folder.iterdir() if p.name.startswith(start) and p.suffix in (".npz", ".png"))


def _keep_file(event: Event, folder: Path, target: Path) -> Event:
    """Put a logo's file beside the plan, under the plan's name; stretches of one logo share it."""
    if not event.file:
        return event
    kept = logo_file(target, event.file)
    made = folder / event.file
    if made.exists():
        for ending in (".png", ".npz"):
            with whole(kept.with_suffix(ending)) as part:
                shutil.copyfile(made.with_suffix(ending), part)
        made.unlink()
    return dataclasses.replace(event, file=kept.name)


def _event(values: dict[str, Any]) -> Event:
    parts = tuple(Part(p["first"], p["last"], _four(p["box"]), p["png"]) for p in values.pop("parts"))
    return Event(**{**values, "box": _four(values["box"]), "parts": parts})


def _four(values: list[int]) -> tuple[int, int, int, int]:
    left, top, width, height = values
    return left, top, width, height


def find_marks(clip: Any, marks: Marks, folder: Path) -> Iterator[tuple[str, int, Event | str | None]]:
    """In the worker: (what is looked for, frames done, None) as it goes, and (.., .., mark) at the end of each kind.

    A text instead of a mark is for the user. Files of logos are written into `folder`.

    Raises:
        UserError: there is nothing that can be looked for.
    """
    import numpy as np
    import vapoursynth as vs

    from .events import EventFinder
    from .graph import masked

    kinds = list(marks.kinds)
    if not kinds and not marks.mask and not marks.plan:
        kinds = available()
        if not kinds:
            raise UserError("this version of vswipe finds no marks by itself yet; give --mask FILE")
    looks = [(NAMES[kind], dataclasses.replace(marks, kinds=(kind,), mask="", plan="")) for kind in kinds]
    if marks.mask:
        looks.append(("mask", dataclasses.replace(marks, kinds=(), plan="")))
    for name, only in looks:
        if name == "logo":
            try:
                for n, event in find_logos(as_marked(clip, marks), marks.regions, folder):
                    yield from ((name, n, part) for part in _in_ranges(event, marks.ranges))
            except vs.Error as error:
                raise UserError(str(error)) from error
            continue
        yield name, 0, None
        finder = EventFinder(name, clip.height)
        mask = masked(clip, only, dilate=0)
        for n, frame in enumerate(mask.frames(close=True)):
            finder.add(n, np.asarray(frame[0]).copy())
            yield name, n + 1, None
        for event in finder.finish():
            yield name, clip.num_frames, event


def _in_ranges(event: Event | str | None, ranges: Sequence[tuple[int, int]]) -> list[Event | str | None]:
    """The stretches of a mark inside the wanted frames."""
    if not isinstance(event, Event) or not ranges:
        return [event]
    stretches = [(max(event.first, first), min(event.last, last)) for first, last in ranges]
    return [dataclasses.replace(event, first=first, last=last) for first, last in stretches if first <= last]


assert set(NAMES) == set(FILTERS)
