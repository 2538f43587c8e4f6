"""Photographs for training: where they are, and which of them are never trained on."""

from __future__ import annotations

import zlib
from pathlib import Path

from .clips import data_folder

# The rule, fixed for good like that of the clips. Every picture stands alone: none shows what another one shows.
_SALT, _DIVISOR, _REMAINDER = "vswipe:picture:", 8, 1


def is_validation_picture(name: str) -> bool:
    """Whether a photograph (file name without extension) belongs to the validation part."""
    return zlib.crc32((_SALT + name).encode()) % _DIVISOR == _REMAINDER


def find_pictures(part: str = "all", folder: Path | None = None) -> list[Path]:
    """Photographs of one part, by name.

    Args:
        part: "train", "validation" or "all".
        folder: what holds `images/`; `clips.data_folder()` unless told. A missing folder gives an empty list.

    Raises:
        ValueError: another part.
    """
    if part not in ("train", "validation", "all"):
        raise ValueError(f"find_pictures: part must be train, validation or all, got {part}")
    paths = sorted(((folder or data_folder()) / "images").glob("*.jpg"))
    return [path for path in paths if part == "all" or is_validation_picture(path.stem) == (part == "validation")]
