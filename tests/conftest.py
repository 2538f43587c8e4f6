"""Fixtures for tests that need VapourSynth."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import vapoursynth as vs
from dummy import DummyPipeline

from vswipe._vsenv import ensure_vspipe

TESTS = Path(__file__).parent
TIMEOUT = 120


@pytest.fixture(autouse=True)
def clean_core() -> Iterator[None]:
    """No caches left over, and the number of threads as it was."""
    threads = vs.core.num_threads
    yield
    vs.core.num_threads = threads
    vs.core.clear_cache()


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch) -> type[DummyPipeline]:
    """The stand-in for the engine, in use; a class of its own, so that a test may set its attributes."""

    class Pipeline(DummyPipeline):
        rendered = []  # noqa: RUF012

    monkeypatch.setattr("vswipe.filters._render.Pipeline", Pipeline)
    return Pipeline


@pytest.fixture(scope="session")
def vspipe() -> Path:
    """The vspipe program, able to start."""
    return ensure_vspipe()


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Python script that uses the dummy engine: `script(text, name, **options)`."""

    def write(text: str, name: str = "script.vpy", **options: object) -> Path:
        settings = ", ".join(f"{key}={value!r}" for key, value in options.items())
        path = tmp_path / name
        path.write_text(
            f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
            f"import dummy\ndummy.install({settings})\n"
            f"import vapoursynth as vs\ncore = vs.core\n{text}\n"
        )
        return path

    return write


@pytest.fixture
def run_python() -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Runs a script in a Python process of its own."""

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, path],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )

    return run
