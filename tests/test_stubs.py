"""Stubs: editors and type checkers know core.wipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vswipe.stubs import parameters, with_wipe, write_stubs


def test_parameters() -> None:
    signature = "clip:vnode;mask:vnode:all;region:int[]:opt;grain:float:opt;"
    tail = "mask: VideoNode, region: int | Sequence[int] | None = None, grain: float | None = None"
    assert parameters(signature) == f"self, clip: VideoNode, {tail}"
    assert parameters(signature, bound=True) == f"self, {tail}"


def test_unknown_stubs() -> None:
    with pytest.raises(ValueError, match=r"^stubs: vapoursynth.pyi must have one class Core, got 0$"):
        with_wipe("class Other: ...\n", {})


def test_a_type_checker_knows_the_namespace(tmp_path: Path) -> None:
    stubs = write_stubs(tmp_path / "typings")
    assert "Above half of full range: erase." in stubs.read_text()
    script = tmp_path / "script.py"
    script.write_text(
        "import vapoursynth as vs\n"
        "clip = vs.core.wipe.Inpaint(vs.core.std.BlankClip(), 1)\n"
        "reveal_type(clip.wipe.Inpaint(clip, radius=3))\n"
    )
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir", tmp_path / "cache", script],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={"MYPYPATH": str(tmp_path / "typings"), "PATH": ""},
    )
    assert 'Argument 2 to "Inpaint" of "_Wipe" has incompatible type "int"; expected "VideoNode"' in done.stdout
    assert 'Revealed type is "vapoursynth.VideoNode"' in done.stdout
