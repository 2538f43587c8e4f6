"""Every network: published sizes, shapes, what lies outside the hole, and that clips of a batch do not mix."""

from typing import Any

import pytest
import torch
from torch import Tensor

from vswipe.nets import REGISTRY, create
from vswipe.nets._blocks import _box_mean

PARAMETERS = {"opn": 3_420_422, "tcn": 11_156_806, "sttn": 16_556_163, "autosttn": 16_556_163, "rnnet": 11_596_591}
FILES = ("opn", "tcn", "rnot", "rnnet", "sttn", "autosttn")
SMALL: dict[str, dict[str, Any]] = {
    "opn": {"width": 0.25},
    "tcn": {"width": 0.25},
    "rnot": {"width": 0.25, "depth": 2},
    "sttn": {"width": 0.25, "depth": 2},
    "autosttn": {"width": 0.125, "depth": 1},
}


def window(
    name: str, options: dict[str, Any], clips: int = 2, num_frames: int = 3
) -> tuple[Any, Tensor, Tensor, Tensor]:
    torch.manual_seed(3)
    net = create(name, **options)
    rows, columns = net.spec.multiple_of
    height, width = -(-32 // rows) * rows, -(-48 // columns) * columns
    frames = torch.rand(clips, num_frames, 3, height, width)
    masks = torch.zeros(clips, num_frames, 1, height, width)
    masks[..., 9:27, 6:40] = 1
    return net, frames, masks, torch.rand_like(frames)


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_parameter_counts_as_published(name: str, count: int) -> None:
    net = create(name)
    assert sum(p.numel() for p in net.parameters()) == count
    assert net.spec.name == name


def test_registry_holds_them() -> None:
    assert set(FILES) <= set(REGISTRY)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_shape_range_and_pixels_outside_the_hole(name: str, own: bool) -> None:
    net, frames, masks, base = window(name, {**SMALL[name], "own": own})
    with torch.inference_mode():
        out = net(frames, None if net.spec.mask_free else masks, base)
    assert out.shape == frames.shape
    assert out.min() >= 0
    assert out.max() <= 1
    if not net.spec.mask_free:
        outside = masks.expand_as(frames) == 0
        assert torch.equal(out[outside], frames[outside])


@pytest.mark.parametrize("name", ["opn", "rnot", "sttn", "tcn", "autosttn"])
def test_untrained_own_network_gives_the_base(name: str) -> None:
    net, frames, masks, base = window(name, {**SMALL[name], "own": True})
    with torch.inference_mode():
        out = net(frames, masks, base)
    expected = torch.where(masks > 0, base, frames) if net.spec.base else frames
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)


def trained(name: str, options: dict[str, Any]) -> tuple[Any, Tensor, Tensor, Tensor]:
    """An own network whose last layer is no longer zero."""
    net, frames, masks, base = window(name, {**options, "own": True})
    if hasattr(net, "head"):
        torch.nn.init.normal_(net.head.last.weight, std=0.1)
    else:
        torch.nn.init.normal_(net.Decoder.conv1.input_conv.weight, std=0.1)
    return net, frames, masks, base


@pytest.mark.parametrize("name", SMALL)
def test_clips_of_a_batch_do_not_mix(name: str) -> None:
    net, frames, masks, base = trained(name, SMALL[name])
    with torch.inference_mode():
        both = net(frames, masks, base)
        alone = net(frames[1:], masks[1:], base[1:])
    assert (both[1:] - base[1:])[masks[1:].expand_as(base[1:]) > 0].abs().max() > 0.01
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["opn", "rnot", "sttn"])
def test_hidden_pixels_are_not_looked_at(name: str) -> None:
    net, frames, masks, base = trained(name, SMALL[name])
    other = torch.where(masks > 0, torch.rand_like(frames), frames)
    with torch.inference_mode():
        inside = masks.expand_as(frames) > 0
        assert torch.equal(net(frames, masks, base)[inside], net(other, masks, base)[inside])


@pytest.mark.parametrize("name", ["opn", "rnot", "sttn", "autosttn", "tcn"])
def test_gradients_reach_every_parameter(name: str) -> None:
    net, frames, masks, base = trained(name, SMALL[name])
    net.train()
    (net(frames, masks, base) - 0.5).abs().mean().backward()
    # RN-L's importance is zero where nothing counts as important, so its gradient may be, too; it must exist.
    missing = [key for key, p in net.named_parameters() if p.grad is None]
    assert missing == []


@pytest.mark.parametrize(("height", "width", "size"), [(270, 1920, 33), (9, 40, 7), (40, 9, 9), (3, 3, 1)])
def test_box_mean(height: int, width: int, size: int) -> None:
    x = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.avg_pool2d(x.double(), size, 1, size // 2, count_include_pad=False)
    torch.testing.assert_close(_box_mean(x, size).double(), expected, atol=1e-5, rtol=0)


def test_errors_say_what_came() -> None:
    net, frames, masks, base = window("rnot", {**SMALL["rnot"], "own": True})
    with pytest.raises(ValueError, match=r"rnot: frames must be \(B, T, 3, H, W\), got \(3, 3"):
        net(frames[0], masks[0], base[0])
    with pytest.raises(ValueError, match=r"rnot: masks must be .* got None"):
        net(frames, None, base)
    with pytest.raises(ValueError, match=r"rnot: base must be .* got None"):
        net(frames, masks)
    with pytest.raises(ValueError, match=r"rnot: frames must be multiples of 4 high and 4 wide, got 31x48"):
        net(frames[..., :31, :], masks[..., :31, :], base[..., :31, :])
    with pytest.raises(ValueError, match=r"create: name must be one of autosttn, .* got lama"):
        create("lama")
    with pytest.raises(ValueError, match=r"create: opn has the options own, width, got depth"):
        create("opn", depth=3)
    with pytest.raises(ValueError, match=r"create: width must be above 0 and at most 4, got 1000000000\.0"):
        create("opn", width=1e9)
