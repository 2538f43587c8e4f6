"""What a network needs from whoever runs or trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Spec:
    """Needs of one network; `net.spec` holds it.

    Args:
        name: registry name.
        radius: frames on each side from which a frame may take anything: references and neighbours.
        reference_stride: every so many frames is a reference frame; frame 0 is one.
        multiple_of: (height, width) in pixels that frames must be multiples of.
        half: whether bf16 and fp16 hold up.
        shots: passes over the hole by default; 0 = as many as the hole is deep (8 px each).
        mask_free: the network takes no mask: `masks` is None and the raw output is returned.
        base: the network wants `base`, the hole already filled by simpler means, and predicts a residual on it.
        kind: "memory": frames one by one, each reading a memory of reference frames (`encode`, `remember`, `complete`);
            "window": all frames of a window at once (`encode`, `transform`, `render`); "recurrent": frames in order;
            "fusion" and "flow": they serve the copy stage.
        window: frames that are worked on together, unless kind is "memory"; neighbouring windows overlap by half.
    """

    name: str
    radius: int
    reference_stride: int
    multiple_of: tuple[int, int]
    half: bool = True
    shots: int = 1
    mask_free: bool = False
    base: bool = False
    kind: Literal["memory", "window", "recurrent", "fusion", "flow"] = "memory"
    window: int = 1

    def check_size(self, height: int, width: int) -> None:
        """Raises ValueError unless frames of this size can be taken."""
        rows, columns = self.multiple_of
        if height % rows or width % columns:
            raise ValueError(
                f"{self.name}: frames must be multiples of {rows} high and {columns} wide, got {height}x{width}"
            )
