"""The package itself: cheap to import, one version, vspipe found."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import vswipe
from vswipe._vsenv import ensure_vspipe, find_vspipe


def test_import_is_cheap_and_quiet() -> None:
    code = (
        "import sys, vswipe\n"
        "heavy = {'torch', 'cv2', 'numpy', 'vapoursynth'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_version_is_the_same_everywhere() -> None:
    assert version("vswipe") == vswipe.__version__


def test_package_is_typed() -> None:
    assert (Path(vswipe.__file__).parent / "py.typed").is_file()


def test_vspipe_starts(capfd: object) -> None:
    assert ensure_vspipe() == find_vspipe()
    assert ensure_vspipe().is_file()
