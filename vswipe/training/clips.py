"""Real footage for training and measuring: where the clips are, and which of them are never trained on.

`python -m vswipe.training.clips` prints the split.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .codec import Planes, decode

DATA_VARIABLE = "VSWIPE_DATA"

# Clips of one family show the same film, room, person or table, so one of them says much about the next. A family
# goes to one side as a whole. Sources that are not named here are families of their own; the numbered parts of one
# source ("yoga-1", "yoga-2") always belong together. The davis-* sequences were shot apart: each is its own.
FAMILIES = {
    "asl": ("asl-again", "asl-book", "asl-hungry", "asl-sister", "asl-sorry", "asl-want"),
    "bbb": ("bbb", "bbb-rabbit"),
    "cat-and-mouse": ("cartoon-chase", "cartoon-shovel", "cartoon-street"),
    "ntu": ("ntu-drinking", "ntu-two-people"),
    "phone-walk": ("backpack-hand", "cat-sofa", "pillow", "teddy"),
    "rooftops": ("rooftop-hdr", "rooftops"),
    "table-top": ("blocks", "coffee", "cups"),
    "toys": ("toy-crystal", "toy-elf", "toy-monster", "toy-pig", "toy-rabbit"),
}
_FAMILY_OF = {source: family for family, sources in FAMILIES.items() for source in sources}

# The rule, fixed for good: numbers measured under another split cannot be compared. Of the remainders of 5 this salt
# and remainder were chosen for a wide mix (drawn and filmed, still and moving camera, old and new), before any result.
_SALT, _DIVISOR, _REMAINDER = "vswipe:", 5, 1


@dataclass(frozen=True)
class ClipFile:
    """One clip on disk; nothing is read before it is asked for."""

    name: str
    path: Path

    @property
    def source(self) -> str:
        """Name of what it was cut from: the clip's name without a trailing number."""
        return source_name(self.name)

    @property
    def family(self) -> str:
        """What must not straddle the split."""
        return family_name(self.name)

    def read(self, num_frames: int | None = None, start: int = 0) -> tuple[Planes, Fraction]:
        """Planes and frames per second, see `codec.decode`."""
        return decode(self.path, num_frames, start)


def source_name(clip: str) -> str:
    """What a clip was cut from: its name without a trailing number, e.g. "yoga-2" gives "yoga"."""
    return re.sub(r"-\d+$", "", clip)


def family_name(clip: str) -> str:
    """The group of sources that shares a clip's film, room or person; its source where it stands alone."""
    source = source_name(clip)
    return _FAMILY_OF.get(source, source)


def is_validation(clip: str) -> bool:
    """Whether a clip belongs to the validation part, by name alone: the same for ever and on every machine."""
    return zlib.crc32((_SALT + family_name(clip)).encode()) % _DIVISOR == _REMAINDER


def data_folder() -> Path:
    """Folder that holds `clips/`: $VSWIPE_DATA, else `../shared/data` beside the checkout. It need not exist."""
    chosen = os.environ.get(DATA_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(__file__).resolve().parents[2].parent / "shared" / "data"


def find_clips(part: str = "all", folder: Path | None = None) -> list[ClipFile]:
    """Clips of one part, by name.

    Args:
        part: "train", "validation" or "all".
        folder: where to look; `data_folder()` unless told. A missing folder gives an empty list.

    Raises:
        ValueError: another part.
    """
    if part not in ("train", "validation", "all"):
        raise ValueError(f"find_clips: part must be train, validation or all, got {part}")
    paths = sorted(((folder or data_folder()) / "clips").glob("*.mp4"))
    clips = [ClipFile(path.stem, path) for path in paths]
    return [clip for clip in clips if part == "all" or is_validation(clip.name) == (part == "validation")]


def one_per_family(clips: Iterable[ClipFile]) -> list[ClipFile]:
    """The first clip of every family, so that a source cut in four does not count four times in a mean."""
    first: dict[str, ClipFile] = {}
    for clip in clips:
        first.setdefault(clip.family, clip)
    return list(first.values())


def count_frames(clip: ClipFile) -> int:
    """Number of frames the container states; cheap, no decoding."""
    import cv2

    capture = cv2.VideoCapture(str(clip.path))
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        capture.release()


def validation_clips(min_frames: int = 60) -> list[ClipFile]:
    """What quality is measured on: of every validation family the first clip of at least `min_frames` frames."""
    return one_per_family(clip for clip in find_clips("validation") if count_frames(clip) >= min_frames)


def main() -> None:
    """Print the rule and both parts."""
    print(f"rule: crc32('{_SALT}' + family) % {_DIVISOR} == {_REMAINDER} is validation")
    measured = {clip.name for clip in validation_clips()}
    for part in ("validation", "train"):
        clips = find_clips(part)
        families = sorted({clip.family for clip in clips})
        print(f"\n{part}: {len(clips)} clips of {len(families)} families")
        for family in families:
            members = [clip for clip in clips if clip.family == family]
            shown = (f"{clip.name}{'*' if clip.name in measured else ''} ({count_frames(clip)})" for clip in members)
            print(f"  {family}: {', '.join(shown)}")
    print(f"\n*: the {len(measured)} clips that scripts/evaluate.py measures at 60 frames; (frames)")


if __name__ == "__main__":
    main()
