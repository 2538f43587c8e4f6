"""`vswipe doctor`: is everything there, and does it work?"""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .child import run_child
from .process import UserError, find_ffmpeg

Check = tuple[str, bool, str]

PACKAGES = ("vapoursynth", "vapoursynth-bestsource", "torch", "numpy", "opencv-python-headless", "av")
ENCODERS = ("libx264", "libx265", "ffv1")
WIDTH, HEIGHT, FRAMES = 96, 64, 12


def examine() -> Iterator[Check]:
    """One finding after the other: name, whether all is well, what was found."""
    import vswipe

    yield "vswipe", True, f"{vswipe.__version__}, Python {platform.python_version()}, {platform.platform()}"
    for name in PACKAGES:
        try:
            yield name, True, version(name)
        except PackageNotFoundError:
            yield name, name.startswith("opencv"), "not installed under this name"
    yield _ffmpeg()
    yield _vspipe()
    try:
        for event in run_child("selftest", {}):
            yield event["name"], event["fine"], event["text"]
    except UserError as error:
        yield "self test", False, str(error)


def _ffmpeg() -> Check:
    try:
        found = find_ffmpeg()
    except UserError as error:
        return "ffmpeg", False, str(error)
    listing = subprocess.run([found, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False).stdout
    banner = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    missing = [name for name in ENCODERS if f" {name} " not in listing]
    text = f"{found}, {' '.join(banner.split()[:3])}"
    return "ffmpeg", not missing, text + (f", without {' and '.join(missing)}" if missing else "")


def _vspipe() -> Check:
    """The command line does not need it; scripts do."""
    from vswipe._vsenv import ensure_vspipe

    try:
        return "vspipe", True, str(ensure_vspipe())
    except RuntimeError as error:
        return "vspipe", False, str(error)


def look_inside() -> Iterator[Check]:
    """In the worker: the plugins, the devices, and a clip of 12 frames from which something is erased."""
    import vapoursynth as vs

    for namespace, what in (("bs", "BestSource"), ("wipe", "vswipe's plugin")):
        if hasattr(vs.core, namespace):
            names = ", ".join(sorted(function.name for function in getattr(vs.core, namespace).functions()))
            yield what, True, f"core.{namespace}: {names}"
        else:
            yield what, False, _why_not(namespace)
    yield _devices()
    if hasattr(vs.core, "wipe"):
        yield _erase()


def _why_not(namespace: str) -> str:
    """VapourSynth is silent on plugins that do not load: load it once more, by hand."""
    import vapoursynth as vs

    core: Any = vs.core
    folder = Path(vs.__file__).parent / "plugins"
    part = {"wipe": "libwipe", "bs": "bestsource"}[namespace]
    files = [
        path for path in folder.rglob("*") if part in path.name.lower() and path.suffix in (".so", ".dll", ".dylib")
    ]
    if not files:
        return f"no {part} in {folder}: install vswipe anew with {sys.executable} -m pip"
    try:
        core.std.LoadPlugin(str(files[0]))
    except vs.Error as error:
        return f"{files[0]} does not load: {error}"
    return f"{files[0]} loads by hand but not by itself: run `vapoursynth config`"


def _devices() -> Check:
    import torch

    names = [f"cuda:{k} {torch.cuda.get_device_name(k)}" for k in range(torch.cuda.device_count())]
    names += ["mps"] if torch.backends.mps.is_available() else []
    names += [f"xpu:{k}" for k in range(torch.xpu.device_count())] if torch.xpu.is_available() else []
    return "devices", True, ", ".join([f"cpu ({torch.get_num_threads()} threads)", *names])


def _erase() -> Check:
    """A mark on a moving slope: gone afterwards, and nothing else touched."""
    import numpy as np
    import vapoursynth as vs

    def frame_of(n: int, marked: bool) -> np.ndarray:
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        picture = (60 + rows + 40 * np.sin((columns + 2 * n) / 9)).astype(np.uint8)
        if marked:
            picture[28:36, 40:56] = 235
        return picture

    def drawn(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        copy = f.copy()
        np.copyto(np.asarray(copy[0]), frame_of(n, True))
        return copy

    core: Any = vs.core
    began = time.monotonic()
    blank = core.std.BlankClip(format=vs.GRAY8, width=WIDTH, height=HEIGHT, length=FRAMES)
    clip = core.std.ModifyFrame(blank, blank, drawn)
    box = core.std.BlankClip(format=vs.GRAY8, width=16, height=8, length=1, color=255)
    mask = core.std.AddBorders(box, 40, WIDTH - 56, 28, HEIGHT - 36)
    try:
        result = core.wipe.Inpaint(clip, mask)
        pictures = [np.asarray(frame[0]).copy() for frame in result.frames()]
    except vs.Error as error:
        return "self test", False, str(error)
    truth = np.stack([frame_of(n, False) for n in range(FRAMES)]).astype(int)
    apart = np.abs(np.stack(pictures).astype(int) - truth)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[27:37, 39:57] = True  # the mask, dilated by 1
    outside, mean = int(apart[:, ~inside].max()), float(apart[:, inside].mean())
    text = f"{FRAMES} frames in {time.monotonic() - began:.1f} s; mean error inside the mark {mean:.1f} levels"
    if outside:
        return "self test", False, f"pixels outside the mask changed by up to {outside} levels"
    return "self test", mean < 12, text
