"""The bridge at the borders of a process: vspipe, pipes that break, exits, and a host without Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import vapoursynth as vs

TIMEOUT = 120
HERE = Path(__file__).parent

Script = Callable[..., Path]
Run = Callable[[Path], subprocess.CompletedProcess[str]]

GRAPH = """
clip = core.std.BlankClip(width=64, height=48, format=vs.YUV420P8, length={length}, color=[90, 128, 64])
mask = core.std.BlankClip(width=64, height=48, format=vs.GRAY8, length=1, color={color})
clip = core.wipe.Inpaint(clip, mask, device="cpu")
"""


def graph(length: int = 20, color: int = 255) -> str:
    return GRAPH.format(length=length, color=color)


def test_y4m_through_vspipe_is_exact(vspipe: Path, script: Script) -> None:
    done = subprocess.run(
        [vspipe, "-c", "y4m", script(graph() + "clip.set_output()"), "-"],
        capture_output=True,
        timeout=TIMEOUT,
        check=True,
    )
    header, _, rest = done.stdout.partition(b"\n")
    assert header.startswith(b"YUV4MPEG2 C420")
    assert b"W64 H48" in header
    frames = []
    for n in range(20):
        window = range(max(0, n - 6), min(20, n + 6))
        value = sum(90 * (1 + i - n + 6) for i in window) % 200
        frames.append(b"FRAME\n" + bytes([value]) * (64 * 48 * 3 // 2))
    assert rest == b"".join(frames)


def test_an_empty_mask_changes_no_byte(vspipe: Path, script: Script) -> None:
    text = graph(color=0) + "clip.set_output()\ncore.std.BlankClip(clip, color=[90, 128, 64]).set_output(1)"
    path = script(text)
    streams = [
        subprocess.run(
            [vspipe, "-c", "y4m", "-o", str(i), path, "-"], capture_output=True, timeout=TIMEOUT, check=True
        ).stdout
        for i in (0, 1)
    ]
    assert streams[0] == streams[1]
    assert len(streams[0]) > 20 * 64 * 48


def test_an_error_in_the_engine_ends_vspipe(vspipe: Path, script: Script) -> None:
    path = script("dummy.install(error=ValueError('warp: went wrong'))\n" + graph() + "clip.set_output()")
    done = subprocess.run([vspipe, "-c", "y4m", path, "-"], capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode != 0
    assert "Inpaint: warp: went wrong" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX pipe")
def test_a_broken_pipe_ends_vspipe(vspipe: Path, script: Script) -> None:
    path = script(graph(100_000) + "clip.set_output()", delay=0.001)
    process = subprocess.Popen(
        [vspipe, "-c", "y4m", path, "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdout.read(20_000)
    process.stdout.close()
    process.wait(TIMEOUT)  # raises when it goes on


@pytest.mark.parametrize("kept", ["futures = ", ""])
def test_exit_with_requests_pending(script: Script, run_python: Run, kept: str) -> None:
    text = graph(4000) + f"{kept}[clip.get_frame_async(n) for n in range(0, 4000, 3)]\nimport time; time.sleep(0.3)\n"
    start = time.monotonic()
    done = run_python(script(text + "print('end')", "exit.py", delay=0.02))
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert time.monotonic() - start < 40  # all of it would take 80 s


def test_exit_while_the_engine_is_in_a_long_call(script: Script, run_python: Run) -> None:
    text = graph(400) + "futures = [clip.get_frame_async(n) for n in range(0, 400, 3)]\nimport time; time.sleep(0.3)\n"
    done = run_python(script(text, "exit.py", delay=1.0))
    assert done.returncode == 0, done.stderr


def test_sys_exit_and_exception_with_a_living_clip(script: Script, run_python: Run) -> None:
    done = run_python(script(graph() + "frame = clip.get_frame(3)\nsys.exit(7)", "exit.py"))
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


def test_nothing_is_printed(script: Script, run_python: Run) -> None:
    done = run_python(script(graph() + "for frame in clip.frames(close=True): pass", "quiet.py"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_namespace_needs_no_import(run_python: Run, tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text(
        "import sys, vapoursynth as vs\n"
        "assert vs.core.wipe.Inpaint.signature.startswith('clip:vnode;mask:vnode;')\n"
        "assert 'vswipe' not in sys.modules\n"
    )
    done = run_python(path)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the host is written for POSIX")
def test_a_host_without_python(tmp_path: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    package = Path(vs.__file__).parent
    library = next((p for p in package.glob("libvapoursynth.*") if p.suffix != ".a"), None)
    assert library is not None
    host = tmp_path / "host"
    subprocess.run(
        [compiler, "-std=c++17", HERE / "host.cpp", "-I", package / "include", "-o", host, "-ldl"],
        check=True,
        timeout=TIMEOUT,
    )
    plugin = next(plugin for plugin in vs.core.plugins() if plugin.namespace == "wipe")
    done = subprocess.run([host, library, plugin.plugin_path], capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "wipe: Inpaint needs to run inside Python (vspipe or a Python process)\n"


def test_the_library_knows_no_python(tmp_path: Path) -> None:
    plugin = next(plugin for plugin in vs.core.plugins() if plugin.namespace == "wipe")
    content = Path(plugin.plugin_path).read_bytes()
    assert b"libpython" not in content
    assert b"python3.dll" not in content or sys.platform == "win32"
