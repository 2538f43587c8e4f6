"""Erases subtitles, logos, watermarks and masked objects from VapourSynth clips.

Every filter is a function of this module and, with the same arguments, of `core.wipe`, which needs no import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import vapoursynth as vs

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "auto_dynamic_logo",
    "auto_logo",
    "auto_sub",
    "deblend",
    "dynamic_logo_mask",
    "inpaint",
    "logo_mask",
    "sub_mask",
]


def inpaint(
    clip: vs.VideoNode,
    mask: vs.VideoNode,
    *,
    model: str | None = None,
    weights: str | None = None,
    region: Sequence[int] | None = None,
    radius: int | None = None,
    dilate: int | None = None,
    feather: int | None = None,
    grain: float | None = None,
    device: str | None = None,
    fp16: bool | None = None,
    shots: int | None = None,
) -> vs.VideoNode:
    """The clip with masked pixels filled; every other sample stays bit-identical.

    Args:
        clip: GRAY, RGB, or YUV 4:2:0, 4:2:2, 4:4:4; 8 to 16 bit integer, half or single float; progressive.
        mask: GRAY, of the clip's size; one frame for the whole clip, or one per frame. Above half of full range: erase.
        model: "auto" (the best that is installed) or a name; "copy" works without a network.
        weights: file with weights for the model, instead of the installed ones.
        region: left, top, width, height in pixels; the mask counts only inside. Several in a row are allowed.
        radius: frames on each side that may give pixels.
        dilate: pixels the mask is grown by.
        feather: pixels over which the result fades into the source.
        grain: 0 to 1, share of the surrounding grain that is put back on filled pixels.
        device: "auto", "cpu", "cuda", "cuda:1", "mps" or "xpu".
        fp16: half precision where the device gains from it.
        shots: passes of a model that works in several.

    Arguments left out, or None, take the default of `vswipe.engine.settings.Settings`.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry `WipeMasked` (share of pixels erased), `WipeCopied` (share of those that came from other frames) and
    `WipeModel`.
    """
    return _call("Inpaint", clip=clip, mask=mask, model=model, weights=weights, region=region, radius=radius,
                 dilate=dilate, feather=feather, grain=grain, device=device, fp16=fp16, shots=shots)  # fmt: skip


def auto_sub(
    clip: vs.VideoNode,
    *,
    region: Sequence[int] | None = None,
    threshold: float | None = None,
    min_frames: int | None = None,
    classes: str | Sequence[str] | None = None,
    detector: str | None = None,
    model: str | None = None,
    weights: str | None = None,
    radius: int | None = None,
    dilate: int | None = None,
    feather: int | None = None,
    grain: float | None = None,
    device: str | None = None,
    fp16: bool | None = None,
    shots: int | None = None,
) -> vs.VideoNode:
    """The clip without its burnt-in subtitles, which are found by themselves; every other sample stays bit-identical.

    Args:
        clip: GRAY, RGB, or YUV 4:2:0, 4:2:2, 4:4:4; 8 to 16 bit integer, half or single float; progressive.
        region: left, top, width, height in pixels; nothing outside is touched, and lines with their middle outside are
            left alone. Several in a row are allowed.
        threshold: 0 to 1; higher asks for more certainty. 0.5 is neutral.
        min_frames: shortest line, frames.
        classes: "dialogue" (lines at the bottom, at the top, in columns at the sides; the default) and "sign" (other
            text that stands still).
        detector: file with weights of the detector, instead of the installed ones.
        model, weights, radius, dilate, feather, grain, device, fp16, shots: as of `inpaint`.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry the properties that `inpaint` gives.
    """
    return _call("AutoSub", clip=clip, region=region, threshold=threshold, min_frames=min_frames, classes=classes,
                 detector=detector, model=model, weights=weights, radius=radius, dilate=dilate, feather=feather,
                 grain=grain, device=device, fp16=fp16, shots=shots)  # fmt: skip


def auto_dynamic_logo(
    clip: vs.VideoNode,
    *,
    mark: vs.VideoNode | None = None,
    frame: int | None = None,
    region: Sequence[int] | None = None,
    threshold: float | None = None,
    model: str | None = None,
    weights: str | None = None,
    radius: int | None = None,
    dilate: int | None = None,
    feather: int | None = None,
    grain: float | None = None,
    device: str | None = None,
    fp16: bool | None = None,
    shots: int | None = None,
) -> vs.VideoNode:
    """The clip without a mark that blinks, alternates between places or travels; all other samples stay bit-identical.

    Args:
        clip: GRAY, RGB, or YUV 4:2:0, 4:2:2, 4:4:4; 8 to 16 bit integer, half or single float; progressive.
        mark: GRAY, of the clip's size: a mask of the mark as it stands in one frame, above half = mark; one frame, or a
            clip of the same length. Without it, marks are looked for by themselves.
        frame: the frame of the clip that `mark` belongs to, default 0.
        region: left, top, width, height in pixels; nothing outside is touched. Several in a row are allowed.
        threshold: 0 to 1; higher asks for more certainty. 0.5 is neutral.
        model, weights, radius, dilate, feather, grain, device, fp16, shots: as of `inpaint`.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry the properties that `inpaint` gives.
    """
    return _call("AutoDynamicLogo", clip=clip, mark=mark, frame=frame, region=region, threshold=threshold, model=model,
                 weights=weights, radius=radius, dilate=dilate, feather=feather, grain=grain, device=device, fp16=fp16,
                 shots=shots)  # fmt: skip


def dynamic_logo_mask(
    clip: vs.VideoNode,
    *,
    mark: vs.VideoNode | None = None,
    frame: int | None = None,
    region: Sequence[int] | None = None,
    threshold: float | None = None,
    dilate: int | None = None,
) -> vs.VideoNode:
    """The mask that `auto_dynamic_logo` would erase, GRAY8, 255 = erase; to be looked at or changed for `inpaint`.

    Args:
        clip, mark, frame, region, threshold: as of `auto_dynamic_logo`.
        dilate: growth of the mask in pixels, default 1. `inpaint(clip, dynamic_logo_mask(clip, dilate=0))` is
            `auto_dynamic_logo(clip)`.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry `WipeMasked`, and the other properties of the clip's frames.
    """
    return _call("DynamicLogoMask", clip=clip, mark=mark, frame=frame, region=region, threshold=threshold,
                 dilate=dilate)  # fmt: skip


def sub_mask(
    clip: vs.VideoNode,
    *,
    region: Sequence[int] | None = None,
    threshold: float | None = None,
    min_frames: int | None = None,
    classes: str | Sequence[str] | None = None,
    detector: str | None = None,
    dilate: int | None = None,
    device: str | None = None,
    fp16: bool | None = None,
) -> vs.VideoNode:
    """The mask that `auto_sub` would erase, GRAY8, 255 = erase; to be looked at, changed, or given to `inpaint`.

    Args:
        clip, region, threshold, min_frames, classes, detector, device, fp16: as of `auto_sub`.
        dilate: growth of the mask in pixels, default 1. `inpaint(clip, sub_mask(clip, dilate=0))` is `auto_sub(clip)`.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry `WipeMasked`, and the other properties of the clip's frames.
    """
    return _call("SubMask", clip=clip, region=region, threshold=threshold, min_frames=min_frames, classes=classes,
                 detector=detector, dilate=dilate, device=device, fp16=fp16)  # fmt: skip


def auto_logo(
    clip: vs.VideoNode,
    *,
    region: Sequence[int] | None = None,
    samples: int | None = None,
    logo: str | None = None,
    save: str | None = None,
    model: str | None = None,
    weights: str | None = None,
    radius: int | None = None,
    dilate: int | None = None,
    feather: int | None = None,
    grain: float | None = None,
    device: str | None = None,
    fp16: bool | None = None,
    shots: int | None = None,
) -> vs.VideoNode:
    """The clip without marks that stand still, which are found by themselves; every other sample stays bit-identical.

    Translucent marks are divided out, opaque ones filled as `inpaint` does.

    Args:
        clip: GRAY, RGB, or YUV 4:2:0, 4:2:2, 4:4:4; 8 to 16 bit integer, half or single float; progressive.
        region: left, top, width, height in pixels; only marks inside. Several in a row are allowed.
        samples: frames looked at, spread over the clip; default 96, at least 8.
        logo: file with the marks (.npz of an earlier `save`, or .lgd), which are then not looked for.
        save: .npz file to keep the marks in, for other clips with the same ones; a picture of them is put beside it.
        model, weights, radius, dilate, feather, grain, device, fp16, shots: as of `inpaint`, for what is opaque.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry the properties that `inpaint` gives, and `WipeLogo`: "found", "none", or "unknown" where too little
    moved to tell a mark from the scene, and nothing is changed.
    """
    return _call("AutoLogo", clip=clip, region=region, samples=samples, logo=logo, save=save, model=model,
                 weights=weights, radius=radius, dilate=dilate, feather=feather, grain=grain, device=device, fp16=fp16,
                 shots=shots)  # fmt: skip


def logo_mask(
    clip: vs.VideoNode,
    *,
    region: Sequence[int] | None = None,
    samples: int | None = None,
    logo: str | None = None,
    dilate: int | None = None,
) -> vs.VideoNode:
    """The mask of what `auto_logo` would erase, GRAY8, 255 = erase; to be looked at, changed, or given to `inpaint`.

    Args:
        clip, region, samples, logo: as of `auto_logo`.
        dilate: growth of the mask in pixels, default 1.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry `WipeMasked`, `WipeLogo`, and the other properties of the clip's frames.
    """
    return _call("LogoMask", clip=clip, region=region, samples=samples, logo=logo, dilate=dilate)


def deblend(
    clip: vs.VideoNode,
    logo: str | None = None,
    *,
    mask: vs.VideoNode | None = None,
    region: Sequence[int] | None = None,
    samples: int | None = None,
    save: str | None = None,
    model: str | None = None,
    weights: str | None = None,
    radius: int | None = None,
    dilate: int | None = None,
    feather: int | None = None,
    grain: float | None = None,
    device: str | None = None,
    fp16: bool | None = None,
    shots: int | None = None,
) -> vs.VideoNode:
    """The clip with a known translucent mark divided out; every other sample stays bit-identical.

    Args:
        clip: as of `auto_logo`.
        logo: file with the mark (.npz of an earlier `save`, or .lgd).
        mask: without a file: where the mark is, GRAY, of the clip's size, its first frame; above half of full range.
            Its opacity and colour are estimated. Without either the mark is found as `auto_logo` does.
        region, samples, save, model, weights, radius, dilate, feather, grain, device, fp16, shots: as of `auto_logo`.

    Raises:
        vapoursynth.Error: an argument breaks its rule; the message names it.

    Frames carry the properties that `auto_logo` gives.
    """
    return _call("Deblend", clip=clip, logo=logo, mask=mask, region=region, samples=samples, save=save, model=model,
                 weights=weights, radius=radius, dilate=dilate, feather=feather, grain=grain, device=device, fp16=fp16,
                 shots=shots)  # fmt: skip


def _call(name: str, **arguments: Any) -> Any:
    # Imported here: VapourSynth is not needed for `vswipe.__version__`, and the plugin itself imports this package.
    import vapoursynth

    # `wipe` is known to type checkers only where `python -m vswipe.stubs` was run.
    wipe: Any = getattr(vapoursynth.core, "wipe")  # noqa: B009
    return getattr(wipe, name)(**{key: value for key, value in arguments.items() if value is not None})
