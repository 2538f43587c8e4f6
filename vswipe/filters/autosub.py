"""`core.wipe.AutoSub`: finds burnt-in subtitles and erases them.

Imported when the first AutoSub is made: it brings PyTorch and the engine.
"""

from __future__ import annotations

from vswipe.filters._bridge import Arguments
from vswipe.filters._check import MASK_FREE, NETWORKS, need_picture
from vswipe.filters._found import FoundEraser
from vswipe.filters._host import Picture
from vswipe.filters.inpaint import read_settings
from vswipe.filters.submask import Finder


def create(arguments: Arguments) -> FoundEraser:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    clip = arguments["clip"]
    assert isinstance(clip, Picture)
    family = need_picture(arguments.name, clip)
    settings = read_settings(arguments, clip, (*NETWORKS, MASK_FREE))
    return FoundEraser(arguments.name, clip, Finder(arguments, clip, family, 0), settings)
