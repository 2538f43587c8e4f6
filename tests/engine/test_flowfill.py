"""Learned completion of motion in the engine: untrained nothing changes, trained it is used under the guard only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from vswipe.engine.flowfill import FlowFill, Pair
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.region import Rect
from vswipe.engine.settings import Settings
from vswipe.nets import create
from vswipe.training import flow_data
from vswipe.training.flow_set import PairSet, batch_of, crop_of, errors, loss_of

CPU = torch.device("cpu")


def pair(guarded: bool = True) -> Pair:
    rng = np.random.default_rng(0)
    size = (30, 44)
    guard = np.zeros(size, np.uint8)
    guard[10:20, 16:30] = guarded

    def motion(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        first, second = rng.normal(0, 0.5, (2, *shape, *size, 2)).astype(np.float32)
        return first, second

    pictures = tuple(rng.uniform(20, 200, (2, *size)).astype(np.float32))
    valid = (1 - guard).astype(np.float32)
    return Pair(0, Rect(0, 0, 60, 88), pictures, motion(), motion(2), (guard, guard), (valid, valid), (valid, valid))


def biased(steps: bool = False) -> Any:
    net = create("flow", steps=steps)
    net.last.bias.data[2] = 1.0
    return net


@pytest.mark.parametrize("steps", [False, True])
def test_motion_changes_under_the_guard_only(steps: bool) -> None:
    given = pair()
    same = FlowFill(create("flow", steps=steps), CPU, False).complete(given)
    changed = FlowFill(biased(steps), CPU, False).complete(given)
    for before, untrained, after, guard in zip(given.completed, same, changed, given.guards, strict=True):
        assert np.array_equal(untrained, before)
        assert np.array_equal(after[1], before[1])
        assert np.array_equal(after[0][guard == 0], before[0][guard == 0])
        assert (after[0][guard > 0][..., 0] > before[0][guard > 0][..., 0]).all()
    nothing = pair(guarded=False)
    assert FlowFill(biased(), CPU, False).complete(nothing) is nothing.completed


def test_the_copy_stage_uses_it() -> None:
    """A trained network reaches the frames; an untrained one is the copy stage bit for bit."""
    rng = np.random.default_rng(1)
    art = cv2.resize(rng.uniform(0, 255, (40, 50)).astype(np.float32), (200, 160), interpolation=cv2.INTER_CUBIC)
    luma = [np.clip(art[2 * n : 2 * n + 80, 3 * n : 3 * n + 112], 0, 255).astype(np.uint8) for n in range(7)]
    mask = np.zeros((80, 112), np.uint8)
    mask[36:46, 30:70] = 1
    fmt = PictureFormat(112, 80, "GRAY", 8)

    def erased(net: Any) -> list[np.ndarray]:
        pipeline = Pipeline(fmt, 7, Settings())
        if net is not None:
            pipeline.motion = FlowFill(net, CPU, False)
        out = [plane.copy() for plane in luma]
        frames = {n: Frame(n, (plane,), {}) for n, plane in enumerate(luma)}
        pipeline.render(0, 7, frames, dict.fromkeys(range(7), mask), lambda n: (out[n],))
        return out

    plain, untrained, trained = erased(None), erased(create("flow")), erased(biased())
    assert all(np.array_equal(a, b) for a, b in zip(plain, untrained, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(plain, trained, strict=True))


def test_what_both_frames_show_corrects_the_motion() -> None:
    """The diffused motion errs by half a cell everywhere; what shows beside the mark says so, and it is taken."""
    rng = np.random.default_rng(3)
    art = cv2.GaussianBlur(rng.uniform(0, 255, (40, 60)).astype(np.float32), (0, 0), 1.5)
    matrix = np.array([[1, 0, 0.5], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(art, matrix, (60, 40), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    guard, valid = np.zeros((2, 40, 60), np.float32)
    guard[8:32, 8:52] = 1
    valid[:] = 1
    valid[16:24, 16:44] = 0
    still = np.zeros((40, 60, 2), np.float32)
    both = np.stack([still, still])
    guards = guard.astype(np.uint8), guard.astype(np.uint8)
    given = Pair(0, Rect(0, 0, 80, 120), (art, moved), (still, still), (both, both), guards, (valid, valid),
                 (valid, valid))  # fmt: skip
    net = create("flow", steps=True)
    net.stepped.bias.data[0] = 1.5 * np.arctanh(1 / 1.5)  # a share of one
    there, back = FlowFill(net, CPU, False).complete(given)
    for motion, expected in ((there[0], 0.5), (back[0], -0.5)):
        assert np.abs(motion[guard > 0] - (expected, 0)).max() < 0.12


def test_it_is_told_which_parts_were_copied() -> None:
    """A box over a still picture that goes away: near that frame the first pass copies, further away it cannot."""
    rng = np.random.default_rng(1)
    art = cv2.resize(rng.uniform(0, 255, (20, 28)).astype(np.float32), (112, 80), interpolation=cv2.INTER_CUBIC)
    luma = np.clip(art, 0, 255).astype(np.uint8)
    mask = np.zeros((80, 112), np.uint8)
    mask[30:52, 30:80] = 1
    pairs: dict[int, Pair] = {}

    class Listening:
        def complete(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
            pairs[pair.n] = pair
            return pair.completed

    pipeline = Pipeline(PictureFormat(112, 80, "GRAY", 8), 24, Settings())
    pipeline.motion = Listening()
    frames = {n: Frame(n, (luma.copy(),), {}) for n in range(24)}
    pipeline.render(0, 8, frames, {n: mask if n < 20 else None for n in range(24)}, lambda n: (luma.copy(),))
    hidden = pairs[2].valid[0] == 0
    near = {n: float(pair.known[0][hidden].mean()) for n, pair in pairs.items()}
    assert max(near[n] for n in range(16)) < 0.2
    assert min(near[n] for n in range(16, 23)) > 0.8
    assert pairs[19].known[1].min() == 1
    assert all(pair.known[k][pair.valid[k] == 1].min() == 1 for pair in pairs.values() for k in (0, 1))


def test_between_a_copy_and_a_fill_nothing_is_bettered() -> None:
    given = pair()
    guard = given.guards[0] > 0
    nothing, everything = np.zeros(guard.shape, np.float32), np.ones(guard.shape, np.float32)

    def added(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        out = FlowFill(biased(), CPU, False).complete(replace(given, known=(first, second)))
        return np.abs(out[0][0] - given.completed[0][0])[guard][:, 0]  # it says something of x only

    assert (added(nothing, everything) == 0).all()
    assert (added(everything, nothing) == 0).all()
    assert (added(nothing, nothing) > 0).all()
    assert np.array_equal(added(nothing, nothing), added(everything, everything))
    assert np.array_equal(added(everything, everything), added(everything, 0.5 * everything))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow")
    torch.set_num_threads(1)
    flow_data.make_noise(path, 2)
    return path


def test_samples_hold_the_clean_motion(folder: Path) -> None:
    """The noise drifts by one pixel, half a cell, per frame; the second picture read along it is the first."""
    (samples,) = PairSet(folder, False).windows.values()
    batch = batch_of([crop_of(sample, None) for sample in samples])
    inside = batch.guard.expand_as(batch.truth) > 0
    assert torch.allclose(batch.truth.abs()[inside].mean(), torch.tensor(0.5), atol=0.1)
    assert float(errors(batch, batch.truth)[1].mean()) < 0.6 * float(errors(batch, 0 * batch.truth)[1].mean())
    assert float(errors(batch, batch.truth)[0].max()) < 0.02


def test_some_steps_lower_the_loss(folder: Path) -> None:
    torch.manual_seed(0)
    batch = PairSet(folder, False).batch(np.random.default_rng(1), 4)
    net = create("flow", width=0.34, steps=True).train()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(16):
        total, terms = loss_of(batch, net(batch.planes, batch.measured, batch.affine))
        if not losses:
            assert terms["hole"] == pytest.approx(terms["base"])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.9 * losses[0]
