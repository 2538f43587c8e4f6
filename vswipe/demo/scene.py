"""The sample clip of `vswipe demo`: an evening at a lake, drawn here so that nothing has to be downloaded or licensed.

It has what an eraser meets in real footage: a pan with parallax, things that move by themselves (boat, sails of a mill,
clouds, water), fine texture (grass, leaves, fence) and grain. The same arguments give the same frames on every run.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from . import paint
from .paint import Array

PAN_PERIOD = 480.0  # frames; the camera swings to and fro so that a clip of any length stays inside the painting
PAN_REACH = 0.28  # of the height, at the distance of the meadow


@dataclass(frozen=True)
class _Layer:
    """A painted layer, where it hangs and how far away it is.

    Args:
        art: premultiplied RGBA, wider than the frame.
        top: row of the frame its first row lies on.
        depth: 0 = at the horizon (does not move with the camera), 1 = at the meadow, more = nearer.
    """

    art: Array
    top: float
    depth: float


def _over(frame: Array, layer: Array) -> None:
    """Lay a premultiplied layer of the frame's size onto the frame."""
    frame *= 1 - layer[..., 3:]
    frame += layer[..., :3]


class Scene:
    """The painting and its motion.

    Args:
        width: of the frames, pixels.
        height: of the frames, pixels.
        seed: of every random choice.
    """

    def __init__(self, width: int = 640, height: int = 360, seed: int = 4) -> None:
        self.width, self.height, self.seed = width, height, seed
        rng = np.random.default_rng(seed)
        self.reach = PAN_REACH * height

        def wide(depth: float) -> int:
            return width + 2 * round(self.reach * depth + 0.02 * height)

        spare = 0.008 * height  # hung a little low, so that no swing of the camera shows the painting's lower edge
        self.sky = paint.sky(height, width)
        self.clouds = paint.clouds(height, width * 2, rng)
        self.mountains = _Layer(paint.mountains(height, wide(0.08), rng), 0, 0.08)
        self.hills = _Layer(paint.hills(height, wide(0.22), rng), 0, 0.22)
        self.bank = _Layer(paint.bank(height, wide(0.72), rng), spare * 0.72, 0.72)
        self.meadow = _Layer(paint.meadow(height, wide(1.0), rng), spare, 1.0)
        self.tree = _Layer(paint.tree(round(height * 1.08), round(height * 0.76), rng), -0.03 * height, 1.5)
        self.boat = paint.boat(height)
        self.mill, self.sails = paint.mill(height)
        rows = round(height * (paint.BANK + 0.06)) - round(height * paint.SHORE)
        ripple = paint.noise((rows, width * 2), (height * 0.018, height * 0.16), rng, 4)
        ripple = cv2.resize(ripple, (width * 2, rows * 2), interpolation=cv2.INTER_CUBIC)
        # joined end to end without a seam, since it drifts in a circle
        blend = np.linspace(0, 1, width // 2, dtype=np.float32)
        ripple[:, -blend.size :] = paint.mix(ripple[:, -blend.size :], ripple[:, : blend.size], blend)
        self.ripple = ripple[:, blend.size :]

    def frame(self, n: int) -> NDArray[np.uint8]:
        """Frame n, (height, width, 3), RGB, 0..255."""
        time = n / PAN_PERIOD * 2 * np.pi
        pan = self.reach * np.sin(time - 0.35)
        lift = 0.004 * self.height * np.sin(n * 0.11) + 0.002 * self.height * np.sin(n * 0.23 + 1)

        frame = self.sky[..., :3].copy()
        self._place(frame, self.clouds, -self.width * 0.3 - n * 0.0011 * self.height, lift * 0.1)
        for layer in (self.mountains, self.hills):
            self._hang(frame, layer, pan, lift)
        self._lake(frame, n, lift)
        self._sail(frame, n, pan, lift)
        self._hang(frame, self.bank, pan, lift)
        self._turn_mill(frame, n, pan, lift)
        self._hang(frame, self.meadow, pan, lift)
        sway = 0.006 * self.height * np.sin(n * 0.09)
        near = self.width - 0.40 * self.height - pan * self.tree.depth + sway
        self._place(frame, self.tree.art, near, self.tree.top + lift * self.tree.depth)
        return self._develop(frame, n)

    def _place(self, frame: Array, art: Array, left: float, top: float) -> None:
        """Lay `art` with its corner at a fractional position."""
        move = np.array([[1, 0, left], [0, 1, top]], np.float32)
        # cubic: linear would soften the picture by an amount that changes with the fraction, which no camera does
        moved = cv2.warpAffine(art, move, (self.width, self.height), flags=cv2.INTER_CUBIC)
        _over(frame, moved)

    def _hang(self, frame: Array, layer: _Layer, pan: float, lift: float) -> None:
        spare = (layer.art.shape[1] - self.width) / 2
        self._place(frame, layer.art, -spare - pan * layer.depth, layer.top + lift * layer.depth)

    def _lake(self, frame: Array, n: int, lift: float) -> None:
        """The far shore mirrored in moving water."""
        first, last = round(self.height * paint.SHORE + lift * 0.22), round(self.height * (paint.BANK + 0.05))
        rows = last - first
        deep = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
        drift = [np.roll(self.ripple, round(s * n * self.height / 360), 1) for s in (0.9, -0.6)]
        wave = drift[0][:rows, : self.width] + drift[1][rows : 2 * rows, -self.width :] - 1.0
        columns = np.arange(self.width, dtype=np.float32)[None, :]
        from_x = (columns + wave * self.height * 0.03).astype(np.float32)
        from_y = (
            first - 2 - 1.9 * np.arange(rows, dtype=np.float32)[:, None] + wave * self.height * (0.02 + 0.16 * deep)
        )
        from_y = np.clip(from_y, 0, first - 1)
        mirror = cv2.remap(frame, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        water = paint.mix(mirror, (58, 92, 116), (0.25 + 0.30 * deep)[..., None])
        glint = np.clip(wave - 0.20, 0, 1) * (0.9 - 0.5 * deep)
        frame[first:last] = np.clip(water * (1 + 0.30 * wave[..., None]) + 300 * glint[..., None], 0, 255)

    def _sail(self, frame: Array, n: int, pan: float, lift: float) -> None:
        """The boat crosses from left to right, rocking, with its mirror image under it."""
        side = self.boat.shape[0]
        x = self.width * 0.16 + n * 0.0022 * self.height - pan * 0.42
        y = self.height * 0.655 + lift * 0.42
        angle = 2.0 * np.sin(n * 0.10)
        for flip in (True, False):
            art = self.boat[::-1] * np.float32(0.35) if flip else self.boat
            pivot = (side / 2, side * (0.25 if flip else 0.75))
            move = cv2.getRotationMatrix2D(pivot, -angle if flip else angle, 1.0)
            move[:, 2] += (x - pivot[0], y - pivot[1])
            _over(frame, cv2.warpAffine(art, move, (self.width, self.height), flags=cv2.INTER_LINEAR))

    def _turn_mill(self, frame: Array, n: int, pan: float, lift: float) -> None:
        rows, columns = self.mill.shape[:2]
        left = self.width * 0.62 - pan * 0.76
        top = self.height * (paint.BANK + 0.03) - rows + lift * 0.76
        self._place(frame, self.mill, left, top)
        side = self.sails.shape[0]
        hub = (left + columns * 0.5, top + rows * 0.19)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), n * 1.6, 1.0)
        turn[:, 2] += (hub[0] - side / 2, hub[1] - side / 2)
        _over(frame, cv2.warpAffine(self.sails, turn, (self.width, self.height), flags=cv2.INTER_LINEAR))

    def _develop(self, frame: Array, n: int) -> NDArray[np.uint8]:
        """What the camera adds: darker corners and grain, new in every frame."""
        y = np.linspace(-1, 1, self.height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, self.width, dtype=np.float32)[None, :]
        corner = 1 - 0.16 * smooth_square(x, y)
        rng = np.random.default_rng((self.seed, n))
        grain = rng.normal(0, 1.6, (self.height, self.width)).astype(np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), 0.55) * 1.5
        return np.clip(frame * corner[..., None] + grain[..., None] + 0.5, 0, 255).astype(np.uint8)


def smooth_square(x: Array, y: Array) -> Array:
    """0 in the middle of the picture, 1 in its corners."""
    return ((x * x + y * y) / 2) ** 2
