"""Filled frames of one region before they are steadied, and as the pictures that steadying reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vswipe.engine.region_view import GRID, RegionView
from vswipe.ops.sampling import Picture


@dataclass
class Raw:
    """A plane group's samples of one frame before they are steadied: (N, C) levels, and (N,) the copied share."""

    values: np.ndarray
    copied: np.ndarray


class Outputs:
    """Filled frames of one region, as pictures: what steadying reads.

    Args:
        view: the region.
        raw: frame number -> `Raw` per plane group; frames without a hole are not in it and show the source.
        device: torch device.
    """

    def __init__(self, view: RegionView, raw: Mapping[int, list[Raw]], device: torch.device) -> None:
        self.view, self.raw, self.device = view, raw, device
        # Not `cached` methods: an object that holds its own methods keeps the window's frames from being freed.
        self._kept_levels: dict[int, list[np.ndarray]] = {}
        self._kept_grids: dict[int, Tensor] = {}

    def _levels(self, n: int) -> list[np.ndarray]:
        if n not in self._kept_levels:
            self._kept_levels[n] = self._filled_levels(n)
        return self._kept_levels[n]

    def grid(self, n: int) -> Tensor:
        """(H, W) luma on the coarse grid."""
        if n not in self._kept_grids:
            self._kept_grids[n] = self._grid(n)
        return self._kept_grids[n]

    def _filled_levels(self, n: int) -> list[np.ndarray]:
        pictures = [self.view.levels(n, g) for g in range(len(self.view.groups))]
        for g, picture in enumerate(pictures):
            if self.view.mask(n, g) is not None:
                picture[self.view.where(n, g)] = self.raw[n][g].values
        return pictures

    def image(self, n: int, group: int) -> Picture:
        """(h, w, C) levels of one plane group."""
        picture = self._levels(n)[group]
        return picture if self.device.type == "cpu" else torch.from_numpy(picture).to(self.device)

    def _grid(self, n: int) -> Tensor:
        cell = self.view.factor * GRID
        luma = self.view.luma(self._levels(n)[0])
        size = (luma.shape[1] // cell, luma.shape[0] // cell)
        return torch.from_numpy(cv2.resize(luma, size, interpolation=cv2.INTER_AREA)).to(self.device)


def cached[T](function: Callable[[int], T]) -> Callable[[int], T]:
    """The function with its results kept: within one window the same source frame is sampled many times."""
    kept: dict[int, T] = {}

    def call(n: int) -> T:
        if n not in kept:
            kept[n] = function(n)
        return kept[n]

    return call
