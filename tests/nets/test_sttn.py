"""Patch attention: patch sizes as published, the arithmetic in numpy, masks only in our own."""

import numpy as np
import pytest
import torch

from vswipe.nets import create
from vswipe.nets import sttn as module
from vswipe.nets.autosttn import DIVISIONS as AUTO
from vswipe.nets.sttn import DIVISIONS, Attention, _attend, _from_patches, _to_patches


def sizes(divisions: module.Pairs, width: int, height: int) -> list[tuple[int, int]]:
    return [(width // columns, height // rows) for rows, columns in divisions]


def test_patch_sizes_as_published() -> None:
    assert sizes(DIVISIONS, 108, 60) == [(108, 60), (36, 20), (18, 10), (9, 5)]
    assert sizes(AUTO, 160, 30) == [(80, 15), (32, 6), (10, 5), (5, 3)]


def test_published_sizes_are_accepted() -> None:
    create("sttn", width=0.125, depth=1).spec.check_size(240, 432)
    create("autosttn", width=0.125, depth=1).spec.check_size(120, 640)


def test_patches_come_back() -> None:
    x = torch.rand(4, 3, 8, 12)
    assert torch.equal(_from_patches(_to_patches(x, (4, 3), 2), (4, 3), 4, 8, 12), x)
    tokens = _to_patches(x, (4, 3), 2)
    assert tokens.shape == (2, 2 * 8, 36)
    assert torch.equal(tokens[1, 0], x[2, :, :4, :3].reshape(-1))  # first token of a clip: its first frame's corner


def test_attention_is_softmax_over_all_frames_patches() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 6, 10) for _ in range(3))
    scores = np.exp(q[0].numpy() @ k[0].numpy().T / np.sqrt(10))
    expected = scores / scores.sum(1, keepdims=True) @ v[0].numpy()
    np.testing.assert_allclose(_attend(q, k, v, None)[0].numpy(), expected, atol=1e-5)


def test_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 30, 10) for _ in range(3))
    whole = _attend(q, k, v, None)
    monkeypatch.setattr(module, "_MAX_SCORES", 240)
    torch.testing.assert_close(_attend(q, k, v, None), whole)


def test_only_our_own_hides_patches() -> None:
    torch.manual_seed(0)
    layer = Attention(16, None, ((2, 2),) * 4)
    x, hidden = torch.randn(2, 16, 4, 4), torch.zeros(2, 1, 4, 4)
    hidden[1, :, :2, :2] = 1
    changed = x.clone()
    changed[1, :, :2, :2] = 5
    with torch.inference_mode():
        masked, unmasked = layer(x, hidden, 1), layer(x, None, 1)
        assert torch.equal(masked[0], layer(changed, hidden, 1)[0])
        assert not torch.equal(unmasked[0], layer(changed, None, 1)[0])
        assert torch.isfinite(layer(x, torch.ones_like(hidden), 1)).all()


def test_published_network_attends_to_hidden_patches() -> None:
    """Reproduced, because the published weights were trained so: nothing is hidden."""
    torch.manual_seed(0)
    net = create("sttn", width=0.25, depth=1)
    seen: list[object] = []
    net.blocks = lambda features, hidden: seen.append(hidden) or features  # type: ignore[method-assign]
    with torch.inference_mode():
        net(torch.rand(1, 2, 3, 48, 48), torch.ones(1, 2, 1, 48, 48))
    assert seen == [None]


@pytest.mark.parametrize("name", ["sttn", "autosttn"])
def test_frames_encoded_and_rendered_alone_are_those_of_the_window(name: str) -> None:
    torch.manual_seed(0)
    net = create(name, own=True, width=0.25, depth=2)
    torch.nn.init.normal_(net.head.last.weight, std=0.1)
    frames, masks = torch.rand(1, 3, 3, 32, 64), torch.zeros(1, 3, 1, 32, 64)
    masks[..., 4:20, 4:40] = 1
    base = torch.rand_like(frames)
    with torch.inference_mode():
        every = net(frames, masks, base)
        alone = [[v[:, t : t + 1] for v in (frames, masks, base)] for t in range(3)]
        features = net.transform(torch.cat([net.encode(*one) for one in alone], 1), masks)
        some = net.render(features[:, 1:2], *alone[1])
    torch.testing.assert_close(some, every[:, 1:2], atol=1e-5, rtol=0)
