"""Region normalisation: the published arithmetic, per clip, recorded and played back."""

import torch
import torch.nn.functional as F

from vswipe.nets import create
from vswipe.nets.rn import RNB, RNL, Moments, Tape, mix_recordings, region_norm


def published(x: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """What their code computes, in words: fill the outside with the region's mean, batch norm, scale back."""
    total = torch.zeros_like(x)
    for inside in (region, 1 - region):
        count = inside.sum().clamp_min(1)
        mean = (x * inside).sum((0, 2, 3), keepdim=True) / count
        normal = F.batch_norm(x * inside + (1 - inside) * mean, None, None, training=True, eps=1e-5)
        total += normal * torch.sqrt(count / inside.numel()) * inside
    return total


def test_region_norm_is_the_published_arithmetic() -> None:
    torch.manual_seed(0)
    x, region = torch.randn(3, 5, 9, 11) * 3 + 2, (torch.rand(3, 1, 9, 11) < 0.1).float()
    torch.testing.assert_close(region_norm(x, region), published(x, region), atol=1e-4, rtol=1e-4)


def test_regions_have_mean_zero_and_variance_one() -> None:
    torch.manual_seed(0)
    x, region = torch.randn(2, 4, 16, 16) * 3 + 2, torch.zeros(2, 1, 16, 16)
    region[..., 4:9, 4:9] = 1
    out = region_norm(x, region)
    for inside in (region > 0, region == 0):
        values = out.transpose(0, 1)[:, inside[:, 0]]
        torch.testing.assert_close(values.mean(1), torch.zeros(4), atol=1e-4, rtol=0)
        torch.testing.assert_close(values.var(1, unbiased=False), torch.ones(4), atol=1e-3, rtol=0)


def test_empty_region_is_no_harm() -> None:
    x = torch.randn(1, 2, 8, 8)
    for region in (torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)):
        out = region_norm(x, region)
        assert torch.isfinite(out).all()
        torch.testing.assert_close(out, F.instance_norm(x), atol=1e-4, rtol=0)


def test_statistics_are_per_clip_over_its_frames() -> None:
    torch.manual_seed(0)
    x, region = torch.randn(6, 4, 8, 8), (torch.rand(6, 1, 8, 8) < 0.5).float()
    both = region_norm(x, region, clips=2)
    torch.testing.assert_close(both[3:], region_norm(x[3:], region[3:], clips=1))
    assert not torch.allclose(both[3:4], region_norm(x[3:4], region[3:4]), atol=1e-3)


def test_layers_have_the_published_sizes() -> None:
    assert sum(p.numel() for p in RNL().parameters()) == 198
    assert set(RNL().state_dict()) == {
        "sa.conv1.weight", "sa.gamma_conv.weight", "sa.gamma_conv.bias", "sa.beta_conv.weight", "sa.beta_conv.bias"
    }  # fmt: skip
    assert {k: tuple(v.shape) for k, v in RNB(64).state_dict().items()} == {
        f"{side}_{what}": (64,) for side in ("foreground", "background") for what in ("gamma", "beta")
    }


def test_offsets_are_added_everywhere_only_as_published() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    for own in (False, True):
        layer = RNB(2, own)
        torch.nn.init.constant_(layer.foreground_beta, 1.0)
        torch.nn.init.constant_(layer.background_beta, 10.0)
        out = layer(torch.zeros(1, 2, 8, 8), mask)
        expected = (1.0, 10.0) if own else (11.0, 11.0)
        assert (out[..., 0, 0].unique().item(), out[..., 0, 7].unique().item()) == expected


def test_tape_played_back_is_the_window() -> None:
    """A frame alone, with the statistics of its window, comes out as in the window."""
    torch.manual_seed(5)
    net = create("rnot", own=True, width=0.25, depth=2)
    torch.nn.init.normal_(net.head.last.weight, std=0.1)
    frames, masks = torch.rand(1, 4, 3, 32, 32), torch.zeros(1, 4, 1, 32, 32)
    masks[..., 8:20, 8:24] = 1
    base = torch.rand_like(frames)
    with torch.inference_mode():
        whole = net(frames, masks, base)
        recorded, _ = net.statistics(frames, masks, base)
        memory = []
        for t in range(4):
            one = [v[:, t : t + 1] for v in (frames, masks, base)]
            memory.append(net.remember(net.encode(*one, tape=Tape(recorded)), one[1])[0][0])
        t = 2
        one = [v[:, t : t + 1] for v in (frames, masks, base)]
        played = Tape(recorded)
        features = net.encode(*one, tape=played)
        out = net.complete(features, [[m for k, m in enumerate(memory) if k != t]], *one, tape=played)
        alone = net(*one)
    assert played.position == len(recorded)
    torch.testing.assert_close(out, whole[:, t : t + 1], atol=1e-5, rtol=0)
    assert not torch.allclose(alone, whole[:, t : t + 1], atol=1e-3)


def test_mixed_tapes_and_too_few_samples() -> None:
    def moments(count: float, value: float) -> Moments:
        return Moments(torch.tensor([[count]]), torch.tensor([[value]]), torch.tensor([[value]]))

    first = [(moments(100, 0.0), moments(100, 1.0))]
    second = [(moments(100, 1.0), moments(3, 9.0))]
    (a, b) = mix_recordings(first, second, 0.25)[0]
    assert a.mean.item() == 0.25
    assert b.mean.item() == 1.0  # three samples say nothing
    assert mix_recordings(second, first, 0.25)[0][1].mean.item() == 1.0
