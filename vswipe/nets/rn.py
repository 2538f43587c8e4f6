"""Region normalisation: hole and surroundings are normalised apart.

Yu, Guo, Jin, Wu, Chen, Liu, Zhang: Region Normalization for Image Inpainting, AAAI 2020,
https://arxiv.org/abs/1911.10375. Statistics are always those of what is looked at (no running averages), over all
frames of one clip's window and never across clips. A `Tape` records them, and plays them back so that a frame can be
computed alone with the statistics of its neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5
IMPORTANT = 0.8  # importance from which RN-L counts a pixel as foreground
_FEW = 16.0  # samples below which recorded statistics are not used


@dataclass(frozen=True)
class Moments:
    """Statistics of one region, per clip: count (B, 1), mean and variance (B, C); the variance with its epsilon."""

    count: Tensor
    mean: Tensor
    variance: Tensor

    def mixed(self, other: Moments, share: float) -> Moments:
        """`share` of the other's, the rest of these; where one of both rests on too few samples, the other alone."""
        mine, theirs = self.count >= _FEW, other.count >= _FEW
        weight = torch.where(theirs, torch.where(mine, share, 1.0), 0.0)
        return Moments(
            torch.maximum(self.count, other.count),
            torch.lerp(self.mean, other.mean, weight),
            torch.lerp(self.variance, other.variance, weight),
        )


Recording = list[tuple[Moments, Moments]]  # of hole and surroundings, or foreground and background, layer by layer


@dataclass
class Tape:
    """Statistics of all layers, in the order in which they are computed.

    Args:
        played: what to use instead of the statistics of what is looked at; None: record.
    """

    played: Recording | None = None
    recorded: Recording = field(default_factory=list)
    position: int = 0

    def take(self, own: tuple[Moments, Moments]) -> tuple[Moments, Moments]:
        """The statistics to use for the next layer, where its own would be `own`."""
        if self.played is None:
            self.recorded.append(own)
            return own
        given = self.played[self.position]
        self.position += 1
        return given[0].mixed(own[0], 0.0), given[1].mixed(own[1], 0.0)


def mix_recordings(first: Recording, second: Recording, share: float) -> Recording:
    """Recorded statistics between two recordings; `share` is the second's."""
    return [(a[0].mixed(b[0], share), a[1].mixed(b[1], share)) for a, b in zip(first, second, strict=True)]


def region_moments(x: Tensor, region: Tensor, clips: int) -> Moments:
    """Statistics over the frames and pixels of a region.

    Args:
        x: (B * T, C, H, W).
        region: (B * T, 1, H, W), 1 = inside.
        clips: B.

    The variance holds the published epsilon, 1e-5 * all / inside: their code computes the batch norm of a picture that
    is flat outside the region and scales it back.
    """
    x = x.unflatten(0, (clips, -1)).flatten(3)  # (B, T, C, HW)
    inside = region.unflatten(0, (clips, -1)).flatten(3)
    count = inside.sum((1, 3))
    divisor = count.clamp_min(1)
    mean = (x * inside).sum((1, 3)) / divisor
    centred = (x - mean[:, None, :, None]) * inside
    variance = (centred * centred).sum((1, 3)) / divisor
    total = x.shape[1] * x.shape[3]
    return Moments(count, mean, variance + EPS * total / divisor)


def region_norm(x: Tensor, region: Tensor, clips: int = 1, tape: Tape | None = None) -> Tensor:
    """Both regions normalised to mean 0 and variance 1, equations 1 to 3 of the paper.

    Args:
        x: (B * T, C, H, W).
        region: (B * T, 1, H, W), 0 or 1.
        clips: B; statistics are per clip.
        tape: records the statistics, or gives others.
    """
    with torch.autocast(x.device.type, enabled=False):
        precise, inside = x.float(), region.float()
        moments = (region_moments(precise, inside, clips), region_moments(precise, 1 - inside, clips))
        if tape is not None:
            moments = tape.take(moments)
        num_frames = x.shape[0] // clips

        def spread(values: Tensor) -> Tensor:  # (B, C) -> (B * T, C, 1, 1)
            return values.repeat_interleave(num_frames, 0)[..., None, None]

        mean = torch.where(inside > 0.5, spread(moments[0].mean), spread(moments[1].mean))
        scale = torch.where(inside > 0.5, spread(moments[0].variance.rsqrt()), spread(moments[1].variance.rsqrt()))
        return ((precise - mean) * scale).to(x.dtype)


class RNB(nn.Module):
    """Basic region normalisation: regions from the mask, an affine map of its own for each.

    Args:
        channels: of the input.
        own: the offsets count in their own region only. The published code adds both everywhere.
    """

    def __init__(self, channels: int, own: bool = False) -> None:
        super().__init__()
        self.own = own
        self.foreground_gamma = nn.Parameter(torch.zeros(channels))
        self.foreground_beta = nn.Parameter(torch.zeros(channels))
        self.background_gamma = nn.Parameter(torch.zeros(channels))
        self.background_beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, masks: Tensor, clips: int = 1, tape: Tape | None = None) -> Tensor:
        """x (B * T, C, H, W); masks (B * T, 1, any, any), resized: nearest as published, any touched in our own.

        Equation 4 of the paper.
        """
        if self.own:
            region = F.adaptive_max_pool2d(masks, x.shape[-2:])
        else:
            region = F.interpolate(masks, x.shape[-2:], mode="nearest")
        normal = region_norm(x, region, clips, tape)
        inside, outside = region, 1 - region
        gamma = inside * _wide(self.foreground_gamma) + outside * _wide(self.background_gamma)
        if self.own:
            beta = inside * _wide(self.foreground_beta) + outside * _wide(self.background_beta)
        else:
            beta = _wide(self.foreground_beta) + _wide(self.background_beta)
        return normal * (1 + gamma) + beta


class _Importance(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.gamma_conv = nn.Conv2d(1, 1, 7, padding=3)
        self.beta_conv = nn.Conv2d(1, 1, 7, padding=3)


class RNL(nn.Module):
    """Learnable region normalisation: regions from an importance map of the features, 198 parameters. Section 3.4."""

    def __init__(self) -> None:
        super().__init__()
        self.sa = _Importance()

    def forward(self, x: Tensor, clips: int = 1, tape: Tape | None = None) -> Tensor:
        """x (B * T, C, H, W)."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        importance = torch.sigmoid(self.sa.conv1(pooled))
        region = (importance.detach() >= IMPORTANT).to(x.dtype)
        normal = region_norm(x, region, clips, tape)
        return normal * (1 + self.sa.gamma_conv(importance)) + self.sa.beta_conv(importance)


class ResBlock(nn.Module):
    """Residual block of two convolutions, the first dilated, each followed by RN-L."""

    def __init__(self, channels: int, dilation: int = 2) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(dilation),
            nn.Conv2d(channels, channels, 3, dilation=dilation),
            RNL(),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            RNL(),
        )

    def forward(self, x: Tensor, clips: int = 1, tape: Tape | None = None) -> Tensor:
        return x + run(self.conv_block, x, clips, tape)


def run(layers: nn.Sequential, x: Tensor, clips: int, tape: Tape | None) -> Tensor:
    """A sequence some of whose layers are RN-L."""
    for layer in layers:
        x = layer(x, clips, tape) if isinstance(layer, (RNL, ResBlock)) else layer(x)
    return x


def _wide(values: Tensor) -> Tensor:
    return values[None, :, None, None]
