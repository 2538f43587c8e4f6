"""Onion peeling and reading of the memory, by hand."""

import math

import numpy as np
import pytest
import torch

from vswipe.nets import _memory as memory_module
from vswipe.nets import create
from vswipe.nets._memory import Memory, any_cell, read, sampled_cell


def test_read_is_softmax_attention() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(5, 8), torch.randn(9, 8), torch.randn(9, 8)
    expected = torch.softmax(query @ key.T / math.sqrt(8), 1) @ value
    torch.testing.assert_close(read(query, [Memory(key[:4], value[:4]), Memory(key[4:], value[4:])]), expected)


def test_read_weighs_frames() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(5, 8), torch.randn(9, 8), torch.randn(9, 8)
    scores = torch.exp(query @ key.T / math.sqrt(8)) * torch.tensor([0.25] * 4 + [1.0] * 5)
    expected = scores / scores.sum(1, keepdim=True) @ value
    memory = [Memory(key[:4], value[:4]).weighted(0.25), Memory(key[4:], value[4:]).weighted(1.0)]
    torch.testing.assert_close(read(query, memory), expected)


def test_read_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    query, memory = torch.randn(50, 8), [Memory(torch.randn(20, 8), torch.randn(20, 8)).weighted(0.5)]
    whole = read(query, memory)
    monkeypatch.setattr(memory_module, "_MAX_SCORES", 60)
    torch.testing.assert_close(read(query, memory), whole)


def test_nothing_to_read() -> None:
    query = torch.randn(3, 8)
    assert torch.equal(read(query, []), torch.zeros_like(query))
    assert torch.equal(read(query, [Memory(torch.zeros(0, 8), torch.zeros(0, 8))]), torch.zeros_like(query))


def test_cells() -> None:
    mask = torch.zeros(1, 1, 1, 8, 8)
    mask[..., 0, 0] = 1  # a corner pixel: the published sample at the cell's centre misses it
    assert any_cell(mask)[0, 0].tolist() == [[True, False], [False, False]]
    assert sampled_cell(mask).max() == 0
    mask[..., 5, 5] = 1
    assert sampled_cell(mask)[0, 0, 1, 1] == 0.25


def test_rings_are_eight_pixels_and_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = create("opn", width=0.25)
    frames, masks = torch.rand(1, 2, 3, 64, 64), torch.zeros(1, 2, 1, 64, 64)
    masks[..., 12:52, 12:52] = 1  # 20 px deep: 3 rings
    missing: list[torch.Tensor] = []
    original = net.encode

    def encode(*args: torch.Tensor) -> object:
        missing.append((args[3] if len(args) > 3 else args[1])[0, 0, 0].bool().clone())
        return original(*args)

    monkeypatch.setattr(net, "encode", encode)
    with torch.inference_mode():
        out = net(frames, masks)
    assert [int(m.sum()) for m in missing] == [40 * 40, 24 * 24, 8 * 8]
    assert missing[1][20:44, 20:44].all()
    assert not (out == net.mean3d.view(3, 1, 1))[:, :, :, 12:52, 12:52].all(2).any()
    for shots, expected in ((1, 1), (2, 2), (9, 3), (0, 3)):
        missing.clear()
        with torch.inference_mode():
            net(frames, masks, shots=shots)
        assert len(missing) == expected


def test_first_ring_does_not_depend_on_the_number_of_shots() -> None:
    torch.manual_seed(0)
    net = create("opn", width=0.25)
    frames, masks = torch.rand(1, 2, 3, 64, 64), torch.zeros(1, 2, 1, 64, 64)
    masks[..., 12:52, 12:52] = 1
    with torch.inference_mode():
        two, all_rings = net(frames, masks, shots=2), net(frames, masks)
    ring = np.s_[..., 12:16, 12:52]
    torch.testing.assert_close(two[ring], all_rings[ring])
    assert not torch.allclose(two[..., 28:36, 28:36], all_rings[..., 28:36, 28:36])


def test_no_frame_reads_itself_and_references_are_respected() -> None:
    torch.manual_seed(0)
    net = create("opn", width=0.25)
    frames, masks = torch.rand(1, 3, 3, 32, 32), torch.zeros(1, 3, 1, 32, 32)
    masks[:, 0, :, 8:24, 8:24] = 1
    changed = frames.clone()
    changed[:, 2] = 0
    with torch.inference_mode():
        kept = net(frames, masks, references=[0, 1])[:, 0]
        torch.testing.assert_close(kept, net(changed, masks, references=[0, 1])[:, 0])
        assert not torch.allclose(kept, net(frames, masks, references=[2])[:, 0])
        # With itself as the only memory a frame has nothing to read.
        alone = net(frames[:, :1], masks[:, :1])[:, 0]
        torch.testing.assert_close(net(frames, masks, references=[0])[:, 0], alone)


def test_hole_over_the_whole_frame() -> None:
    net = create("opn", width=0.25)
    out = net(torch.rand(1, 2, 3, 16, 16), torch.ones(1, 2, 1, 16, 16))
    assert torch.isfinite(out).all()
