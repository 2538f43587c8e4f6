"""`vswipe analyse`: the marks of a video as a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .child import run_child
from .erase import look
from .graph import FILTERS, Marks, available
from .plan import Event, Part, Plan
from .probe import need_whole, probe
from .process import UserError
from .report import Report
from .source import index_folder

# What the marks of each filter are called in a plan.
NAMES = {"subs": "subtitle", "logo": "logo", "dynamic_logo": "dynamic_logo"}


def analyse(source: Path, marks: Marks, report: Report, *, salvage: bool = False) -> Plan:
    """Look for marks.

    Args:
        source: the video.
        marks: what to look for; without kinds, mask and plan: all that this version can find.

    Raises:
        UserError: anything the user can put right.
    """
    media = probe(source)
    if not salvage:
        report.phase("checking the file")
        need_whole(media)
    facts = look(media, index_folder(), report, marks, masks_only=True)
    events: list[Event] = []
    request = {
        "path": str(media.path), "track": media.video, "index": str(index_folder()), "marks": dataclasses.asdict(marks),
    }  # fmt: skip
    for event in run_child("analyse", request):
        if event["event"] == "looking":
            report.phase(f"looking for {event['what']}", facts.num_frames)
        elif event["event"] == "frames":
            report.advance(event["count"])
        elif event["event"] == "mark":
            events.append(_event(event["mark"]))
            report.event("mark", **{key: value for key, value in event["mark"].items() if key != "parts"})
    events.sort(key=lambda event: (event.first, event.last, event.box))
    return Plan(str(source.absolute()), facts.width, facts.height, facts.num_frames, facts.rate, tuple(events))


def _event(values: dict[str, Any]) -> Event:
    parts = tuple(Part(p["first"], p["last"], _four(p["box"]), p["png"]) for p in values.pop("parts"))
    return Event(**{**values, "box": _four(values["box"]), "parts": parts})


def _four(values: list[int]) -> tuple[int, int, int, int]:
    left, top, width, height = values
    return left, top, width, height


def find_marks(clip: Any, marks: Marks) -> Iterator[tuple[str, int, Event | None]]:
    """In the worker: (what is looked for, frames done, None) as it goes, and (.., .., mark) at the end of each kind.

    Raises:
        UserError: there is nothing that can be looked for.
    """
    import numpy as np

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
        finder = EventFinder(name, clip.height)
        mask = masked(clip, only, dilate=0)
        for n, frame in enumerate(mask.frames(close=True)):
            finder.add(n, np.asarray(frame[0]).copy())
            yield name, n + 1, None
        for event in finder.finish():
            yield name, clip.num_frames, event


assert set(NAMES) == set(FILTERS)
