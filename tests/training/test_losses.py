import numpy as np
import pytest
import torch

from vswipe.training import losses


@pytest.fixture
def window() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 3, 24, 24, generator=generator)
    mask = torch.zeros(2, 3, 1, 24, 24)
    mask[:, :, :, 8:16, 6:18] = 1
    base = truth + 0.1 * mask
    flow, reliable = torch.zeros(2, 2, 2, 24, 24), torch.ones(2, 2, 1, 24, 24)
    pictures = {"truth": truth, "base": base, "source": base, "drawn": base}
    return {**pictures, "mask": mask, "flow": flow, "reliable": reliable}


def test_relative_loss_of_the_base_fill_by_hand(window):
    scale = losses.base_scale(window["base"], window["truth"], window["mask"])
    assert scale.tolist() == pytest.approx([0.1 + 2 / 255] * 2, abs=1e-6)
    value = losses.hole_l1(window["base"], window["truth"], window["mask"], scale)
    assert value.item() == pytest.approx(0.1 / (0.1 + 2 / 255), abs=1e-5)


def test_a_crop_without_a_hole_costs_nothing(window):
    empty = torch.zeros_like(window["mask"])
    scale = losses.base_scale(window["base"], window["truth"], empty)
    assert scale.tolist() == pytest.approx([2 / 255] * 2)
    assert losses.hole_l1(window["base"], window["truth"], empty, scale).item() == 0


def test_every_term_is_zero_for_the_truth_and_has_a_gradient_elsewhere(window):
    every = losses.Weights(1, 1, 1, 1, 1, 1)
    exact = {**window, "source": window["truth"]}
    total, terms = losses.weighted_sum(every, window["truth"], exact)
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert set(terms) == {"hole", "valid", "ring", "gradient", "laplacian", "temporal", "base"}
    assert terms["base"] == pytest.approx(0.1 / (0.1 + 2 / 255), abs=1e-5)
    wrong = window["truth"].clone()
    wrong[:, 1] += 0.2 * torch.rand_like(wrong[:, 1])  # one frame only, or nothing changes over time
    for name in set(terms) - {"base"}:
        output = wrong.clone().requires_grad_()
        alone = losses.Weights(**{**dict.fromkeys(losses.asdict(every), 0.0), name: 1.0})
        value, _ = losses.weighted_sum(alone, output, exact)
        value.backward()
        assert value.item() > 0, name
        assert output.grad.abs().sum() > 0, name


def test_ring_is_the_outer_part_of_the_hole(window):
    ring = losses.ring_mask(window["mask"], 2)[0, 0, 0]
    assert ring.sum() == 8 * 12 - 4 * 8
    assert ring[8, 6] == 1
    assert ring[12, 12] == 0
    assert ring[7, 6] == 0


def test_warp_follows_the_flow():
    later = torch.zeros(1, 1, 8, 8)
    later[0, 0, 3, 5] = 1
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0], flow[:, 1] = 2, -1  # x then y: (3, 4) looks at (5, 3)
    warped, inside = losses.backward_warp(later, flow)
    assert warped[0, 0, 4, 3].item() == pytest.approx(1)
    assert warped.sum().item() == pytest.approx(1)
    assert inside[0, 0, 0].sum() == 0  # the first row would look above the picture
    assert inside[0, 0, 1:, :6].all()


def test_temporal_term_sees_flicker_but_not_a_constant_error(window):
    scale = torch.ones(2)
    steady = window["truth"] + 0.1
    flicker = window["truth"] + 0.1 * torch.tensor([1.0, -1.0, 1.0])[None, :, None, None, None]
    args = (window["truth"], window["mask"], window["flow"], window["reliable"], scale)
    assert losses.temporal_l1(steady, *args).item() == pytest.approx(0, abs=1e-6)
    assert losses.temporal_l1(flicker, *args).item() == pytest.approx(0.2, abs=1e-5)
    unknown = (*args[:3], torch.zeros_like(window["reliable"]), scale)
    assert losses.temporal_l1(flicker, *unknown).item() == 0


def test_logo_loss_by_hand():
    source = torch.zeros(1, 4, 3, 4, 4)
    steady, now_and_then = source + 0.5, source.clone()
    now_and_then[:, :2] += 0.5
    assert losses.logo_loss(source, source).item() == pytest.approx(0, abs=1e-7)
    assert losses.logo_loss(steady, source).item() == pytest.approx(0, abs=1e-7)
    low = 1 / (1 + np.exp(4))  # sigmoid(-8 / 2): no difference at all
    assert losses.logo_loss(now_and_then, source).item() == pytest.approx(0.25 * (1 - low) ** 2, abs=1e-4)


def test_logo_loss_leaves_out_where_the_mark_comes_or_goes():
    source = torch.zeros(1, 4, 3, 4, 4)
    now_and_then = source.clone()
    now_and_then[:, ::2] = 0.5
    mask = torch.zeros(1, 4, 1, 4, 4)
    mask[:, ::2, :, :, :2] = 1
    everywhere = losses.logo_loss(now_and_then, source).item()
    assert losses.logo_loss(now_and_then, source, torch.ones_like(mask)).item() == pytest.approx(everywhere)
    assert losses.logo_loss(now_and_then, source, mask).item() == pytest.approx(everywhere / 2)


def test_perception_loss_by_hand(window):
    mask = torch.zeros(2, 1, 1, 4, 4)
    mask[:, :, :, :1, :2] = 1
    half = torch.zeros_like(mask)
    assert losses.perception_loss(half, mask).item() == pytest.approx(np.log(2), abs=1e-6)
    assert losses.perception_loss((mask - 0.5) * 40, mask).item() == pytest.approx(0, abs=1e-6)
    # 2 of 16 pixels missed: an eighth of half the weight, and all of a quarter.
    missed = losses.perception_loss(torch.full_like(mask, -20.0), mask).item()
    assert missed == pytest.approx(20 * (0.5 / 8 + 0.25), rel=1e-4)
    with pytest.raises(ValueError, match=r"weighted_sum: perception must be 0 for a network .* got 1\.0"):
        losses.weighted_sum(losses.Weights(perception=1.0), window["base"], window)


def test_discriminator_and_hinge():
    critic = losses.TemporalPatchGAN(width=4)
    scores = critic(torch.rand(1, 3, 3, 64, 64))
    assert scores.shape == (1, 16, 3, 2, 2)
    assert losses.discriminator_hinge(torch.tensor([2.0]), torch.tensor([-3.0])).item() == 0
    assert losses.discriminator_hinge(torch.tensor([0.0]), torch.tensor([1.0])).item() == pytest.approx(1.5)
    assert losses.generator_hinge(torch.tensor([1.0, 3.0])).item() == -2
