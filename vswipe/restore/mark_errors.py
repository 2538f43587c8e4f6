"""How wrong a division and a smooth fill are, learnt from what a fit of a mark leaves unexplained.

The residual J - aW - (1 - a)B of a mark has two sources, the coding noise of J and the error of the fill B as it shows
through the mark. Both grow with the texture x around, and differently: the fill's squared error in proportion to x over
three decades, on clips of every kind; the noise fast while the coder still flattens what is there, and hardly beyond.
So their sum over x tells them apart, for each plane on its own: chroma is coded more coarsely than luma, and the edges
of a mark, where nothing is flat to the coder, more coarsely than its flat surroundings.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

_SATURATION = 0.3  # texture, levels squared, at which half of the noise of textured ground is reached
_LEAST_NOISE = 0.08  # levels squared: rounding to 8 bits
_LEAST_FILL = 0.1
_FILL_RANGE = 0.7, 5.0  # squared error of the fill per texture: clips have 0.8 to 4, and a still one does not show it
_OPAQUE_ENOUGH = 0.03  # opacity of pixels that are learnt from
_SAMPLES = 200_000
_BINS = 48
_ROUNDS = 5


@dataclass(frozen=True)
class ErrorLaw:
    """Expected squared errors in one plane, levels squared.

    Args:
        flat: of the coding noise over flat ground.
        textured: what is added to it over textured ground.
        fill: of the fill, per unit of texture.
    """

    flat: float
    textured: float
    fill: float

    def coding(self, weight: np.ndarray | float) -> np.ndarray:
        """Of the samples as coded, where `PlaneView.look` gives this weight, 1 / (texture + 1)."""
        rest = 1 - np.asarray(weight, np.float32)
        return np.float32(self.flat) + np.float32(self.textured) * rest / (rest * (1 - _SATURATION) + _SATURATION)

    def filling(self, weight: np.ndarray) -> np.ndarray:
        """Of the fill where the weight is this."""
        return np.maximum(np.float32(self.fill) * (1 / weight - 1), np.float32(_LEAST_FILL))


def learn_errors(errors: np.ndarray, weight: np.ndarray, alpha: np.ndarray) -> ErrorLaw:
    """The law of one plane.

    Args:
        errors: (N, T), residuals of a fit, levels.
        weight: (N, T), as `PlaneView.look` gives it.
        alpha: (N,), the opacity fitted, 0..1.

    Fitted to the means of equally large groups of like texture, every group to a share of itself: textured ground must
    not outweigh flat ground, where the two errors are compared.
    """
    marked = alpha >= _OPAQUE_ENOUGH
    if not marked.any():
        marked[:] = True
    seen = np.broadcast_to(((1 - alpha) ** 2)[:, None], errors.shape)[marked].ravel()
    squared, texture = (errors[marked] ** 2).ravel(), (1 / weight[marked] - 1).ravel()
    every = -(-texture.size // _SAMPLES)
    squared, texture, seen = squared[::every], texture[::every], seen[::every]
    groups = np.array_split(np.argsort(texture), min(_BINS, texture.size))
    columns = (np.ones_like(texture), texture / (texture + _SATURATION), seen * texture)
    basis = np.array([[float(column[group].mean()) for column in columns] for group in groups])
    target = np.array([float(squared[group].mean()) for group in groups])
    scale = target + _LEAST_NOISE / 2
    law = np.zeros(3)
    for _ in range(_ROUNDS):
        law = _nonnegative(basis / scale[:, None], target / scale)
        scale = basis @ law + _LEAST_NOISE / 4
    return ErrorLaw(max(float(law[0]), _LEAST_NOISE), float(law[1]), float(np.clip(law[2], *_FILL_RANGE)))


def _nonnegative(basis: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares without negative coefficients: few enough to try all sets of those that are not zero."""
    count = basis.shape[1]
    best, least = np.zeros(count), float((target**2).sum())
    for size in range(1, count + 1):
        for chosen in itertools.combinations(range(count), size):
            found = np.linalg.lstsq(basis[:, chosen], target, rcond=None)[0]
            error = float(((basis[:, chosen] @ found - target) ** 2).sum())
            if (found >= 0).all() and error < least * (1 - 1e-9):
                best, least = np.zeros(count), error
                best[list(chosen)] = found
    return best
