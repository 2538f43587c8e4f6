"""Logos of a plan: found once and kept in files beside it, divided out by these files later.

Needs VapourSynth, so it runs in the worker process only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .plan import Box, Event, Plan

UNKNOWN = "too little moves in the video to tell a logo from the scene; none is erased (docs/logo.md has ways out)"


def find_logos(clip: Any, regions: Sequence[Box], folder: Path) -> Iterator[tuple[int, Event | str | None]]:
    """Look for logos that stand still, and write each one's file into `folder`.

    Args:
        clip: the video.
        regions: where they may be; empty: everywhere.
        folder: for `logo1.npz`, `logo1.png`, ...

    Yields:
        Frames done and None as it goes; at the end the logos, with `file` inside the folder; a text for the user when
        nothing can be said.

    Raises:
        vs.Error: a filter refuses the clip.
    """
    import numpy as np
    import vapoursynth as vs

    from vswipe.restore.logofile import LogoFormat, load_logo, save_logo

    from .events import EventFinder

    core: Any = vs.core
    yield 0, None
    every = folder / "every.npz"
    where = {"region": [number for region in regions for number in region]} if regions else {}
    # The analysis comes with the first frame, whatever is rendered: as little as can be.
    with core.wipe.AutoLogo(clip, save=str(every), radius=0, model="copy", **where).get_frame(0) as frame:
        status = frame.props["WipeLogo"]
    if status == "unknown":
        yield 0, UNKNOWN
    if status != "found":
        return
    family = {vs.GRAY: "GRAY", vs.YUV: "YUV", vs.RGB: "RGB"}[clip.format.color_family]
    form = LogoFormat(clip.width, clip.height, family, clip.format.subsampling_w, clip.format.subsampling_h)
    marks = load_logo(every, form)
    names = [f"logo{k}.npz" for k in range(1, len(marks) + 1)]
    finders = [EventFinder("logo", clip.height, whole=True) for _ in marks]
    for name, mark in zip(names, marks, strict=True):
        save_logo(folder / name, form, [mark])
    masks = [core.wipe.LogoMask(clip, logo=str(folder / name), dilate=0) for name in names]
    for n, frames in enumerate(zip(*(mask.frames(close=True) for mask in masks), strict=True)):
        for finder, frame in zip(finders, frames, strict=True):
            finder.add(n, np.asarray(frame[0]).copy())
        yield n + 1, None
    for name, mark, finder in zip(names, marks, finders, strict=True):
        opacity = mark.planes[0].alpha
        alpha = round(float(np.median(opacity[opacity > 0.5 * opacity.max()])), 3)
        for event in finder.finish():
            yield clip.num_frames, dataclasses.replace(event, alpha=alpha, file=name)


def divided(clip: Any, plan: Plan, regions: Sequence[Box], **options: Any) -> Any:
    """The clip without those logos of a plan that have a file: each in its frames, and inside its place.

    Args:
        clip: the video.
        plan: with absolute paths, see `Plan.located`.
        regions: nothing outside is changed; empty: everywhere.
        options: for AutoLogo.

    Raises:
        vs.Error: a file does not fit the clip.
    """
    import vapoursynth as vs

    core: Any = vs.core
    with_file = [event for event in plan.events if event.file]
    for path in dict.fromkeys(event.file for event in with_file):
        source = clip
        cleaned = core.wipe.AutoLogo(source, logo=path, **options)
        for event in with_file:
            if event.file == path and event.first < clip.num_frames:
                stretch = [(event.first, min(event.last, clip.num_frames - 1))]
                clip = within(clip, _inside(source, cleaned, event, regions), stretch)
    return clip


def within(outside: Any, inside: Any, ranges: Sequence[tuple[int, int]]) -> Any:
    """`inside` in the ranges of frames, both ends included, `outside` in the others."""
    parts, n = [], 0
    for first, last in sorted(ranges):
        first = max(first, n)
        if first > last:
            continue
        if first > n:
            parts.append(outside[n:first])
        parts.append(inside[first : last + 1])
        n = last + 1
    if n < inside.num_frames:
        parts.append(outside[n:])
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def _inside(source: Any, cleaned: Any, event: Event, regions: Sequence[Box]) -> Any:
    """`cleaned` inside the logo's place and the regions, `source` elsewhere."""
    import vapoursynth as vs

    core: Any = vs.core
    left, top, width, height = event.box
    cut = any(
        part.box[0] < left or part.box[1] < top
        or part.box[0] + part.box[2] > left + width or part.box[1] + part.box[3] > top + height
        for part in event.parts
    )  # fmt: skip
    if not regions and not cut:
        return cleaned
    boxes = [event.box] if cut else list(regions)
    if cut and regions:
        boxes = [box for region in regions if (box := _common(event.box, region))]
    if not boxes:
        return source
    form = source.format
    full = 1.0 if form.sample_type == vs.FLOAT else (1 << form.bits_per_sample) - 1
    masks = []
    for box in boxes:
        # on whole chroma samples, outwards
        sides = [
            (start // step * step, -(-(start + length) // step) * step)
            for start, length, step in (
                (box[0], box[2], 1 << form.subsampling_w),
                (box[1], box[3], 1 << form.subsampling_h),
            )
        ]
        (x0, x1), (y0, y1) = sides
        blank = core.std.BlankClip(
            format=form.id, width=x1 - x0, height=y1 - y0, length=1, color=[full] * form.num_planes
        )
        borders = (x0, source.width - x1, y0, source.height - y1)
        masks.append(core.std.AddBorders(blank, *borders, color=[0] * form.num_planes))
    mask = masks[0]
    for other in masks[1:]:
        mask = core.std.Expr([mask, other], "x y max")
    merged = core.std.MaskedMerge(source, cleaned, core.std.Loop(mask, source.num_frames))
    return core.std.CopyFrameProps(merged, cleaned)


def _common(a: Box, b: Box) -> Box | None:
    left, top = max(a[0], b[0]), max(a[1], b[1])
    width, height = min(a[0] + a[2], b[0] + b[2]) - left, min(a[1] + a[3], b[1] + b[3]) - top
    return (left, top, width, height) if width > 0 and height > 0 else None
