"""Several files, one after the other; one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import mux
from .process import UserError

# What a folder's files must end in to be taken for videos; a file named on the command line is always taken.
VIDEOS = (*mux.FORMATS, ".wmv", ".mpg", ".mpeg", ".vob", ".ogv", ".3gp", ".mxf", ".y4m")
MARK = ".clean"
MOST_FAILURES = 100  # exit codes above 125 mean other things to shells


@dataclass(frozen=True)
class Outcome:
    """One file's end.

    Args:
        source: the file.
        error: why it failed, "" when it did not.
    """

    source: Path
    error: str


def expand(inputs: Iterable[Path], mark: str = MARK) -> list[Path]:
    """Folders replaced by the videos in them, without vswipe's own outputs.

    Raises:
        UserError: a folder without any video.
    """
    files: list[Path] = []
    for given in inputs:
        if not given.is_dir():
            files.append(given)
            continue
        found = sorted(
            path for path in given.iterdir()
            if path.suffix.lower() in VIDEOS and path.is_file()
            and not path.name.startswith(".") and not path.stem.endswith(mark)
        )  # fmt: skip
        if not found:
            raise UserError(f"{given}: there is no video in this folder")
        files += found
    return list(dict.fromkeys(files))


def output_for(source: Path, given: Path | None, mark: str = MARK, suffix: str = "", *, many: bool = False) -> Path:
    """Where a file's result goes: the name given, or INPUT.clean.EXT beside it, or in the folder given."""
    own = suffix or (source.suffix if source.suffix.lower() in mux.SAME_CONTAINER else ".mkv")
    name = f"{source.stem}{mark}{own}"
    if given is None:
        return source.with_name(name)
    return given / name if many or given.is_dir() else given


def run_all(sources: Sequence[Path], one: Callable[[Path], object]) -> list[Outcome]:
    """Call `one` with each file; errors the user can put right are collected."""
    outcomes = []
    for source in sources:
        try:
            one(source)
            outcomes.append(Outcome(source, ""))
        except UserError as error:
            outcomes.append(Outcome(source, str(error)))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            outcomes.append(Outcome(source, f"{where}{error.strerror or error}"))
    return outcomes


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """How many failed, at most MOST_FAILURES."""
    return min(MOST_FAILURES, sum(bool(outcome.error) for outcome in outcomes))
