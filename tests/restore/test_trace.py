"""Tracing and sampling of copies on a panning texture whose motion is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from vswipe.restore.compare import DEFAULT, Tuning
from vswipe.restore.propagate import Found, Group, Layer, Rim, RimPoints, Target, follow, gather, gather_rim
from vswipe.restore.search import HIDDEN
from vswipe.restore.trace import Box, Window, bounds

CELL = 2
HEIGHT, WIDTH = 24, 40  # cells
LENGTH = 9
STEP = 3  # cells a frame: the picture moves left, so later frames show what lay further right
HOLE = (slice(10, 13), slice(14, 26))  # cells
PLAIN = replace(DEFAULT, register=False)


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    rng = np.random.default_rng(3)
    rough = rng.uniform(40, 210, (HEIGHT + 4, WIDTH + LENGTH * STEP + 4))
    smooth = sum(np.roll(rough, (y, x), (0, 1)) for y in range(3) for x in range(3)) / 9
    return np.repeat(np.repeat(smooth, CELL, 0), CELL, 1).astype(np.float32)


def picture(texture: np.ndarray, n: int) -> np.ndarray:
    """(h, w, 1) pixels of frame n."""
    return texture[: HEIGHT * CELL, n * STEP * CELL : (n * STEP + WIDTH) * CELL, None]


def window(texture: np.ndarray, cut: int | None = None, second: float = 0.0) -> Window:
    """Frames with the hole in every one.

    Args:
        cut: pair that is no pair.
        second: cells by which the second completion is wrong.
    """
    valid = np.ones((HEIGHT, WIDTH, 1), np.float32)
    valid[HOLE] = 0
    colours = [picture(texture, n)[::CELL, ::CELL] for n in range(LENGTH)]
    flow = np.zeros((2, HEIGHT, WIDTH, 3), np.float32)
    flow[..., 0] = -STEP
    flow[1, ..., 1] += second
    back = flow * np.array([-1, -1, 1], np.float32)
    pairs = LENGTH - 1
    return Window(
        first=0,
        colour=[torch.from_numpy(c * (valid > 0)) for c in colours],
        valid=[torch.from_numpy(valid)] * LENGTH,
        weighted=[torch.from_numpy(np.concatenate([c * valid, valid], -1)) for c in colours],
        forward=[torch.from_numpy(flow)] * pairs,
        backward=[torch.from_numpy(back)] * pairs,
        linked=[n != cut for n in range(pairs)],
    )


def propagate(window: Window, groups: Sequence[Group], targets: Sequence[Target], radius: int,
              tuning: Tuning = DEFAULT, box: Box | None = None) -> Found:  # fmt: skip
    """Copies from both directions, as the engine gathers them."""
    trails = [follow(window, groups, targets, direction, radius, tuning, box) for direction in (1, -1)]
    return gather(groups, targets, trails)


def group(texture: np.ndarray, own_masks: bool = False) -> Group:
    """One plane; `own_masks`: an object of its own for every frame's mask."""
    mask = np.zeros((HEIGHT * CELL, WIDTH * CELL, 1), np.uint16)
    mask[HOLE[0].start * CELL : HOLE[0].stop * CELL, HOLE[1].start * CELL : HOLE[1].stop * CELL] = HIDDEN
    masks = {n: mask.copy() if own_masks else mask for n in range(LENGTH)}
    layer = Layer(lambda n: [picture(texture, n)], 1.0, (0.0,), slice(0, 1))
    return Group(CELL, CELL, 0, 0, masks.__getitem__, (layer,))


def targets(*numbers: int) -> list[Target]:
    y, x = np.mgrid[HOLE[0].start * CELL : HOLE[0].stop * CELL, HOLE[1].start * CELL : HOLE[1].stop * CELL]
    points = torch.from_numpy(np.stack([x.ravel(), y.ravel()], 1).astype(np.float32))
    return [Target(n, [points]) for n in numbers]


def test_copies_are_the_hidden_pixels_from_the_first_frame_that_shows_them(texture: np.ndarray) -> None:
    (found,) = propagate(window(texture), [group(texture)], targets(4), 4, PLAIN)[4]
    values, logits = found[0].values[:, :, 0, 0], found[0].logits
    x, y = targets(4)[0].points[0].long().T
    truth = torch.from_numpy(picture(texture, 4)[y.numpy(), x.numpy(), 0].copy())
    assert bool(torch.isfinite(logits).all())
    assert values.shape == (4, len(truth))  # two directions, two completions
    assert (values - truth).abs().max() < 1.5

    trail = follow(window(texture), [group(texture)], targets(4), 1, 4, PLAIN)
    finds = trail.finds[0]
    # Going on to later frames the picture moves left: columns near the hole's left border come out first.
    columns = x[finds.block] // CELL - HOLE[1].start
    steps = finds.source - 4
    assert torch.equal(steps, columns // STEP + 1)


@pytest.mark.parametrize("own_masks", [False, True])
def test_what_a_frame_gets_does_not_depend_on_its_company(texture: np.ndarray, own_masks: bool) -> None:
    scene = window(texture, second=0.3)
    box = bounds(scene.valid, DEFAULT)
    groups = [group(texture, own_masks)]
    together = propagate(scene, groups, targets(2, 3, 4, 6), 4, DEFAULT, box)
    for n in (2, 3, 4, 6):
        alone = propagate(scene, groups, targets(n), 4, DEFAULT, box)[n]
        assert torch.equal(alone[0][0].values, together[n][0][0].values)
        assert torch.equal(alone[0][0].logits, together[n][0][0].logits)


def rims(scene: Window, own: Group, wanted: Sequence[Target]) -> dict[int, Rim]:
    trails = [follow(scene, [own], wanted, direction, 4, PLAIN) for direction in (1, -1)]
    return gather_rim(own, wanted, trails)


def beside(away: tuple[int, int], *numbers: int) -> tuple[list[Target], np.ndarray, np.ndarray]:
    """Targets with one block beside every hidden one, `away` from it, and where these blocks are."""
    given = targets(*numbers)
    points = given[0].points[0]
    rim = RimPoints(torch.arange(len(points)), torch.tensor(away, dtype=torch.float32).expand(len(points), 2))
    x, y = (points + rim.away).long().T.numpy()
    return [replace(target, rim=rim) for target in given], x, y


def test_beside_the_hole_the_copies_go_on(texture: np.ndarray) -> None:
    above = (0, -2 * CELL * (HOLE[0].stop - HOLE[0].start))  # all of it visible
    wanted, x, y = beside(above, 4)
    truth = torch.from_numpy(picture(texture, 4)[y, x, 0].copy())
    right = rims(window(texture), group(texture), wanted)[4]
    assert bool(right.there.all())
    assert right.values.shape == (4, len(truth), 1)
    assert (right.values[..., 0] - truth).abs().max() < 1.5
    # A wrong motion shows there, in the candidates that it led to.
    error = (rims(window(texture, second=0.5), group(texture), wanted)[4].values[..., 0] - truth).abs().mean(1)
    assert error[0] < 1.5 < 4 < error[1]


def test_what_the_other_frame_hides_or_no_frame_shows_is_not_there(texture: np.ndarray) -> None:
    wanted, _, _ = beside((2 * CELL, 0), 4)  # within the hole, mostly
    rim = rims(window(texture), group(texture), wanted)[4]
    assert 0.1 < rim.there.float().mean() < 0.9
    cut = rims(window(texture, cut=4), group(texture), wanted)[4]
    assert not bool(cut.there[:2].any())
    assert not bool(cut.values[:2].any())
    assert bool(cut.there[2:].any())


def test_what_lies_beside_a_hole_does_not_depend_on_its_company(texture: np.ndarray) -> None:
    wanted, _, _ = beside((0, -CELL), 2, 4, 6)
    wanted[1] = replace(wanted[1], rim=None)  # not asked for
    together = rims(window(texture), group(texture), wanted)
    assert set(together) == {2, 6}
    for target in (wanted[0], wanted[2]):
        alone = rims(window(texture), group(texture), [target])[target.n]
        assert torch.equal(alone.values, together[target.n].values)
        assert torch.equal(alone.there, together[target.n].there)


def test_nothing_is_copied_across_a_cut(texture: np.ndarray) -> None:
    trail = follow(window(texture, cut=4), [group(texture)], targets(4), 1, 4, PLAIN)
    assert trail.finds[0].block.numel() == 0
    trails = [trail, follow(window(texture, cut=4), [group(texture)], targets(4), -1, 4, PLAIN)]
    (copies,) = gather([group(texture)], targets(4), trails)[4]
    assert bool(torch.isinf(copies[0].logits[:2]).all())
    assert bool(torch.isfinite(copies[0].logits[2:]).all())


def test_completions_that_agree_are_looked_at_once_and_serve_both(texture: np.ndarray) -> None:
    (copies,) = propagate(window(texture), [group(texture)], targets(4), 4, PLAIN)[4]
    assert torch.equal(copies[0].values[0], copies[0].values[1])
    (apart,) = propagate(window(texture, second=0.5), [group(texture)], targets(4), 4, PLAIN)[4]
    assert not torch.equal(apart[0].values[0], apart[0].values[1])
    assert (apart[0].logits[0] > apart[0].logits[1]).float().mean() > 0.9  # the true motion fits better


def test_a_window_of_one_frame_gives_nothing(texture: np.ndarray) -> None:
    whole = window(texture)
    one = Window(0, whole.colour[:1], whole.valid[:1], whole.weighted[:1], [], [], [])
    (copies,) = propagate(one, [group(texture)], targets(0), 3, PLAIN)[0]
    assert bool(torch.isinf(copies[0].logits).all())
