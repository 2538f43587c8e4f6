"""What a job tells while it runs. The command line shows it (`vswipe.cli.progress`); a test may listen."""

from __future__ import annotations

from typing import Any, Protocol


class Report(Protocol):
    """Where news go."""

    def phase(self, what: str, total: int = 0, done: int = 0) -> None:
        """Something begins: `total` steps, `done` of them done by an earlier run; 0: nobody knows how many."""

    def advance(self, count: int = 1) -> None:
        """So many steps more are done."""

    def note(self, text: str) -> None:
        """Something the user should know; the job goes on."""

    def event(self, name: str, **values: Any) -> None:
        """For programs that watch."""


class Silent:
    """Tells nobody."""

    def phase(self, what: str, total: int = 0, done: int = 0) -> None: ...

    def advance(self, count: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def event(self, name: str, **values: Any) -> None: ...
