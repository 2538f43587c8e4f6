"""The compiled loops over the grid do on the CPU what torch does on other devices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vswipe.ops.compiled import single
from vswipe.restore import compare as comparing
from vswipe.restore.cells import _covered, close_points
from vswipe.restore.compare import DEFAULT, compare
from vswipe.restore.search import HIDDEN, Look, OpenPoints, Points, Search, _reads_hidden, hidden_at
from vswipe.restore.trace import Window, _Tracer

HEIGHT, WIDTH, CELL = 30, 44, 4
BOX = (3, 27, 4, 40)


def tensor(rng: np.random.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))


def pictures(rng: np.random.Generator, channels: int, brighter: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture with its visible share, and another, alike, its colour multiplied by its share; some of both hidden."""
    colour = tensor(rng, HEIGHT, WIDTH, channels, low=40, high=200)
    valid, there = (tensor(rng, HEIGHT, WIDTH, 1, low=-0.3, high=1.6).clamp(0, 1) for _ in range(2))
    other = colour + tensor(rng, HEIGHT, WIDTH, channels, low=-6, high=6) - brighter
    return torch.cat([colour, valid], -1), torch.cat([other * there, there], -1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("brighter", [0.0, 30.0])  # the second fades
def test_comparison(channels: int, brighter: float) -> None:
    rng = np.random.default_rng(channels)
    own, other = zip(*(pictures(rng, channels, brighter) for _ in range(2)), strict=True)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    position = torch.stack([x, y], -1) + tensor(rng, 2, HEIGHT, WIDTH, 2, low=-3, high=3)
    path = tensor(rng, 2, HEIGHT, WIDTH, high=2)
    ours = compare(own, other, position, path, DEFAULT)
    theirs = comparing._compare_tensors(torch.stack(own), other, position, path, DEFAULT)
    # OpenCV may round positions to 1/32 cell.
    assert (ours - theirs).abs().mean((0, 1, 2)).max() < 0.1
    assert (ours - theirs).abs().amax((0, 1, 2))[:2].max() < 0.2


def tracers(seed: int) -> tuple[_Tracer, _Tracer]:
    """Two of one scene."""
    rng = np.random.default_rng(seed)
    length = 4
    valid = [tensor(rng, HEIGHT, WIDTH, 1, low=-0.5, high=1.8).clamp(0, 1) for _ in range(length)]
    colour = [tensor(rng, HEIGHT, WIDTH, 1, high=255) for _ in range(length)]
    flow = [tensor(rng, 2, HEIGHT, WIDTH, 3, low=-2, high=2) for _ in range(length - 1)]
    weighted = [torch.cat([c * v, v], -1) for c, v in zip(colour, valid, strict=True)]
    window = Window(0, colour, valid, weighted, flow, flow, [True] * (length - 1))
    search = Search((CELL, CELL), lambda n: mask(seed + n), [Points(n, centres()) for n in (0, 1)])
    first, second = (_Tracer(window, [search], 1, BOX, replace(DEFAULT, register=False)) for _ in range(2))
    return first, second


def mask(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ((rng.random((HEIGHT * CELL, WIDTH * CELL, 1)) < 0.2) * HIDDEN).astype(np.uint16)


def centres() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(20, 100), torch.arange(24, 150), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).float()


def test_following() -> None:
    ours, theirs = tracers(5)
    for k in (1, 2):
        flows = [ours.window.forward[i + k - 1] for i in ours.slots]
        there = [theirs.window.valid[t] for t in theirs._sources(k)]
        visible, gains = ours._advance(k, flows)
        expected, wanted = theirs._advance_tensors(flows, there)
        assert (ours.position - theirs.position).abs().max() < 0.15  # rounded positions, twice
        assert (ours.path - theirs.path).abs().max() < 0.15
        assert (visible - expected).abs().mean() < 0.02
        assert gains == pytest.approx(wanted, abs=0.03)
        assert torch.equal(ours.alike, theirs.alike)


def test_closing() -> None:
    rng = np.random.default_rng(2)
    height, width = BOX[1] - BOX[0], BOX[3] - BOX[2]
    search = Search((CELL, CELL), mask, [Points(n, centres()) for n in (0, 1)])
    ours, theirs = (OpenPoints(search, BOX, 2, 4) for _ in range(2))
    y, x = torch.meshgrid(torch.arange(BOX[0], BOX[1]), torch.arange(BOX[2], BOX[3]), indexing="ij")
    for source, c, serves in ((3, 0, True), (4, 0, False), (4, 1, False), (5, 1, False)):
        position = torch.stack([x, y], -1) + tensor(rng, height, width, 2, low=-2, high=2)
        visible = (tensor(rng, height, width) - 0.9).clamp(min=0)
        looks = [Look(i, source, serves, visible, position, tensor(rng, height, width, 4)) for i in (0, 1)]
        ours.take(c, looks)
        for look, gone in zip(looks, theirs._close(c, looks), strict=True):
            for other in (0, 1) if serves else (c,):
                theirs.left[other][look.target] -= gone
        # Of what is read at the very edge of a pixel, a rounded position may read less.
        assert (ours.open != theirs.open).float().mean() < 0.002
    assert 0.3 < ours.open.float().mean() < 0.9
    for points in (ours, theirs):
        assert points.left == [[int(points.open[c, rows].sum()) for rows in points.rows] for c in range(2)]
    both = ~ours.open & ~theirs.open & (ours.source == theirs.source)
    assert both.sum() > 0.9 * (~ours.open).sum()
    assert torch.allclose(ours.where[both], theirs.where[both], atol=1e-3)
    assert torch.allclose(ours.facts[both], theirs.facts[both], atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "covered"),
    [(5.0, 4.0, False), (5.01, 4.0, True), (4.99, 4.0, False), (5.0, 4.001, False), (7.0, 4.0, False), (6.0, 4.0, True),
     (-0.001, 4.0, True), (9.0, 4.0, False), (9.001, 4.0, True), (3.0, 7.0, False), (3.0, 7.01, True)],
)  # fmt: skip
def test_nothing_is_taken_whose_sample_would_read_a_hidden_pixel(x: float, y: float, covered: bool) -> None:
    hidden = np.zeros((8, 10, 1), np.uint16)
    hidden[:, 6] = HIDDEN
    position = np.full((1, 1, 2), (x, y), np.float32)
    is_open, zero = np.ones(1, bool), np.zeros(1, np.int64)
    near, share = np.zeros((1, 2), np.int64), np.zeros((1, 2), np.float32)
    source, where, facts = np.zeros(1, np.int64), np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32)
    closed = close_points(
        np.ones((1, 1), np.float32), near, zero, share, share, (single(1), single(1)), (0, 0), position,
        np.zeros((1, 1, 3), np.float32), hidden, 8, is_open, source, where, facts,
    )  # fmt: skip
    assert closed == int(not covered)
    assert bool(is_open[0]) is covered
    if not covered:
        assert source[0] == 8
        assert where[0].tolist() == pytest.approx([x, y])


def test_points_on_pixels_read_no_others() -> None:
    """A point beside the mark is visible, by whatever hair rounding has moved it; one that lies between is not."""
    mask = np.zeros((9, 12, 1), np.uint16)
    mask[3:6, 4:8] = HIDDEN
    y, x = np.mgrid[:9, :12]
    whole = np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)
    rng = np.random.default_rng(4)
    for moved, near in ((0, True), (3e-4, True), (0.05, False)):
        points = whole + rng.choice([-moved, moved], whole.shape).astype(np.float32)
        at = torch.from_numpy(points)
        away = _reads_hidden(torch.from_numpy(mask[..., 0] != 0), at).numpy()
        assert np.array_equal(away, [_covered(mask, px, py) for px, py in points])
        visible = (mask[..., 0] == 0).reshape(-1)
        beyond = ((points < -moved / 2) | (points > np.array([11, 8]) + moved / 2)).any(1) & (moved > 1e-3)
        assert away[beyond].all()
        assert away[visible].any() != near
        if not moved:
            assert np.array_equal(away, hidden_at(mask, at).numpy())
