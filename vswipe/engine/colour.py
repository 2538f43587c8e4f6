"""A region's planes as RGB for networks, and back: only filled samples ever make the way back."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from vswipe.engine.picture import PictureFormat

# Kr and Kb by the number of `_Matrix`: ITU-T H.273, table 4.
_LUMA_SHARES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
                9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}  # fmt: skip
_HD_LINES = 576  # more lines than this: BT.709 where the clip does not say


class RegionColour:
    """Conversion of one clip's levels.

    Args:
        fmt: the clip's format.
        props: a frame's properties: `_Matrix`, `_Range` or `_ColorRange`.
    """

    def __init__(self, fmt: PictureFormat, props: Mapping[str, int]) -> None:
        self.fmt = fmt
        red, blue = _LUMA_SHARES.get(props.get("_Matrix", 2), _LUMA_SHARES[1 if fmt.height > _HD_LINES else 6])
        green = 1 - red - blue
        full = fmt.floating or props.get("_Range", 1 - props.get("_ColorRange", 1)) == 1
        self.black, luma, chroma = (0.0, 255.0, 255.0) if full else (16.0, 219.0, 224.0)
        forward = np.array(
            [
                [red, green, blue],
                [-red / (2 * (1 - blue)), -green / (2 * (1 - blue)), 0.5],
                [0.5, -green / (2 * (1 - red)), -blue / (2 * (1 - red))],
            ]
        )
        self.forward = (np.diag([luma, chroma, chroma]) @ forward).astype(np.float32)
        self.backward = np.linalg.inv(self.forward).astype(np.float32)
        self.offset = np.array([self.black, 128, 128], np.float32)

    def to_rgb(self, groups: list[np.ndarray]) -> np.ndarray:
        """(h, w, 3) float32, 0..1, from the levels of each plane group, (h, w, C) float32.

        Chroma is brought to luma's size bilinearly.
        """
        main = groups[0]
        if self.fmt.family == "GRAY":
            return np.repeat(np.clip(main / 255, 0, 1), 3, axis=2)
        if self.fmt.family == "RGB":
            return np.clip(main / 255, 0, 1)
        if len(groups) > 1:
            size = (main.shape[1], main.shape[0])
            main = np.dstack([main, cv2.resize(groups[1], size, interpolation=cv2.INTER_LINEAR)])
        return np.clip((main - self.offset) @ self.backward.T, 0, 1)

    def from_rgb(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Levels of each plane group, (h, w, C) float32, from (h, w, 3), 0..1; chroma is averaged over its pixels."""
        if self.fmt.family == "GRAY":
            return [rgb.mean(2, keepdims=True) * 255]
        if self.fmt.family == "RGB":
            return [rgb * 255]
        full = rgb @ self.forward.T + self.offset
        if not (self.fmt.sub_w or self.fmt.sub_h):
            return [full]
        height, width = full.shape[:2]
        small = (width >> self.fmt.sub_w, height >> self.fmt.sub_h)
        chroma = cv2.resize(np.ascontiguousarray(full[..., 1:]), small, interpolation=cv2.INTER_AREA)
        return [np.ascontiguousarray(full[..., :1]), chroma]
