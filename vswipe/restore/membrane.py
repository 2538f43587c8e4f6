"""The smoothest fill of a hole (Laplace's equation), for many pictures with the same hole at once.

Solved on a pyramid, coarse to fine, with a few over-relaxed rounds on every size; the pixels are held as a list, so
that a round costs what the hole has pixels, and the pictures lie side by side behind each pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

_SHALLOW = 2.5  # px: a hole no deeper needs no smaller size
_OMEGA = 1.7
_ROUNDS, _LAST_ROUNDS = 10, 30  # at each size, at the smallest


class Membrane:
    """A solver for one hole.

    Args:
        hole: (H, W) uint8, 1 = fill; not all of it.

    Attributes:
        where: flat indices of the hole's pixels.
    """

    def __init__(self, hole: np.ndarray) -> None:
        self.shape = hole.shape
        height, width = hole.shape
        self.where = np.flatnonzero(hole)
        rows, columns = np.divmod(self.where, width)
        around = ((-1, 0), (1, 0), (0, -1), (0, 1))
        # Beyond the picture its own border pixel is seen: nothing flows over the border.
        sides = np.stack([np.clip(rows + y, 0, height - 1) * width + np.clip(columns + x, 0, width - 1)
                          for y, x in around])  # fmt: skip
        parity = (rows + columns) % 2
        self._colours = [(self.where[parity == k], sides[:, parity == k]) for k in (0, 1)]
        self._coarser: Membrane | None = None
        deepest = float(cv2.distanceTransform(np.pad(hole, 1), cv2.DIST_L2, 3).max()) if self.where.size else 0.0
        if deepest > _SHALLOW and min(hole.shape) >= 8:
            self._weight = 1 - _pad_even(hole[..., None].astype(np.float32))
            known = _quarter_sum(self._weight)
            small = (known[..., 0] < 1).astype(np.uint8)
            if not small.all():
                self._share = 1 / np.maximum(known, 1e-6)
                self._coarser = Membrane(small)
                self._up = self._upsampling(rows, columns, small.shape)

    def fill(self, pictures: np.ndarray) -> np.ndarray:
        """Values at the hole's pixels.

        Args:
            pictures: (H, W, T) float32; what is in the hole is not read.

        Returns:
            (N, T) float32, in the order of `where`.
        """
        flat = np.ascontiguousarray(pictures, np.float32).reshape(-1, pictures.shape[2])
        if not self.where.size:
            return flat[:0]
        return self._solve(flat.copy())[self.where]

    def _solve(self, flat: np.ndarray) -> np.ndarray:
        """The hole of (H * W, T) filled in place; returns it."""
        if self._coarser is not None:
            padded = _pad_even(flat.reshape(*self.shape, -1))
            small = _quarter_sum(padded * self._weight) * self._share
            small = self._coarser._solve(small.reshape(-1, small.shape[2]))
            start = np.zeros((self.where.size, flat.shape[1]), np.float32)
            for index, weight in self._up:
                start += small[index] * weight
            flat[self.where] = start
            rounds = _ROUNDS
        else:
            ring = self._ring()
            flat[self.where] = flat[ring].mean(0) if ring.size else 0
            rounds = _LAST_ROUNDS
        for _ in range(rounds):
            for where, (up, down, left, right) in self._colours:
                total = np.take(flat, up, axis=0, mode="clip")
                for side in (down, left, right):
                    total += np.take(flat, side, axis=0, mode="clip")
                total *= np.float32(_OMEGA / 4)
                total += np.float32(1 - _OMEGA) * flat[where]
                flat[where] = total
        return flat

    def _ring(self) -> np.ndarray:
        sides = np.unique(np.concatenate([sides.ravel() for _, sides in self._colours]))
        return np.setdiff1d(sides, self.where)

    def _upsampling(
        self, rows: np.ndarray, columns: np.ndarray, small: tuple[int, ...]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        y = np.clip((rows + 0.5) / 2 - 0.5, 0, small[0] - 1)
        x = np.clip((columns + 0.5) / 2 - 0.5, 0, small[1] - 1)
        y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
        out = []
        for dy in (0, 1):
            for dx in (0, 1):
                weight = np.abs(1 - dy - (y - y0)) * np.abs(1 - dx - (x - x0))
                index = np.minimum(y0 + dy, small[0] - 1) * small[1] + np.minimum(x0 + dx, small[1] - 1)
                out.append((index, weight[:, None].astype(np.float32)))
        return out


def _pad_even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")


def _quarter_sum(picture: np.ndarray) -> np.ndarray:
    pairs = picture[0::2] + picture[1::2]
    return pairs[:, 0::2] + pairs[:, 1::2]
