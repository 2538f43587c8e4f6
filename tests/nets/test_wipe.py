"""vswipe's own network alone: what it may change, and that it starts from nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vswipe.nets import create
from vswipe.nets.weights import begin_with, find, save
from vswipe.nets.wipe import NUM_COPIES, NUM_FILLS, Found, describe, describe_rim


def found(batch: int = 2, height: int = 24, width: int = 40, seed: int = 0) -> Found:
    g = torch.Generator().manual_seed(seed)

    def levels(channels: int) -> Tensor:
        return 255 * torch.rand(batch, channels, height, width, generator=g)

    hole = torch.zeros(batch, 1, height, width)
    hole[..., 6:14, 8:30] = 1
    logits = torch.randn(batch, NUM_COPIES, height, width, generator=g)
    logits[:, 0, 8:10] = -torch.inf  # nothing found there
    return Found(
        hole,
        levels(3),
        levels(NUM_COPIES),
        logits,
        levels(1),
        torch.randn(batch, 1, height, width, generator=g),
        levels(1) / 10,
        levels(NUM_FILLS),
        levels(NUM_COPIES),
        rimmed(hole, g),
    )


def rimmed(hole: Tensor, g: torch.Generator) -> Tensor:
    """Most of three rows around the hole."""
    beside = torch.nn.functional.max_pool2d(hole, 7, 1, 3) - hole
    return beside * (torch.rand(hole.shape[0], NUM_COPIES, *hole.shape[2:], generator=g) > 0.2).float()


def trained(seed: int = 0, generate: bool = False, rim: bool = False) -> torch.nn.Module:
    torch.manual_seed(seed)
    net = create("wipe", generate=generate, rim=rim)
    torch.nn.init.normal_(net.last.weight, std=0.1)
    if generate:
        torch.nn.init.normal_(net.generated.weight, std=0.1)
    if rim:
        torch.nn.init.normal_(net.mended.weight, std=0.1)
    return net


@pytest.mark.parametrize(("generate", "rim"), [(False, False), (True, False), (True, True)])
@torch.inference_mode()
def test_untrained_it_corrects_nothing(generate: bool, rim: bool) -> None:
    logits, residual = create("wipe", generate=generate, rim=rim)(found())
    assert logits.shape == (2, NUM_COPIES, 24, 40)
    assert residual.shape == (2, 3, 24, 40)
    assert not logits.any()
    assert not residual.any()


@torch.inference_mode()
def test_corrections_stay_inside_the_hole_and_within_their_bounds() -> None:
    given = found()
    logits, residual = trained()(given)
    outside = given.hole.expand_as(logits) == 0
    assert not logits[outside].any()
    assert not residual[given.hole.expand_as(residual) == 0].any()
    assert 0.1 < logits.abs().max() <= 4
    _, doubt, _ = describe(given)
    assert (residual[:, 1:].abs() <= 0.5 * doubt + 1e-4).all()
    # Luma may also go from the fill towards the plain ones.
    reach = doubt + 1.5 * (given.fills - given.spatial).abs().sum(1, keepdim=True)
    assert (residual[:, :1].abs() <= reach + 1e-3).all()


@torch.inference_mode()
def test_the_generative_part_speaks_where_nothing_is_shown() -> None:
    """It adds to the rest, as far as the contrast around reaches, and is silent where copies are sure."""
    given, net = found(), trained(generate=True)
    logits, both = net(given)
    torch.nn.init.zeros_(net.generated.weight)
    generated = both - net(given)[1]
    alone = torch.softmax(torch.cat([given.logits + logits, given.own], 1), 1)[:, -1:]
    reach = 1.5 * alone * describe(given)[2] * torch.tensor([1, 0.5, 0.5]).view(1, 3, 1, 1)
    assert not generated[given.hole.expand_as(generated) == 0].any()
    assert (generated.abs() <= reach + 1e-3).all()
    assert (generated.abs() > 0.1 * reach)[given.hole.expand_as(generated) > 0].float().mean() > 0.5
    sure = replace(given, logits=torch.full_like(given.logits, 40.0))
    with_it = trained(generate=True)(sure)[1]
    assert torch.allclose(with_it, net(sure)[1], atol=1e-4)


@torch.inference_mode()
def test_what_does_not_fit_beside_the_hole_may_be_mended() -> None:
    """It adds to the rest, as far as the copies are off there, and is silent where they fit."""
    given, net = found(), trained(rim=True)
    _, both = net(given)
    torch.nn.init.zeros_(net.mended.weight)
    mended = both - net(given)[1]
    fit = describe_rim(given, describe(given)[2])[1]
    assert not mended[given.hole.expand_as(mended) == 0].any()
    assert (mended.abs() <= 2 * fit * torch.tensor([1, 0.5, 0.5]).view(1, 3, 1, 1) + 1e-3).all()
    assert (mended.abs() > 0.1 * fit)[given.hole.expand_as(mended) > 0].float().mean() > 0.5
    fitting = replace(given, rim=given.picture[:, :1].expand_as(given.rim))
    assert torch.allclose(trained(rim=True)(fitting)[1], net(fitting)[1], atol=1e-4)


@torch.inference_mode()
def test_the_rim_says_how_large_each_copys_error_is() -> None:
    given = found()
    off = torch.tensor([3.0, -5.0, 0.0, 7.0]).view(1, 4, 1, 1)
    given = replace(given, rim=given.picture[:, :1] + off, logits=torch.full_like(given.logits, -20.0))
    given.logits[:, 1] = 20
    planes, fit = describe_rim(given, torch.full_like(given.hole, 10.0))
    inside = given.hole[:, 0] > 0
    for k, apart in enumerate(off.flatten().tolist()):
        assert torch.allclose(planes[:, NUM_COPIES + k][inside], torch.tensor(0.4 * apart), atol=1e-3)
        assert torch.allclose(planes[:, 2 * NUM_COPIES + k][inside], torch.tensor(0.4 * abs(apart)), atol=1e-3)
    assert torch.allclose(fit[given.hole > 0], torch.tensor(5.0), atol=1e-2)
    nowhere = replace(given, rimmed=torch.zeros_like(given.rimmed))
    assert not any(part.any() for part in describe_rim(nowhere, given.hole + 1))


@torch.inference_mode()
def test_where_all_agree_hardly_anything_is_added() -> None:
    given = found()
    grey = torch.full_like(given.values, 100.0)
    given = replace(given, picture=torch.full_like(given.picture, 100.0), values=grey, spatial=grey[:, :1],
                    fills=grey[:, :2], texture=torch.zeros_like(given.texture))  # fmt: skip
    _, residual = trained()(given)
    assert residual.abs().max() <= 1


@torch.inference_mode()
def test_what_stands_in_the_hole_of_absent_copies_is_not_read() -> None:
    given = found()
    other = replace(given, values=torch.where(torch.isfinite(given.logits), given.values, 17.0))
    net = trained()
    for a, b in zip(net(given), net(other), strict=True):
        assert torch.equal(a, b)


def test_bf16_gradients_are_those_of_float32() -> None:
    """At other channel counts some are wrong or NaN: a fault of a library that a change of width would bring back."""
    gradients = []
    for half in (False, True):
        net = trained().to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits, residual = net(found(4, 96, 160))
        ((logits - 1) ** 2).mean().add((residual**2).mean()).backward()
        gradients.append([p.grad for p in net.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert (a - b).norm() <= 0.3 * a.norm()


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="wipe: frames must be multiples of 4 high and 4 wide, got 22x40"):
        create("wipe")(found(1, 22, 40))


def test_a_file_of_another_width_says_so(tmp_path: Path) -> None:
    path = save(create("wipe", width=0.5), tmp_path / "wipe.safetensors")
    assert create("wipe", path).options == {"width": 0.5, "bottom": 64, "depth": 3, "generate": False, "rim": False}
    with pytest.raises(ValueError, match=r"was trained with width=0\.5, got width=1"):
        create("wipe", path, width=1)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        create("wipe", path)


@torch.inference_mode()
def test_a_larger_network_begins_as_the_smaller_one(tmp_path: Path) -> None:
    small = trained()
    large = create("wipe", depth=5, generate=True, rim=True)
    begin_with(large, save(small, tmp_path / "wipe.safetensors", half=False))
    for a, b in zip(small(found()), large(found()), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
    with pytest.raises(ValueError, match=r"must hold enter.weight \(16,"):
        begin_with(create("wipe", width=0.5), tmp_path / "wipe.safetensors")
    with pytest.raises(ValueError, match="begin_with: weights must be a file, got"):
        begin_with(large, tmp_path / "none.safetensors")


@torch.inference_mode()
def test_the_installed_file_corrects_something() -> None:
    if find("wipe") is None:
        pytest.skip("no weights are installed")
    for part in create("wipe", weights="auto")(found()):
        assert torch.isfinite(part).all()
        assert part.abs().mean() > 1e-3
