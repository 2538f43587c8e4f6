"""What the engine knows of a clip and of one of its frames, in plain numbers and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

FAMILIES = ("GRAY", "RGB", "YUV")


@dataclass(frozen=True)
class PictureFormat:
    """Size and sample format of a clip.

    Args:
        width, height: luma size in pixels.
        family: "GRAY", "RGB" or "YUV".
        bits: bits per sample, 8 to 16 for integers, 16 or 32 for floats.
        floating: whether samples are floats (luma and RGB 0..1, chroma -0.5..0.5).
        sub_w, sub_h: log2 of the chroma subsampling, as in VapourSynth.

    Raises:
        ValueError: the family or the sample type is none of these.
    """

    width: int
    height: int
    family: str
    bits: int
    floating: bool = False
    sub_w: int = 0
    sub_h: int = 0

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"PictureFormat: family must be one of {', '.join(FAMILIES)}, got {self.family}")
        allowed = (16, 32) if self.floating else range(8, 17)
        if self.bits not in allowed:
            kind = "16 or 32 for float samples" if self.floating else "8 to 16 for integer samples"
            raise ValueError(f"PictureFormat: bits must be {kind}, got {self.bits}")

    @property
    def num_planes(self) -> int:
        return 1 if self.family == "GRAY" else 3

    @property
    def dtype(self) -> np.dtype:
        """NumPy type of one sample."""
        if self.floating:
            return np.dtype(np.float16 if self.bits == 16 else np.float32)
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def level(self) -> float:
        """One 8-bit level in the clip's own unit: every threshold of the engine is stated in 8-bit levels."""
        return 1.0 / 255.0 if self.floating else float(1 << (self.bits - 8))

    def plane_shape(self, plane: int) -> tuple[int, int]:
        """Height and width of a plane."""
        if plane == 0 or self.family != "YUV":
            return self.height, self.width
        return self.height >> self.sub_h, self.width >> self.sub_w

    def sample_range(self, plane: int) -> tuple[float, float]:
        """Smallest and largest value a written sample may take. Float samples are not clipped to 0..1."""
        if self.floating:
            return -np.inf, np.inf
        return 0.0, float((1 << self.bits) - 1)


@dataclass(frozen=True)
class Frame:
    """One frame of the source clip.

    Args:
        n: its number in the clip.
        planes: one read-only array (H, W) per plane, in the clip's sample type.
        props: its integer frame properties that the engine may use, e.g. `_SceneChangePrev`, `_SceneChangeNext`.
    """

    n: int
    planes: tuple[np.ndarray, ...]
    props: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What was done to one frame: the values of `WipeMasked` and `WipeCopied`, both 0..1."""

    masked: float = 0.0
    copied: float = 0.0
