"""Argument checks with one phrasing: filter, argument, rule, what came."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import vapoursynth as vs

from vswipe.engine.settings import COPY, WIPE, Region, best_model
from vswipe.filters._host import FAMILIES, Picture

NETWORKS = (WIPE, "opn", "rnot", "rnnet", "sttn")  # fill holes
MASK_FREE = "autosttn"  # sees text itself: for filters that find it
IN_PASSES = ("opn",)  # may fill a hole in several

SUBSAMPLINGS = ((0, 0), (1, 0), (1, 1))


def need(condition: bool, rule: str, got: object) -> None:
    """Raise `vs.Error` "rule, got ..." unless the condition holds."""
    if not condition:
        raise vs.Error(f"{rule}, got {got}")


def need_constant(name: str, argument: str, clip: Picture) -> None:
    """The clip must not change format or size midway: to be checked before anything else about it."""
    need(
        clip.family != 0 and clip.width != 0,
        f"{name}: {argument} must have one format and size throughout",
        "a clip that changes midway",
    )


def need_picture(name: str, clip: Picture) -> str:
    """The family of a clip the engine can work on: GRAY, RGB or YUV."""
    need_constant(name, "clip", clip)
    need_depth(name, "clip", clip)
    need(
        (clip.sub_w, clip.sub_h) in SUBSAMPLINGS,
        f"{name}: clip must be GRAY, RGB, or YUV with 4:2:0, 4:2:2 or 4:4:4 subsampling",
        clip.name,
    )
    return FAMILIES[clip.family]


def need_depth(name: str, argument: str, clip: Picture) -> None:
    """Samples must be 8 to 16 bit integers, or half or single floats."""
    need(
        clip.bits in (16, 32) if clip.floating else 8 <= clip.bits <= 16,
        f"{name}: {argument} must have 8 to 16 bit integer, or 16 or 32 bit float samples",
        clip.name,
    )


def need_mask(name: str, mask: Picture, clip: Picture, argument: str = "mask") -> None:
    """A mask must be GRAY, of the clip's size, with one frame or as many as the clip."""
    need_constant(name, argument, mask)
    need(FAMILIES[mask.family] == "GRAY", f"{name}: {argument} must be GRAY", mask.name)
    need_depth(name, argument, mask)
    need(
        (mask.width, mask.height) == (clip.width, clip.height),
        f"{name}: {argument} must have the clip's size {clip.width}x{clip.height}",
        f"{mask.width}x{mask.height}",
    )
    lengths = "1 frame" if clip.num_frames == 1 else f"1 frame or the clip's {clip.num_frames}"
    need(mask.num_frames in (1, clip.num_frames), f"{name}: {argument} must have {lengths}", mask.num_frames)


def read_regions(name: str, numbers: Sequence[int], clip: Picture) -> tuple[Region, ...]:
    """Rectangles (left, top, width, height) inside the frame."""
    need(len(numbers) % 4 == 0, f"{name}: region must be left, top, width, height (several allowed)", list(numbers))
    regions = tuple((numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]) for i in range(0, len(numbers), 4))
    for left, top, width, height in regions:
        inside = left >= 0 and top >= 0 and left + width <= clip.width and top + height <= clip.height
        need(
            inside and width > 0 and height > 0,
            f"{name}: region must lie inside the {clip.width}x{clip.height} frame",
            [left, top, width, height],
        )
    return regions


def need_at_least(name: str, argument: str, value: int, least: int) -> None:
    """An integer must not be below `least`."""
    need(value >= least, f"{name}: {argument} must be at least {least}", value)


def need_share(name: str, argument: str, value: float) -> None:
    """A number must lie between 0 and 1."""
    need(math.isfinite(value) and 0.0 <= value <= 1.0, f"{name}: {argument} must be from 0 to 1", f"{value:g}")


def need_flag(name: str, argument: str, value: int) -> None:
    """An integer must be 0 or 1."""
    need(value in (0, 1), f"{name}: {argument} must be 0 or 1", value)


def resolve_model(name: str, model: str, networks: Sequence[str] = NETWORKS) -> str:
    """The model behind a name; "auto" is the best one whose weights are installed."""
    need(model in ("auto", COPY, *networks), f"{name}: model must be auto, {COPY} or {', '.join(networks)}", model)
    return best_model() if model == "auto" else model


def resolve_device(name: str, device: str) -> str:
    """The PyTorch device behind a name; "auto" is the fastest kind this machine has."""
    if device == "cpu":
        return device
    kind = re.fullmatch(r"auto|mps|(cuda|xpu)(:\d+)?", device)
    need(kind is not None, f"{name}: device must be auto, cpu, cuda, cuda:1, mps or xpu", device)
    import torch

    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "xpu": torch.xpu.device_count() if torch.xpu.is_available() else 0,
    }
    if device == "auto":
        return next((kind for kind, count in counts.items() if count), "cpu")
    kind_name, _, index = device.partition(":")
    found = [f"{kind}:{i}" for kind, count in counts.items() for i in range(count)]
    need(int(index or 0) < counts[kind_name], f"{name}: device must be present ({', '.join(['cpu', *found])})", device)
    return device
