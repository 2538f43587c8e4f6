"""Drawn scenes as training footage: what animation and screens show, and no film in the collection does.

A scene is a few layers from far to near, each a texture that repeats itself as letters do: leaves, grass, bricks,
boards, tiles, windows, dots, weave, waves. Each drifts at its own speed. None of it is text, and much of it is as wide
and as close to its ground as the strokes of a faint line.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .codec import Planes, split_i420

Draw = Callable[[np.random.Generator, np.ndarray, np.ndarray, float], None]
MARGIN = 1.4  # of a layer over the picture, both ways: it drifts


def _colour(rng: np.random.Generator, ground: np.ndarray, contrast: float) -> tuple[float, float, float]:
    """A colour near `ground`, RGB levels."""
    shift = rng.normal(0, 0.35, 3) + rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0)
    r, g, b = np.clip(ground + contrast * shift, 0, 255)
    return float(r), float(g), float(b)


def _leaves(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    height, width = layer.shape[:2]
    size = rng.uniform(1.5, 9)
    elongated = rng.uniform(0.3, 1.0)
    for _ in range(int(min(6000, 0.9 * height * width / size**2))):
        at = int(rng.integers(width)), int(rng.integers(height))
        axes = max(1, int(size * rng.uniform(0.5, 1.3))), max(1, int(size * elongated * rng.uniform(0.5, 1.3)))
        cv2.ellipse(layer, at, axes, rng.uniform(0, 180), 0, 360, _colour(rng, ground, contrast), -1, cv2.LINE_AA)


def _grass(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    height, width = layer.shape[:2]
    length, lean = rng.uniform(6, 30), rng.normal(0, 0.4)
    for _ in range(int(min(7000, 1.5 * height * width / length / 3))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        tip = int(x + length * (lean + rng.normal(0, 0.3))), int(y - length * rng.uniform(0.5, 1.2))
        thick, colour = int(rng.integers(1, 3)), _colour(rng, ground, contrast)
        cv2.line(layer, (int(x), int(y)), tip, colour, thick, cv2.LINE_AA)


def _bricks(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    height, width = layer.shape[:2]
    h, w, gap = rng.uniform(5, 26), rng.uniform(8, 60), int(rng.integers(1, 4))
    joint, shifted = _colour(rng, ground, contrast), rng.random() < 0.7
    layer[:] = joint
    for row in range(int(height / h) + 1):
        for column in range(-1, int(width / w) + 1):
            x, y = (column + 0.5 * (shifted and row % 2)) * w, row * h
            corner = int(x + w) - gap, int(y + h) - gap
            cv2.rectangle(layer, (int(x), int(y)), corner, _colour(rng, ground, 0.3 * contrast), -1)


def _boards(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    """Fences, blinds, railings: bars of one width, upright or across."""
    height, width = layer.shape[:2]
    step = rng.uniform(4, 40)
    thick = max(1, int(step * rng.uniform(0.15, 0.7)))
    upright, bar = rng.random() < 0.6, _colour(rng, ground, contrast)
    for i in range(int((width if upright else height) / step) + 1):
        at = int(i * step)
        end = (at + thick, height) if upright else (width, at + thick)
        cv2.rectangle(layer, (at, 0) if upright else (0, at), end, bar, -1)
        if rng.random() < 0.2:
            bar = _colour(rng, ground, contrast)


def _windows(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    """Houses with rows of windows, books on shelves, signs without letters: small blocks in rows, some missing."""
    height, width = layer.shape[:2]
    h, w = rng.uniform(5, 30), rng.uniform(3, 24)
    wide, tall = rng.uniform(0.35, 0.8, 2)
    light = _colour(rng, ground, contrast)
    for row in range(int(height / h) + 1):
        for column in range(int(width / w) + 1):
            if rng.random() < 0.2:
                continue
            x, y = int(column * w), int(row * h)
            colour = light if rng.random() < 0.7 else _colour(rng, ground, contrast)
            cv2.rectangle(layer, (x, y), (int(x + w * wide), int(y + h * tall)), colour, -1)


def _dots(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    """Gravel, stars, flowers, snow."""
    height, width = layer.shape[:2]
    colours = [_colour(rng, ground, contrast) for _ in range(4)]
    largest = int(rng.integers(1, 6))
    for _ in range(int(rng.uniform(100, 3000))):
        at = int(rng.integers(width)), int(rng.integers(height))
        cv2.circle(layer, at, int(rng.integers(1, largest + 1)), colours[int(rng.integers(4))], -1, cv2.LINE_AA)


def _weave(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    """Cloth, nets, tiles and halftone: two waves across each other."""
    height, width = layer.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    a, b = np.sin(u * 2 * np.pi / rng.uniform(4, 30)), np.sin(v * 2 * np.pi / rng.uniform(4, 30))
    wave = np.clip(rng.uniform(1, 6) * (a * b if rng.random() < 0.5 else np.maximum(a, b) - 0.5), -1, 1)
    layer[:] = np.clip(layer + 0.5 * contrast * wave[..., None], 0, 255)


def _waves(rng: np.random.Generator, layer: np.ndarray, ground: np.ndarray, contrast: float) -> None:
    """Water, hills, folds, wood: curved lines that follow each other."""
    height, width = layer.shape[:2]
    x = np.arange(0, width, 4)
    step, length = rng.uniform(4, 24), rng.uniform(30, 300)
    for i in range(int(height / step) + 1):
        curve = i * step + rng.uniform(1, 8) * np.sin(2 * np.pi * x / length + rng.uniform(0, 6))
        points = np.stack([x, curve], -1).astype(np.int32)
        colour = _colour(rng, ground, contrast)
        if rng.random() < 0.3:
            cv2.fillPoly(layer, [np.concatenate([points, [[width, height], [0, height]]])], colour, cv2.LINE_AA)
        cv2.polylines(layer, [points], False, _colour(rng, ground, contrast), int(rng.integers(1, 4)), cv2.LINE_AA)


TEXTURES: tuple[Draw, ...] = (_leaves, _grass, _bricks, _boards, _windows, _dots, _weave, _waves)


def _outline(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(H, W) uint8 0..255, where a layer hides those behind it: below a ridge, a box, or a blob."""
    shape = np.zeros((height, width), np.uint8)
    kind = rng.choice(["ridge", "box", "blob"], p=[0.6, 0.25, 0.15])
    if kind == "ridge":
        along = np.arange(0, width + 8, 8)
        angle = 2 * np.pi * along / width
        waves = [rng.uniform(0, 0.08) / k * np.sin(k * angle + rng.uniform(0, 6)) for k in (1, 3, 9)]
        top = height * (rng.uniform(0.25, 0.8) + np.sum(waves, 0))
        points = np.concatenate([np.stack([along, top], -1), [[width, height], [0, height]]]).astype(np.int32)
        cv2.fillPoly(shape, [points], 255, cv2.LINE_AA)
    elif kind == "box":
        x, y = rng.uniform(0, 0.7) * width, rng.uniform(0, 0.7) * height
        corner = int(x + rng.uniform(0.1, 0.6) * width), int(y + rng.uniform(0.1, 0.8) * height)
        cv2.rectangle(shape, (int(x), int(y)), corner, 255, -1)
    else:
        at = int(rng.uniform(0, width)), int(rng.uniform(0.3, 1) * height)
        axes = int(rng.uniform(0.05, 0.3) * width), int(rng.uniform(0.05, 0.4) * height)
        cv2.ellipse(shape, at, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    return shape


def drawn_scene(rng: np.random.Generator, num_frames: int = 80) -> Planes:
    """A clip of 360 lines without text.

    Args:
        rng: chooses everything.
        num_frames: its length.

    Returns:
        Y'CbCr of 8 bits, (T, H, W) each; chroma of half the size.
    """
    height, width = 360, int(rng.choice([640, 480]))
    big = int(width * MARGIN), int(height * MARGIN)
    still = rng.random() < 0.35
    pan = np.zeros(2) if still else rng.normal(0, 1, 2) * (1.0, 0.25)
    layers = []
    count = int(rng.integers(2, 6))
    for i in range(count):
        ground = np.full(3, rng.uniform(20, 235)) + rng.normal(0, 30, 3)
        layer = np.empty((big[1], big[0], 3), np.float32)
        # From one colour to another, down the layer: skies, walls in light.
        ramp = np.linspace(0, 1, big[1], dtype=np.float32)[:, None, None]
        layer[:] = np.clip(ground + ramp * rng.normal(0, 25, 3), 0, 255)
        if i or rng.random() < 0.4:
            contrast = float(rng.choice([12.0, 30.0, 80.0], p=[0.4, 0.4, 0.2]) * rng.uniform(0.6, 1.3))
            TEXTURES[int(rng.integers(len(TEXTURES)))](rng, layer, ground, contrast)
        if rng.random() < 0.5:
            layer = cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(0.4, 2.0)))
        shape = _outline(rng, *big) if i else np.full((big[1], big[0]), 255, np.uint8)
        layers.append((layer, shape.astype(np.float32)[..., None] / 255))
    noise = float(rng.choice([0.0, 1.0, 2.5]))
    sway = float(rng.choice([0.0, rng.uniform(0.3, 2.0)]))
    room = np.array([big[0] - width, big[1] - height]) / 2
    frames = []
    for t in np.arange(num_frames) - num_frames / 2:
        picture = np.zeros((height, width, 3), np.float32)
        for i, (layer, shape) in enumerate(layers):
            drift = np.clip(pan * t * (i + 1) / count, -0.9 * room, 0.9 * room)
            x, y = np.array([big[0], big[1]]) / 2 + drift + (sway * np.sin(t / 7 + i), 0)
            part = cv2.getRectSubPix(layer, (width, height), (float(x), float(y)))
            over = cv2.getRectSubPix(shape[..., 0], (width, height), (float(x), float(y)))[..., None]
            picture += over * (part - picture)
        if noise:
            picture += rng.normal(0, noise, picture.shape[:2])[..., None]
        whole = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        frames.append(cv2.cvtColor(whole, cv2.COLOR_RGB2YUV_I420).reshape(-1))
    return split_i420(np.stack(frames), width, height)
