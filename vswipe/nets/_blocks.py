"""Pieces that several networks share: colour normalisation, painting holes, gated convolutions, the residual head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's RGB, as every published network of this family uses it
STD = (0.229, 0.224, 0.225)
SLOPE = 0.2  # of every LeakyReLU

_HALF_OPEN = 1.9  # the sigmoid of a small number passes about half
_CONTRAST_BOX = 33  # px; the residual of a flat place must be small, that of a textured one may be large
_CONTRAST_FLOOR = 0.02  # 5 levels


def scaled(channels: int, width: float) -> int:
    """Channels of a layer at a width multiplier: a multiple of 8 where the width is not 1."""
    return channels if width == 1 else max(8, round(channels * width / 8) * 8)


def check_inputs(name: str, frames: Tensor, masks: Tensor | None, base: Tensor | None, wants_base: bool) -> None:
    """Raises ValueError unless the arguments of `forward` have the shapes that `create` states."""
    if frames.dim() != 5 or frames.shape[2] != 3:
        raise ValueError(f"{name}: frames must be (B, T, 3, H, W), got {tuple(frames.shape)}")
    shape = (*frames.shape[:2], 1, *frames.shape[3:])
    if masks is None or masks.shape != shape:
        raise ValueError(f"{name}: masks must be {shape}, got {None if masks is None else tuple(masks.shape)}")
    if wants_base and (base is None or base.shape != frames.shape):
        got = None if base is None else tuple(base.shape)
        raise ValueError(f"{name}: base must be {tuple(frames.shape)}, got {got}")


def colour(values: tuple[float, float, float]) -> Tensor:
    """(1, 3, 1, 1)."""
    return torch.tensor(values).view(1, 3, 1, 1)


def paste(frames: Tensor, masks: Tensor, fill: Tensor) -> Tensor:
    """The frames with the hole taken from `fill`; outside they are the input bit for bit."""
    return torch.where(masks > 0.5, fill.to(frames.dtype), frames)


def he_init(module: nn.Module) -> None:
    """He initialisation of every convolution: PyTorch's own shrinks the signal in every layer, which cost most of the
    gain in short trainings. What a half-open gate takes is given back, else nothing arrives after 20 layers."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in module.modules():
        if isinstance(layer, GatedConv):
            layer.input_conv.weight.data.mul_(_HALF_OPEN)
            layer.gating_conv.weight.data.mul_(0.5)


class GatedConv(nn.Module):
    """Convolution whose output is weighed by the sigmoid of a second one.

    Args:
        activation: LeakyReLU on the feature side; the gate is there in any case.

    Yu et al., ICCV 2019, equation 2, https://arxiv.org/abs/1806.03589
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: bool = True,
    ) -> None:
        super().__init__()
        padding = kernel_size // 2 * dilation
        self.input_conv = nn.Conv2d(channels_in, channels, kernel_size, stride, padding, dilation)
        self.gating_conv = nn.Conv2d(channels_in, channels, kernel_size, stride, padding, dilation)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        feature = self.input_conv(x)
        if self.activation:
            feature = F.leaky_relu(feature, SLOPE)
        return feature * torch.sigmoid(self.gating_conv(x))


def _box_mean(x: Tensor, size: int) -> Tensor:
    """Mean of x (N, C, H, W) over boxes of `size` (odd, at most H and W) pixels that end where the frame ends."""
    radius = size // 2
    if x.device.type != "cpu":
        # Running sums are not the same in every run there.
        x = F.avg_pool2d(x, (size, 1), 1, (radius, 0), count_include_pad=False)
        return F.avg_pool2d(x, (1, size), 1, (0, radius), count_include_pad=False)
    for dim in (2, 3):
        # The difference of two running sums: pooling reads every pixel `size` times, a fifth of a training step.
        count = x.shape[dim]
        sums = x.cumsum(dim)
        shape = list(x.shape)
        shape[dim] = radius
        upper = torch.cat([sums.narrow(dim, radius, count - radius), sums.narrow(dim, count - 1, 1).expand(shape)], dim)
        shape[dim] = radius + 1
        lower = torch.cat([x.new_zeros(shape), sums.narrow(dim, 0, count - radius - 1)], dim)
        place = torch.arange(count)
        number = (place + radius).clamp_max(count - 1) - (place - radius).clamp_min(0) + 1
        x = (upper - lower) / number.view([-1 if d == dim else 1 for d in range(4)])
    return x


def local_contrast(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (N, 3, H, W) and contrast (N, 1, H, W) of the surroundings of every pixel, of frames (N, 3, H, W)."""
    size = min(_CONTRAST_BOX, frames.shape[-2] // 2 * 2 - 1, frames.shape[-1] // 2 * 2 - 1)

    with torch.autocast(frames.device.type, enabled=False):
        frames = frames.float()
        mean = _box_mean(frames, size)
        variance = (_box_mean(frames * frames, size) - mean * mean).mean(1, keepdim=True).clamp_min(0)
    return mean, variance.sqrt() + _CONTRAST_FLOOR


class ResidualHead(nn.Module):
    """Full-resolution end of our own variants: what to add to the base fill.

    Args:
        channels_in: of the decoder's features, at full resolution.
        channels: inside the head.

    A network that ends at a quarter of the resolution learns little about strokes, whose holes are 3 to 6 px deep;
    layers that see the base itself, normalised by its local mean and contrast, learn more. The last one starts at zero,
    so that the untrained network gives the base.
    """

    def __init__(self, channels_in: int, channels: int = 32) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels_in + 4, channels, 3, padding=1)
        self.middle = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.last = nn.Conv2d(channels, 3, 3, padding=1)

    def start_at_zero(self) -> None:
        """To be called after any initialisation of the whole network."""
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor, painted: Tensor, masks: Tensor) -> Tensor:
        """The residual (N, 3, H, W) for features (N, C, H, W), painted frames (N, 3, H, W) and masks (N, 1, H, W)."""
        mean, contrast = local_contrast(painted)
        normal = (painted - mean) / contrast
        x = torch.cat([features, normal.to(features.dtype), masks.to(features.dtype)], 1)
        x = F.leaky_relu(self.enter(x), SLOPE)
        x = x + F.leaky_relu(self.middle(x), SLOPE)
        return self.last(x) * contrast


def silent(channels: int, outputs: int) -> nn.Conv2d:
    """A last layer that says nothing until it is trained."""
    layer = nn.Conv2d(channels, outputs, 3, padding=1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class DilatedUNet(nn.Module):
    """A U-Net of three levels with dilated residual convolutions at its bottom, whose last layer begins at zero.

    Leaky all the way: with plain ReLU half of the channels died within a hundred steps.

    Args:
        planes: channels of the input.
        widths: channels at full, half and a quarter of the resolution.
        dilations: of the convolutions at the bottom.
        outputs: channels of the answer.
    """

    def __init__(self, planes: int, widths: tuple[int, int, int], dilations: Sequence[int], outputs: int) -> None:
        super().__init__()
        a, b, c = widths
        self.enter = nn.Conv2d(planes, a, 3, padding=1)
        self.full = nn.Conv2d(a, a, 3, padding=1)
        self.down1 = nn.Conv2d(a, b, 3, 2, padding=1)
        self.middle = nn.Conv2d(b, b, 3, padding=1)
        self.down2 = nn.Conv2d(b, c, 3, 2, padding=1)
        self.wide = nn.ModuleList(nn.Conv2d(c, c, 3, padding=d, dilation=d) for d in dilations)
        self.up2 = nn.Conv2d(c, b, 1)
        self.middle_out = nn.Conv2d(b, b, 3, padding=1)
        self.up1 = nn.Conv2d(b, a, 1)
        self.full_out = nn.Conv2d(a, a, 3, padding=1)
        self.last = nn.Conv2d(a, outputs, 3, padding=1)
        he_init(self)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def run(self, planes: Tensor) -> Tensor:
        """(B, outputs, H, W) float32 of (B, planes, H, W), both multiples of 4."""
        return self.last(self.features(planes)).float()

    def features(self, planes: Tensor) -> Tensor:
        """(B, first of widths, H, W): what the last layer reads."""
        x = _act(self.enter(planes.contiguous(memory_format=torch.channels_last)))
        x = full = _act(self.full(x))
        x = _act(self.down1(x))
        x = middle = _act(self.middle(x))
        x = _act(self.down2(x))
        for layer in self.wide:
            x = x + _act(layer(x))
        x = _act(middle + F.interpolate(self.up2(x), scale_factor=2.0, mode="nearest"))
        x = _act(self.middle_out(x))
        x = _act(full + F.interpolate(self.up1(x), scale_factor=2.0, mode="nearest"))
        return _act(self.full_out(x))


def _act(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)
