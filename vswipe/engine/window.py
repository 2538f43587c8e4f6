"""Which frames does a chunk need? Plain integers, no tensors.

Chunks lie on a fixed grid, and so do the blocks of the first pass, so that a frame's result never depends on which
frame was asked for first.
"""

from __future__ import annotations

from dataclasses import dataclass

SCENE_MARGIN = 2  # frames on each side that the cut test of a pair looks at
STEADY = 2  # frames on each side that a filled frame is averaged with


@dataclass(frozen=True)
class WindowPlan:
    """The grid of one filter instance.

    Args:
        num_frames: length of the clip.
        radius: frames on each side of a frame that may give it pixels.
        first_radius: the same for the first pass, whose only use is to give the second pass a clean picture to compute
            flow on.
        chunk: frames per chunk and per first-pass block.
        network_reach: frames on each side of a frame that a network looks at to fill it.
    """

    num_frames: int
    radius: int
    first_radius: int
    chunk: int = 8
    network_reach: int = 0

    @property
    def before(self) -> int:
        """Frames needed before a chunk: the radius around each frame it is averaged with, rounded up to whole blocks,
        and what those blocks need."""
        copies = -(-(self.radius + STEADY) // self.chunk) * self.chunk + self.first_radius
        return max(copies, self.network_reach + STEADY) + SCENE_MARGIN

    @property
    def after(self) -> int:
        return self.before

    def clip(self, first: int, last: int) -> range:
        """Frame numbers first..last - 1 that exist."""
        return range(max(0, first), min(self.num_frames, last))

    def window(self, start: int, stop: int) -> range:
        """All frames the chunk [start, stop) may look at."""
        return self.clip(start - self.before, stop + self.after)

    def reach(self, start: int, stop: int, radius: int) -> range:
        """Frames that may give pixels to [start, stop)."""
        return self.clip(start - radius, stop + radius)

    def block(self, n: int) -> range:
        """The first-pass block frame n lies in."""
        start = n // self.chunk * self.chunk
        return self.clip(start, start + self.chunk)

    def company(self, n: int) -> range:
        """The frames that frame n is followed with when all of them are wanted: what one chunk of linear playback adds
        to what it is averaged with."""
        start = (n - STEADY) // self.chunk * self.chunk + STEADY
        return self.clip(start, start + self.chunk)
