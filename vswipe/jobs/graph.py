"""The filters of a job, put behind its source: which marks are looked for, where, and in which frames.

Needs VapourSynth, so it runs in the worker process only. A `Marks` crosses over from the parent as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .logos import divided, within
from .plan import Plan
from .process import UserError

# The filters behind each kind of mark: the one that erases it, and the one that gives its mask.
FILTERS = {
    "subs": ("AutoSub", "SubMask"),
    "logo": ("AutoLogo", "LogoMask"),
    "dynamic_logo": ("AutoDynamicLogo", "DynamicLogoMask"),
}


@dataclass(frozen=True)
class Marks:
    """What is to be erased.

    Args:
        kinds: keys of FILTERS, in the order of FILTERS.
        mask: path of a mask file, "" for none.
        plan: path of a plan, "" for none.
        regions: left, top, width, height; empty: everywhere.
        ranges: first and last frame, both included; empty: all.
        options: arguments for the filters that erase: model, radius, dilate, feather, grain, device, fp16.
        progressive: frames marked as interlaced are not.
        example: path of a picture that shows what a dynamic logo covers in one frame, "" for none.
        example_frame: that frame.
    """

    kinds: tuple[str, ...] = ()
    mask: str = ""
    plan: str = ""
    regions: tuple[tuple[int, int, int, int], ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    progressive: bool = False
    example: str = ""
    example_frame: int = 0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Marks:
        """From what `dataclasses.asdict` gave, after a way through JSON."""
        regions = tuple((left, top, width, height) for left, top, width, height in values["regions"])
        ranges = tuple((first, last) for first, last in values["ranges"])
        return cls(
            tuple(values["kinds"]),
            values["mask"],
            values["plan"],
            regions,
            ranges,
            dict(values["options"]),
            values["progressive"],
            values["example"],
            values["example_frame"],
        )


def erased(clip: Any, marks: Marks) -> Any:
    """The clip without its marks.

    One kind alone goes to the filter made for it. Several are erased in one pass over the union of their masks: what
    one filter fills in must not come from under another's mark. Logos are first, on their own, and so are those of a
    plan that have a file: where they are translucent, the picture under them is found by calculation.

    Raises:
        UserError: a filter is not there, or refuses its arguments.
    """
    import vapoursynth as vs

    need_filters(marks, masks_only=False)
    where = {"region": [number for region in marks.regions for number in region]} if marks.regions else {}
    core: Any = vs.core
    try:
        result = clip = as_marked(clip, marks)
        plan = _plan(marks)
        if plan and plan.logo_files:
            result = divided(result, plan, marks.regions, **_known(core.wipe.AutoLogo, marks.options))
            plan = plan.without_files()
        kinds = list(marks.kinds)
        if "logo" in kinds:
            kinds.remove("logo")
            earlier, result = result, core.wipe.AutoLogo(result, **where, **_known(core.wipe.AutoLogo, marks.options))
            result = _counted(result, earlier, clip)
        before = result
        if len(kinds) == 1 and not marks.mask and not plan:
            function = getattr(core.wipe, FILTERS[kinds[0]][0])
            options = _shown(kinds[0], result, marks) | _known(function, marks.options)
            result = _counted(function(result, **where, **options), before, clip)
        elif kinds or marks.mask or (plan and plan.events):
            rest = replace(marks, kinds=tuple(kinds))
            function = core.wipe.Inpaint
            result = function(result, _union(result, rest, plan, 0), **where, **_known(function, marks.options))
            result = _counted(result, before, clip)
    except vs.Error as error:
        raise UserError(str(error)) from error
    return _within(clip, result, marks.ranges)


def masked(clip: Any, marks: Marks, dilate: int | None = None) -> Any:
    """What would be erased: GRAY8, 255 = erase, one frame per frame.

    Args:
        clip: the video.
        marks: see `Marks`.
        dilate: 0 where another filter dilates later; None: as the filters do it.

    Raises:
        UserError: a filter is not there, or refuses its arguments.
    """
    import vapoursynth as vs

    need_filters(marks, masks_only=True)
    core: Any = vs.core
    try:
        mask = _union(as_marked(clip, marks), marks, _plan(marks), dilate)
        if mask.num_frames != clip.num_frames:
            mask = core.std.Loop(mask, clip.num_frames)
        blank = core.std.BlankClip(mask, keep=True)
        if marks.regions:
            mask = core.std.Expr([mask, _box_mask(clip, marks.regions)], "x y min")
    except vs.Error as error:
        raise UserError(str(error)) from error
    return _within(blank, mask, marks.ranges)


def need_filters(marks: Marks, *, masks_only: bool) -> None:
    """Refuse marks whose filter is not installed.

    Raises:
        UserError: names the filter.
    """
    import vapoursynth as vs

    core: Any = vs.core
    for namespace in ("wipe", "bs"):
        if not hasattr(core, namespace):
            raise UserError(f"VapourSynth does not see the plugin {namespace}: `vswipe doctor` says why")
    names = [FILTERS[kind][masks_only] for kind in marks.kinds]
    if not masks_only and len(marks.kinds) + bool(marks.mask) + bool(marks.plan) > 1:
        names += [FILTERS[kind][1] for kind in marks.kinds if kind != "logo"]
    for name in names:
        if not hasattr(core.wipe, name):
            raise UserError(f"core.wipe.{name}: this version of vswipe does not have it yet; --mask FILE works")


def available(kinds: Sequence[str] = tuple(FILTERS)) -> list[str]:
    """Those kinds of marks that can be looked for."""
    import vapoursynth as vs

    core: Any = vs.core
    return [kind for kind in kinds if hasattr(core.wipe, FILTERS[kind][1])]


def as_marked(clip: Any, marks: Marks) -> Any:
    """The clip, its frames taken for progressive ones where the user says so."""
    import vapoursynth as vs

    core: Any = vs.core
    return core.std.SetFieldBased(clip, 0) if marks.progressive else clip


def _known(function: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options this filter has; another one of the job may be the one that is meant."""
    names = {argument.split(":")[0] for argument in function.signature.split(";") if argument}
    return {key: value for key, value in options.items() if key in names}


def _plan(marks: Marks) -> Plan | None:
    """The plan, its files found."""
    return Plan.load(Path(marks.plan)).located(Path(marks.plan)) if marks.plan else None


def _shown(kind: str, clip: Any, marks: Marks) -> dict[str, Any]:
    """What a filter is shown of the mark it looks for."""
    if kind != "dynamic_logo" or not marks.example:
        return {}
    return {"mark": mask_file(clip, Path(marks.example), lengths=(1,)), "frame": marks.example_frame}


def _counted(result: Any, before: Any, source: Any) -> Any:
    """`result` with WipeMasked saying what the filter before it erased, where it has erased nothing itself."""
    import vapoursynth as vs

    if before is source:
        return result
    core: Any = vs.core

    def count(n: int, f: Any) -> Any:
        share = max(float(frame.props.get("WipeMasked", 0.0)) for frame in f)
        frame = f[0].copy()
        frame.props["WipeMasked"] = share
        return frame

    return core.std.ModifyFrame(result, [result, before], count)


def _union(clip: Any, marks: Marks, plan: Plan | None, dilate: int | None) -> Any:
    """All masks in one, GRAY8."""
    import vapoursynth as vs

    core: Any = vs.core
    masks = []
    if marks.mask:
        masks.append(mask_file(clip, Path(marks.mask)))
    if plan:
        masks.append(plan_mask(clip, plan))
    where = {"region": [number for region in marks.regions for number in region]} if marks.regions else {}
    for kind in marks.kinds:
        function = getattr(core.wipe, FILTERS[kind][1])
        options = dict(marks.options) if dilate is None else {**marks.options, "dilate": dilate}
        options = _shown(kind, clip, marks) | _known(function, options)
        masks.append(function(clip, **where, **options))
    if len({mask.num_frames for mask in masks}) > 1:
        masks = [mask if mask.num_frames > 1 else core.std.Loop(mask, clip.num_frames) for mask in masks]
    union = masks[0]
    for mask in masks[1:]:
        union = core.std.Expr([union, mask], "x y max")
    return union


def mask_file(clip: Any, path: Path, lengths: Sequence[int] = ()) -> Any:
    """A mask video or picture as GRAY8.

    Args:
        clip: whose size it must have.
        path: of the file.
        lengths: how many frames it may have; empty: one, or as many as the clip.

    Raises:
        UserError: it cannot be read, or does not fit.
    """
    import vapoursynth as vs

    core: Any = vs.core
    try:
        mask = core.bs.VideoSource(str(path), cachemode=0)
    except vs.Error as error:
        raise UserError(f"cannot read the mask {path}: {str(error).removeprefix('VideoSource: ')}") from error
    size, wanted = f"{mask.width}x{mask.height}", f"{clip.width}x{clip.height}"
    if size != wanted:
        raise UserError(f"{path}: the mask must have the size of the video, {wanted}, got {size}")
    if mask.num_frames not in (lengths or (1, clip.num_frames)):
        wanted = "1 frame" if lengths else f"1 frame or {clip.num_frames}, as the video"
        raise UserError(f"{path}: the mask must have {wanted}, got {mask.num_frames}")
    if mask.format.color_family == vs.RGB:
        mask = core.resize.Point(mask, format=vs.GRAY8, matrix_s="709")
    else:
        mask = core.std.ShufflePlanes(mask, 0, vs.GRAY)
        half = 0.5 if mask.format.sample_type == vs.FLOAT else (1 << mask.format.bits_per_sample) // 2 - 1
        mask = core.std.Expr(mask, f"x {half} > 255 0 ?", format=vs.GRAY8)
    return mask


def plan_mask(clip: Any, plan: Plan) -> Any:
    """The mask a plan describes, GRAY8, one frame per frame."""
    import numpy as np
    import vapoursynth as vs

    core: Any = vs.core
    if (plan.width, plan.height) != (clip.width, clip.height):
        raise UserError(
            f"the plan is for a video of {plan.width}x{plan.height}, this one has {clip.width}x{clip.height}"
        )
    blank = core.std.BlankClip(
        format=vs.GRAY8, width=clip.width, height=clip.height, length=clip.num_frames, color=0, keep=True
    )
    drawn = plan.painter()

    def paint(n: int, f: Any) -> Any:
        mask = drawn(n)
        if mask is None:
            return f
        frame = f.copy()
        np.copyto(np.asarray(frame[0]), mask)
        return frame

    return core.std.ModifyFrame(blank, blank, paint)


def _box_mask(clip: Any, regions: Sequence[tuple[int, int, int, int]]) -> Any:
    """255 inside the regions: one frame, held."""
    import vapoursynth as vs

    core: Any = vs.core
    boxes = []
    for left, top, width, height in regions:
        right, bottom = clip.width - left - width, clip.height - top - height
        if min(left, top, right, bottom) < 0 or min(width, height) <= 0:
            raise UserError(
                f"--region must lie inside the {clip.width}x{clip.height} frame, got {left},{top},{width},{height}"
            )
        box = core.std.BlankClip(format=vs.GRAY8, width=width, height=height, length=1, color=255)
        boxes.append(core.std.AddBorders(box, left, right, top, bottom))
    union = boxes[0]
    for box in boxes[1:]:
        union = core.std.Expr([union, box], "x y max")
    return core.std.Loop(union, clip.num_frames)


def _within(outside: Any, inside: Any, ranges: Sequence[tuple[int, int]]) -> Any:
    """`inside` in the ranges of frames, `outside` in the others."""
    if not ranges:
        return inside
    length = inside.num_frames
    for first, last in ranges:
        if not 0 <= first <= last < length:
            raise UserError(f"--range must lie inside 0-{length - 1}, got {first}-{last}")
    return within(outside, inside, ranges)
