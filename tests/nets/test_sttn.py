"""Patch attention: patch sizes as published, the arithmetic in numpy, masks only in our own."""

import numpy as np
import pytest
import torch

from vswipe.nets import create
from vswipe.nets import sttn as module
from vswipe.nets.autosttn import DIVISIONS as AUTO
from vswipe.nets.autosttn import complete
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


def test_completion_by_hand() -> None:
    torch.manual_seed(0)
    frames, known = torch.rand(2, 3, 37, 50), torch.ones(2, 1, 37, 50)
    torch.testing.assert_close(complete(frames, known), frames)
    known[..., 10:20, 12:40] = 0
    changed = torch.where(known > 0, frames, torch.rand_like(frames))
    out = complete(frames, known)
    torch.testing.assert_close(out, complete(changed, known))  # what is hidden has no say
    assert torch.equal(out[..., 20:, :], frames[..., 20:, :])
    assert out.min() >= frames.min()
    assert out.max() <= frames.max()
    flat = torch.full_like(frames, 0.3)
    torch.testing.assert_close(complete(torch.where(known > 0, flat, frames), known), flat)
    torch.testing.assert_close(complete(frames, torch.zeros_like(known)), torch.zeros_like(frames))


def test_what_auto_sttn_sees_as_a_mark_is_completed() -> None:
    torch.manual_seed(0)
    net = create("autosttn", own=True, width=0.125, depth=1)
    frames = torch.full((1, 2, 3, 32, 64), 0.25)
    frames[..., 10:14, 20:40] = 1
    with torch.inference_mode():
        out, seen = net.erase(frames)
        torch.testing.assert_close(out, frames, atol=1e-6, rtol=0)
        assert (seen < -2).all()
        # A head that takes bright pixels for a mark and adds nothing.
        bright = torch.where(frames[0, :, :1] > 0.5, 20.0, -20.0)
        net.head.forward = lambda features, flat: (torch.zeros_like(flat), bright)
        torch.testing.assert_close(net.erase(frames)[0], torch.full_like(frames, 0.25), atol=5e-4, rtol=0)
        assert torch.equal(net(frames), net.erase(frames)[0])
        # In training the completion has a gradient, and a pixel in doubt is blended.
        doubt = torch.where(frames[0, :, :1] > 0.5, 0.2, -20.0)
        net.head.forward = lambda features, flat: (torch.zeros_like(flat), doubt)
        torch.testing.assert_close(net.erase(frames)[0], frames, atol=1e-6, rtol=0)
        between = net.train().erase(frames)[0][..., 11, 30]
        assert ((between > 0.26) & (between < 0.99)).all()
        # Nothing is known where all is a mark.
        net.eval().head.forward = lambda features, flat: (torch.zeros_like(flat), torch.full_like(flat[:, :1], 20.0))
        assert torch.equal(net.erase(frames)[0], frames)
    with pytest.raises(ValueError, match="autosttn: own must be True to say where marks are, got False"):
        create("autosttn", width=0.125, depth=1).erase(frames)
