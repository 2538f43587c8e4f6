"""What a running job shows, and to whom."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from vswipe.cli.progress import BarReport, clock


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal that remembers; its clock goes on by a second with each look."""
    written = io.StringIO()
    seconds = iter(range(1, 1000))
    monkeypatch.setattr("vswipe.cli.progress.time.monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(
        "rich.console.Console",
        lambda **options: Console(file=written, force_terminal=True, width=120, legacy_windows=False),
    )
    return written


def test_bar_tells_speed_and_time_left(screen: io.StringIO) -> None:
    with BarReport() as report:
        report.phase("checking the file")
        report.phase("erasing", 100, 20)
        report._bar.refresh()
        report.advance(10)  # the first step: what came before it is loading
        for _ in range(4):
            report.advance(4)
        report._bar.refresh()
        assert "46/100 " in screen.getvalue()
        assert "frames/s" not in screen.getvalue(), "a burst or two tells no speed"
        for _ in range(2):
            report.advance(4)
        report._bar.refresh()
        report.note("a note with [brackets]")
    shown = screen.getvalue()
    assert "erasing" in shown
    assert "20/100 looking ahead" in shown
    assert "54/100 " in shown
    assert " frames/s, 0:" in shown
    assert "vswipe: a note with [brackets]" in shown


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 61.4, 3723)] == ["0:00", "1:01", "1:02:03"]
