"""The painted layers of the sample clip: sky, clouds, mountains, hills, bank, meadow, tree, and the things that move.

Every painter takes the picture's height and a width in pixels and returns one layer as a (rows, width, 4) float32 array
of premultiplied RGB (0..255) and alpha (0..1). Layers are painted once, at twice the size, and brought down by area
averaging, so that edges are soft as a camera makes them; `scene.py` moves them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 throughout; NumPy's own functions are typed as if they widened it
Colour = tuple[float, float, float]

SUPER = 2  # painted at twice the size

SHORE = 0.575  # far shore of the lake, share of the height
BANK = 0.735  # near bank
HAZE: Colour = (236.0, 214.0, 196.0)  # what far things fade into
SUN: tuple[float, float] = (0.70, 0.37)  # share of width, share of height


def noise(shape: tuple[int, int], cell: tuple[float, float], rng: np.random.Generator, octaves: int = 5) -> Array:
    """Smooth fractal noise, 0..1.

    Args:
        shape: rows, columns.
        cell: size of the coarsest lump in pixels, vertical and horizontal.
        rng: source of randomness.
        octaves: each one halves the lumps and their weight.
    """
    rows, columns = shape
    total = np.zeros(shape, np.float32)
    weight, weights = 1.0, 0.0
    for octave in range(octaves):
        scale = 2.0**octave
        grid = (max(2, round(rows / cell[0] * scale) + 2), max(2, round(columns / cell[1] * scale) + 2))
        lumps = rng.random(grid, dtype=np.float32)
        total += weight * cv2.resize(lumps, (columns, rows), interpolation=cv2.INTER_CUBIC)
        weights += weight
        weight *= 0.5
    return np.clip(total / weights, 0, 1)


def smoothstep(low: float, high: float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, an S between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array | Colour, b: Array | Colour, t: Array | float) -> Array:
    """`a` where t is 0, `b` where it is 1."""
    weight = np.asarray(t, np.float32)
    return np.asarray(a, np.float32) * (1 - weight) + np.asarray(b, np.float32) * weight


def finish(rgb: Array, alpha: Array) -> Array:
    """Premultiplied layer at final size from a canvas painted at `SUPER` times the size."""
    layer = np.dstack([np.clip(rgb, 0, 255) * alpha[..., None], alpha]).astype(np.float32)
    rows, columns = layer.shape[:2]
    return cv2.resize(layer, (columns // SUPER, rows // SUPER), interpolation=cv2.INTER_AREA)


def _below(edge: Array, rows: int) -> Array:
    """Alpha of everything under a skyline given as a row number per column."""
    return np.clip(np.arange(rows, dtype=np.float32)[:, None] - edge[None, :] + 0.5, 0, 1)


def _tint(colour: Colour, rng: np.random.Generator, spread: float) -> Colour:
    """A colour near `colour`: mostly lighter or darker, a little warmer or cooler."""
    light, warm = rng.normal(0, spread), rng.normal(0, spread * 0.35)
    red, green, blue = np.clip(np.array(colour) + light + (warm, 0, -warm), 0, 255).tolist()
    return red, green, blue


def sky(height: int, width: int) -> Array:
    """Evening sky with the glow of a low sun."""
    y = (np.arange(height, dtype=np.float32) / height / SHORE)[:, None, None]
    x = np.arange(width, dtype=np.float32)[None, :, None] / width
    high: Colour = (72, 118, 178)
    middle: Colour = (146, 180, 208)
    low: Colour = (250, 214, 172)
    rgb = np.where(
        y < 0.55, mix(high, middle, np.clip(y / 0.55, 0, 1)), mix(middle, low, np.clip((y - 0.55) / 0.45, 0, 1))
    )
    aspect = width / height
    far = np.sqrt(((x - SUN[0]) * aspect) ** 2 + ((y * SHORE - SUN[1]) * 1.3) ** 2)
    rgb = mix(np.broadcast_to(rgb, (height, width, 3)), (255, 232, 190), 0.75 * np.exp(-((far / 0.30) ** 2)))
    rgb = mix(rgb, (255, 250, 232), np.clip((0.050 - far) / 0.012, 0, 1))
    return np.dstack([rgb, np.ones((height, width), np.float32)]).astype(np.float32)


def clouds(height: int, width: int, rng: np.random.Generator) -> Array:
    """Cumulus bands, lit from the sun's side and grey underneath."""
    rows = round(height * SHORE)
    thick = noise((rows, width), (height * 0.20, height * 0.55), rng, 6)
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    cover = smoothstep(0.50, 0.66, thick - 0.10 * np.abs(y - 0.35))
    step = max(2, height // 60)
    lit = cv2.GaussianBlur(cover - np.roll(cover, (-step, -step), (0, 1)), (0, 0), height / 180)
    shade = np.clip(0.62 + 0.9 * lit + 0.25 * (1 - thick), 0, 1)[..., None]
    rgb = mix((158, 162, 184), (255, 246, 232), shade)
    alpha = cover * 0.92 * (1 - smoothstep(0.75, 1.0, np.broadcast_to(y, cover.shape)))
    return np.dstack([rgb * alpha[..., None], alpha]).astype(np.float32)


def mountains(height: int, width: int, rng: np.random.Generator) -> Array:
    """A far range with snow on top, hazy towards its foot."""
    rows, columns = round(height * SHORE) * SUPER, width * SUPER
    unit = height * SUPER
    lumps = noise((8, columns), (8, unit * 0.55), rng, 7)[4]
    peaks = 1 - 2 * np.abs(lumps - 0.5)
    edge = unit * (0.52 - 0.30 * (peaks - peaks.min()) / np.ptp(peaks))
    alpha = _below(edge, rows)
    relief = noise((rows, columns), (unit * 0.12, unit * 0.09), rng, 6)
    slope = cv2.GaussianBlur(relief, (0, 0), 1.2)
    slope = (slope - np.roll(slope, (SUPER * 2, -SUPER * 3), (0, 1))) * 9
    light = np.clip(0.5 + slope, 0, 1)[..., None]
    depth = (np.arange(rows, dtype=np.float32)[:, None] - edge[None, :]) / unit
    snow = smoothstep(0.03, -0.02, depth - 0.055 + 0.10 * (relief - 0.5)) * smoothstep(0.43, 0.33, edge / unit)[None, :]
    rock = mix((84, 92, 120), (150, 142, 146), light)
    rgb = mix(rock, mix((176, 190, 216), (255, 244, 232), light), snow[..., None])
    haze = smoothstep(0.26, SHORE, np.broadcast_to(np.linspace(0, SHORE, rows, dtype=np.float32)[:, None], alpha.shape))
    return finish(mix(rgb, HAZE, 0.22 + 0.62 * haze[..., None]), alpha)


def _house(canvas: Array, x: int, y: int, size: int, wall: Colour, roof: Colour) -> None:
    """A gabled house whose lower left corner is at (x, y), `size` pixels wide."""
    tall, ridge = round(size * 0.52), round(size * 0.42)
    side = tuple(c * 0.72 for c in wall)
    cv2.rectangle(canvas, (x, y - tall), (x + size, y), wall, -1, cv2.LINE_AA)
    cv2.rectangle(canvas, (x, y - tall), (x + size // 3, y), side, -1, cv2.LINE_AA)
    top = np.array(
        [[x - size // 10, y - tall], [x + size // 8, y - tall - ridge], [x + size - size // 8, y - tall - ridge]]
    )
    cv2.fillConvexPoly(canvas, np.vstack([top, [[x + size + size // 10, y - tall]]]), roof, cv2.LINE_AA)
    pane = max(2, size // 9)
    for k in range(3):
        left = x + round(size * (0.12 + 0.31 * k))
        upper = y - round(tall * 0.66)
        cv2.rectangle(
            canvas,
            (left, upper),
            (left + pane, upper + round(pane * 1.3)),
            (255, 214, 128) if k == 1 else (66, 64, 78),
            -1,
        )


def hills(height: int, width: int, rng: np.random.Generator) -> Array:
    """Wooded hills with a village at the far shore."""
    rows, columns = round(height * SHORE) * SUPER, width * SUPER
    unit = height * SUPER
    roll = noise((8, columns), (8, unit * 0.8), rng, 4)[4]
    edge = unit * (0.50 - 0.10 * (roll - 0.3))
    rgb = np.empty((rows, columns, 3), np.float32)
    rgb[:] = (70, 96, 76)
    alpha = _below(edge, rows)
    trees = columns * 3 // 2
    place_x = rng.integers(0, columns, trees)
    place_y = edge[place_x] + rng.random(trees) ** 1.1 * (unit * SHORE - edge[place_x])
    for k in np.argsort(place_y):  # far ones first
        x, y = int(place_x[k]), float(place_y[k])
        near = (y / unit - 0.44) / (SHORE - 0.44)
        tall = unit * (0.012 + 0.014 * near) * rng.uniform(0.7, 1.3)
        wide = tall * rng.uniform(0.26, 0.40)
        base = mix((112, 132, 122), (58, 88, 52), float(np.clip(near, 0, 1)))
        if rng.random() < 0.16:
            base = mix(base, (176, 128, 62), 0.6)  # a few in autumn colours
        colour = _tint(tuple(base), rng, 9)
        crown = np.array([[x - wide, y], [x, y - tall], [x + wide, y]], np.int32)
        cv2.fillConvexPoly(rgb, crown, colour, cv2.LINE_AA)
        cv2.line(
            rgb,
            (int(x + wide * 0.4), int(y)),
            (x, int(y - tall)),
            tuple(c * 1.22 + 8 for c in colour),
            SUPER - 1,
            cv2.LINE_AA,
        )
        cv2.fillConvexPoly(alpha, crown, 1.0, cv2.LINE_AA)
    shore = round(unit * SHORE) - 1
    for centre in (0.22, 0.58, 0.86):
        start = round(columns * centre)
        for k in range(5):
            size = round(unit * rng.uniform(0.034, 0.048))
            wall = _tint((232, 222, 204), rng, 10)
            roof = _tint((158, 84, 62), rng, 12)
            _house(
                rgb,
                start + round(k * unit * 0.062 + rng.uniform(0, unit * 0.01)),
                shore - round(unit * rng.uniform(0.0, 0.02)),
                size,
                wall,
                roof,
            )
    tower = round(columns * 0.58) + round(unit * 0.27)
    wide = round(unit * 0.022)
    cv2.rectangle(rgb, (tower, shore - round(unit * 0.085)), (tower + wide, shore), (226, 218, 204), -1)
    spire = np.array(
        [
            [tower - 3, shore - round(unit * 0.085)],
            [tower + wide // 2, shore - round(unit * 0.15)],
            [tower + wide + 3, shore - round(unit * 0.085)],
        ]
    )
    cv2.fillConvexPoly(rgb, spire, (92, 100, 112), cv2.LINE_AA)
    cv2.fillConvexPoly(alpha, spire, 1.0, cv2.LINE_AA)
    cv2.rectangle(rgb, (0, shore - SUPER), (columns, shore + SUPER), (186, 170, 140), -1)
    fade = np.linspace(0.30, 0.06, rows, dtype=np.float32)[:, None, None]
    return finish(mix(rgb, HAZE, fade), alpha)


def _foliage(
    canvas: Array, alpha: Array, centre: tuple[float, float], size: float, colour: Colour, rng: np.random.Generator
) -> None:
    """A leafy clump: a few hundred small ellipses, light on the sun's side and dark underneath."""
    count = int(60 + size * 2.2)
    angle, far = rng.random(count) * 2 * np.pi, np.sqrt(rng.random(count))
    dx, dy = np.cos(angle) * far, np.sin(angle) * far * 0.85
    light = 0.45 * dx - 0.75 * dy + rng.normal(0, 0.20, count)
    for k in np.argsort(light):
        leaf = size * rng.uniform(0.06, 0.13)
        at = (int(centre[0] + dx[k] * size), int(centre[1] + dy[k] * size))
        shade = tuple(
            float(c)
            for c in np.clip(np.array(colour) * (1 + 0.55 * light[k]) + (14 * light[k], 10 * light[k], 0), 0, 255)
        )
        axes = (max(1, int(leaf)), max(1, int(leaf * 0.6)))
        turn = rng.uniform(0, 180)
        cv2.ellipse(canvas, at, axes, turn, 0, 360, shade, -1, cv2.LINE_AA)
        cv2.ellipse(alpha, at, axes, turn, 0, 360, 1.0, -1, cv2.LINE_AA)


def bank(height: int, width: int, rng: np.random.Generator) -> Array:
    """Bushes, reeds and small trees along the near bank."""
    rows, columns = round(height * 0.80) * SUPER, width * SUPER
    unit = height * SUPER
    rgb, alpha = np.zeros((rows, columns, 3), np.float32), np.zeros((rows, columns), np.float32)
    rgb[:] = (74, 104, 48)
    for foot_x in range(0, columns, max(1, unit // 26)):
        size = unit * (0.014 + 0.022 * rng.random())
        _foliage(
            rgb, alpha, (foot_x + rng.uniform(-5, 5), unit * (BANK + 0.012)), size, _tint((92, 122, 52), rng, 10), rng
        )
    for centre, tall in ((0.12, 0.20), (0.175, 0.15), (0.52, 0.13), (0.71, 0.18)):
        x, foot = columns * centre, unit * (BANK + 0.02)
        cv2.line(
            rgb,
            (int(x), int(foot)),
            (int(x), int(foot - unit * tall * 0.6)),
            (78, 58, 42),
            max(2, unit // 120),
            cv2.LINE_AA,
        )
        cv2.line(
            alpha, (int(x), int(foot)), (int(x), int(foot - unit * tall * 0.6)), 1.0, max(2, unit // 120), cv2.LINE_AA
        )
        colour = _tint((104, 134, 56), rng, 12)
        for _ in range(7):
            at = (x + rng.normal(0, unit * tall * 0.16), foot - unit * tall * rng.uniform(0.5, 0.95))
            _foliage(rgb, alpha, at, unit * tall * rng.uniform(0.18, 0.26), colour, rng)
    return finish(rgb, alpha)


def meadow(height: int, width: int, rng: np.random.Generator) -> Array:
    """Grass with flowers, a footpath and a wooden fence: the ground under the subtitles."""
    rows, columns = height * SUPER, width * SUPER
    unit = rows
    top = unit * (BANK + 0.02 + 0.02 * (noise((8, columns), (8, unit * 0.7), rng, 3)[4] - 0.5))
    alpha = _below(top, rows)
    y = np.arange(rows, dtype=np.float32)[:, None] / unit
    near = np.clip((y - BANK) / (1 - BANK), 0, 1)
    patches = noise((rows, columns), (unit * 0.06, unit * 0.22), rng, 5)
    rgb = mix(
        mix((150, 160, 78), (84, 116, 44), near[..., None]),
        (172, 158, 84),
        (0.75 * smoothstep(0.48, 0.70, patches))[..., None],
    )
    # the path wanders towards the camera
    centre = columns * (0.44 + 0.05 * np.sin(y * 21)) + (near - 0.5) * unit * 0.25
    wide = unit * (0.02 + 0.10 * near)
    across = np.abs(np.arange(columns, dtype=np.float32)[None, :] - centre) / wide
    path = smoothstep(1.0, 0.75, across + 0.5 * (patches - 0.5))
    rgb = mix(rgb, mix((196, 172, 132), (150, 124, 92), patches[..., None]), 0.9 * path[..., None])
    blades = columns * 7
    place_x = rng.integers(0, columns, blades)
    place_y = unit * (BANK + 0.015 + (1.04 - BANK) * rng.random(blades) ** 0.8)
    for k in np.argsort(place_y):
        x, foot = int(place_x[k]), float(place_y[k])
        row = min(rows - 1, int(foot))
        if path[row, x] > 0.4 and rng.random() < 0.93:
            continue
        depth = (foot / unit - BANK) / (1 - BANK)
        tall = unit * (0.008 + 0.034 * depth) * rng.uniform(0.5, 1.2)
        lean = rng.normal(0.15, 0.35) * tall
        warm = float(patches[row, x])
        colour = _tint(tuple(mix((70, 108, 40), (156, 160, 74), 0.9 * warm)), rng, 17)
        thick = 1 + int(depth * 2.2 * rng.random())
        cv2.line(rgb, (x, int(foot)), (int(x + lean), int(foot - tall)), colour, thick, cv2.LINE_AA)
        cv2.line(alpha, (x, int(foot)), (int(x + lean), int(foot - tall)), 1.0, thick, cv2.LINE_AA)
        if rng.random() < 0.034:
            bloom: Colour = ((214, 62, 44), (246, 240, 226), (240, 196, 60), (132, 104, 186))[int(rng.integers(4))]
            size = max(2, int(unit * (0.0022 + 0.0052 * depth)))
            at = (int(x + lean), int(foot - tall))
            cv2.ellipse(rgb, at, (size, max(1, int(size * 0.75))), 0, 0, 360, _tint(bloom, rng, 10), -1, cv2.LINE_AA)
            cv2.circle(rgb, at, max(1, size // 3), (120, 84, 30), -1, cv2.LINE_AA)
    _fence(rgb, alpha, unit, columns, rng)
    return finish(rgb, alpha)


def _fence(rgb: Array, alpha: Array, unit: int, columns: int, rng: np.random.Generator) -> None:
    """Two rails on weathered posts, falling slowly to the right."""
    gap = unit * 0.155

    def level(x: float) -> float:
        return unit * (0.905 + 0.012 * np.sin(x / unit * 2.1) + 0.012 * x / columns)

    for rail, offset in enumerate((0.105, 0.058)):
        points = np.array([[x, level(x) - unit * offset] for x in np.arange(-gap, columns + gap, gap / 4)], np.int32)
        for thick, colour in ((0.0150, (72, 54, 42)), (0.0105, (150, 122, 96)), (0.0040, (196, 168, 134))):
            shift = np.array([0, -int(unit * (0.0150 - thick) * 0.35)])
            cv2.polylines(
                rgb, [points + shift], False, _tint(colour, rng, 4 + rail), max(1, int(unit * thick)), cv2.LINE_AA
            )
        cv2.polylines(alpha, [points], False, 1.0, max(1, int(unit * 0.0150)), cv2.LINE_AA)
    for x in np.arange(gap * 0.3, columns, gap):
        foot, half = level(x), unit * 0.0105
        top = foot - unit * 0.135 + rng.normal(0, unit * 0.003)
        for left, right, colour in (
            (-half, half, (112, 88, 68)),
            (half * 0.1, half * 0.85, (176, 148, 116)),
            (-half, -half * 0.6, (74, 56, 44)),
        ):
            cv2.rectangle(
                rgb, (int(x + left), int(top)), (int(x + right), int(foot)), _tint(colour, rng, 6), -1, cv2.LINE_AA
            )
        cv2.rectangle(alpha, (int(x - half), int(top)), (int(x + half), int(foot)), 1.0, -1, cv2.LINE_AA)


def tree(height: int, width: int, rng: np.random.Generator) -> Array:
    """The near tree at the edge of the picture: a trunk and hanging leaves."""
    rows, columns = height * SUPER, width * SUPER
    unit = rows
    rgb, alpha = np.zeros((rows, columns, 3), np.float32), np.zeros((rows, columns), np.float32)
    trunk = np.array([[0.74, 1.02], [0.775, 0.55], [0.77, 0.0], [0.90, 0.0], [0.885, 0.55], [0.95, 1.02]]) * (
        columns,
        unit,
    )
    cv2.fillPoly(alpha, [trunk.astype(np.int32)], 1.0, cv2.LINE_AA)
    bark = noise((rows, columns), (unit * 0.10, unit * 0.012), rng, 5)
    across = np.clip((np.arange(columns, dtype=np.float32)[None, :] / columns - 0.76) / 0.15, 0, 1)
    rgb[:] = mix((52, 42, 36), (138, 112, 88), np.clip(1.5 * (bark - 0.25) * (1.15 - across * 0.8), 0, 1)[..., None])
    for x, y in ((0.30, 0.05), (0.52, 0.12), (0.15, 0.0)):
        cv2.line(
            rgb,
            (int(columns * 0.82), int(unit * 0.22)),
            (int(columns * x), int(unit * y)),
            (70, 54, 44),
            unit // 70,
            cv2.LINE_AA,
        )
        cv2.line(
            alpha,
            (int(columns * 0.82), int(unit * 0.22)),
            (int(columns * x), int(unit * y)),
            1.0,
            unit // 70,
            cv2.LINE_AA,
        )
    for _ in range(44):
        x = rng.uniform(0.02, 1.0)
        y = rng.uniform(-0.04, 0.10 + 0.20 * x)
        colour = _tint((88, 112, 40) if rng.random() < 0.8 else (168, 128, 44), rng, 10)
        _foliage(rgb, alpha, (columns * x, unit * y), unit * rng.uniform(0.035, 0.06), colour, rng)
    return finish(rgb, alpha)


def boat(height: int) -> Array:
    """A small sailing boat, bow to the right; square, the waterline at 3/4 of its height."""
    side = round(height * 0.24)
    unit = side * SUPER
    rgb, alpha = np.zeros((unit, unit, 3), np.float32), np.zeros((unit, unit), np.float32)

    def shape(points: list[tuple[float, float]], colour: Colour) -> None:
        polygon = (np.array(points) * unit).astype(np.int32)
        cv2.fillPoly(rgb, [polygon], colour, cv2.LINE_AA)
        cv2.fillPoly(alpha, [polygon], 1.0, cv2.LINE_AA)

    shape([(0.475, 0.10), (0.49, 0.10), (0.495, 0.68), (0.475, 0.68)], (96, 74, 56))
    shape([(0.46, 0.14), (0.46, 0.62), (0.17, 0.62), (0.30, 0.40)], (250, 240, 222))
    shape([(0.46, 0.34), (0.46, 0.42), (0.265, 0.455), (0.315, 0.38)], (206, 76, 56))
    shape([(0.51, 0.17), (0.51, 0.63), (0.76, 0.63), (0.60, 0.42)], (232, 214, 190))
    shape([(0.16, 0.665), (0.86, 0.655), (0.76, 0.75), (0.25, 0.75)], (120, 62, 46))
    shape([(0.16, 0.665), (0.86, 0.655), (0.845, 0.68), (0.17, 0.69)], (244, 232, 212))
    return finish(rgb, alpha)


def mill(height: int) -> tuple[Array, Array]:
    """A windmill without its sails, and the sails alone (square, turning about their middle)."""
    rows, columns = round(height * 0.44) * SUPER, round(height * 0.22) * SUPER
    rgb, alpha = np.zeros((rows, columns, 3), np.float32), np.zeros((rows, columns), np.float32)
    tower = (np.array([[0.30, 1.0], [0.38, 0.22], [0.62, 0.22], [0.70, 1.0]]) * (columns, rows)).astype(np.int32)
    cap = (np.array([[0.34, 0.24], [0.42, 0.08], [0.58, 0.08], [0.66, 0.24]]) * (columns, rows)).astype(np.int32)
    across = np.clip((np.arange(columns, dtype=np.float32)[None, :, None] / columns - 0.32) / 0.36, 0, 1)
    courses = 0.94 + 0.06 * (np.arange(rows)[:, None, None] // max(2, rows // 34) % 2)
    rgb[:] = mix((150, 138, 132), (240, 226, 204), across) * courses
    cv2.fillPoly(alpha, [tower], 1.0, cv2.LINE_AA)
    cv2.fillPoly(rgb, [cap], (116, 66, 52), cv2.LINE_AA)
    cv2.fillPoly(alpha, [cap], 1.0, cv2.LINE_AA)
    for y in (0.40, 0.62):
        cv2.rectangle(
            rgb, (int(columns * 0.47), int(rows * y)), (int(columns * 0.54), int(rows * (y + 0.06))), (64, 60, 70), -1
        )
    cv2.rectangle(rgb, (int(columns * 0.45), int(rows * 0.86)), (int(columns * 0.57), rows), (92, 62, 44), -1)

    side = round(height * 0.40) * SUPER
    sails_rgb, sails_alpha = np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.float32)
    middle = side / 2
    for arm in range(4):
        turn = arm * np.pi / 2 + 0.3
        along, over = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])

        def at(distance: float, aside: float, along: NDArray = along, over: NDArray = over) -> tuple[int, int]:
            x, y = middle + side * (along * distance + over * aside)
            return int(x), int(y)

        cloth = np.array([at(0.10, 0.008), at(0.10, 0.075), at(0.46, 0.085), at(0.46, 0.008)])
        for canvas, colour in ((sails_rgb, (238, 226, 204)), (sails_alpha, 1.0)):
            cv2.fillPoly(canvas, [cloth], colour, cv2.LINE_AA)
        for distance in np.arange(0.10, 0.47, 0.06):
            cv2.line(sails_rgb, at(distance, 0.0), at(distance, 0.08), (122, 92, 66), max(1, side // 150), cv2.LINE_AA)
        spar = at(0.0, 0.0), at(0.475, 0.0)
        cv2.line(sails_rgb, *spar, (92, 68, 50), max(2, side // 60), cv2.LINE_AA)
        cv2.line(sails_alpha, *spar, 1.0, max(2, side // 60), cv2.LINE_AA)
    return finish(rgb, alpha), finish(sails_rgb, sails_alpha)
