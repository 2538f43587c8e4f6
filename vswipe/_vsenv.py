"""Finding vspipe, and seeing to it that it finds this Python.

vspipe starts from VapourSynth's runtime configuration, a file in the user's configuration folder which names the Python
of each installation. `vapoursynth config` writes it; a fresh environment has none.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path


def find_vspipe() -> Path:
    """The vspipe program: VapourSynth's own, else the one beside this Python, else the one on PATH.

    The first is the program itself; the second is a Python script around it, which costs a start and a pipe.

    Raises:
        RuntimeError: there is none; the message names the places searched.
    """
    name = "vspipe.exe" if sys.platform == "win32" else "vspipe"
    spec = importlib.util.find_spec("vapoursynth")
    places = [Path(folder) / name for folder in (spec.submodule_search_locations or () if spec else ())]
    places.append(Path(sys.executable).parent / name)
    if on_path := shutil.which(name):
        places.append(Path(on_path))
    for place in places:
        if place.is_file():
            return place
    raise RuntimeError(f"vspipe: must be installed with VapourSynth, got none in {', '.join(map(str, places))}")


def ensure_vspipe() -> Path:
    """The vspipe program, able to start: VapourSynth is configured for this Python if it was not yet.

    Prints nothing; calling it again costs one `vspipe --version`.

    Raises:
        RuntimeError: there is no vspipe, or it does not start after all.
    """
    vspipe = find_vspipe()
    if _starts(vspipe)[0]:
        return vspipe
    config = subprocess.run(
        [sys.executable, "-m", "vapoursynth", "config"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    started, output = _starts(vspipe)
    if not started:
        said = " ".join(f"{config.stdout} {config.stderr} {output}".split())
        raise RuntimeError(f"vspipe: must start after `vapoursynth config`, got {said}")
    return vspipe


def _starts(vspipe: Path) -> tuple[bool, str]:
    done = subprocess.run([vspipe, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode == 0, f"{done.stdout} {done.stderr}"
