"""What training minimises; frames (B, T, C, H, W) of 0..1 and masks (B, T, 1, H, W), 1 = hole, everywhere.

Crops differ by a factor of ten in how hard they are: a flat sky and a hedge. Terms of the hole are therefore divided by
the error of the crop's own base fill plus two levels (`base_scale`), so that a sky counts as much as a hedge. Without
it a network of a tenth of a million parameters learned a third as much in the same time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVEL = 1.0 / 255.0
_FLOOR = 2.0 * LEVEL  # a base fill that is right to two levels leaves nothing worth learning


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` (B, ...) over a mask of the same rank, one number per sample, (B,); 0 where it is empty."""
    weight = mask.expand_as(values)
    total = (values * weight).flatten(1).sum(1)
    return total / weight.flatten(1).sum(1).clamp_min(1.0)


def base_scale(base: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """(B,): mean absolute error of the base fill in the hole, plus two levels; no gradient."""
    with torch.no_grad():
        return masked_mean((base - truth).abs(), mask) + _FLOOR


def hole_l1(output: Tensor, truth: Tensor, mask: Tensor, scale: Tensor) -> Tensor:
    """Mean absolute error inside the hole, divided by `scale` (B,)."""
    return (masked_mean((output - truth).abs(), mask) / scale).mean()


def valid_l1(output: Tensor, source: Tensor, mask: Tensor, scale: Tensor) -> Tensor:
    """Mean absolute change outside the hole, divided by `scale` (B,): what is pasted back is the hole alone, so this
    only keeps a network's picture of the surroundings honest. 0 for networks that return their input there."""
    return (masked_mean((output - source).abs(), 1.0 - mask) / scale).mean()


def ring_mask(mask: Tensor, width: int = 3) -> Tensor:
    """Hole pixels no further than `width` from the border: where a wrong level shows as a seam."""
    valid = (1.0 - mask).flatten(0, 1)
    near = F.max_pool2d(valid, 2 * width + 1, 1, width).view_as(mask)
    return mask * near


def gradients(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and to the lower neighbour."""
    return frames[..., :, 1:] - frames[..., :, :-1], frames[..., 1:, :] - frames[..., :-1, :]


def gradient_l1(output: Tensor, truth: Tensor, mask: Tensor, scale: Tensor) -> Tensor:
    """Error of the differences between neighbours of which at least one is in the hole."""
    across, down = (o - t for o, t in zip(gradients(output), gradients(truth), strict=True))
    mask_x = torch.maximum(mask[..., :, 1:], mask[..., :, :-1])
    mask_y = torch.maximum(mask[..., 1:, :], mask[..., :-1, :])
    return ((masked_mean(across.abs(), mask_x) + masked_mean(down.abs(), mask_y)) / scale).mean()


def laplacian_l1(output: Tensor, truth: Tensor, mask: Tensor, scale: Tensor, levels: int = 3) -> Tensor:
    """Error per band of a Laplacian pyramid, coarse bands counting 2^level (Bojanowski et al., ICML 2018, equation 3).

    The error itself is taken apart: the pyramid is linear. Each band is averaged over the cells that the hole touches.
    """
    error = (output - truth).flatten(0, 1)
    hole = mask.flatten(0, 1)
    batch = output.shape[0]
    total = output.new_zeros(())
    for level in range(levels):
        small = F.avg_pool2d(error, 2, ceil_mode=True)
        up = F.interpolate(small, size=error.shape[-2:], mode="bilinear", align_corners=False)
        band = (error - up).abs() if level < levels - 1 else error.abs()
        per_sample = masked_mean(band.unflatten(0, (batch, -1)), hole.unflatten(0, (batch, -1)))
        total = total + 2.0**level * (per_sample / scale).mean()
        error, hole = small, F.max_pool2d(hole, 2, ceil_mode=True)
    return total / (2.0**levels - 1.0)


def backward_warp(frames: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Sample frames (N, C, H, W) where flow (N, 2, H, W), x then y, pixels, points.

    Returns:
        Warped frames, and inside (N, 1, H, W): 1 where the sample lies within the picture.

    Bilinear sampler of Jaderberg et al., NeurIPS 2015, section 3.3.
    """
    height, width = frames.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=frames.device, dtype=flow.dtype),
        torch.arange(width, device=frames.device, dtype=flow.dtype),
        indexing="ij",
    )
    px, py = x + flow[:, 0], y + flow[:, 1]
    grid = torch.stack([px * (2.0 / max(width - 1, 1)) - 1.0, py * (2.0 / max(height - 1, 1)) - 1.0], -1)
    warped = F.grid_sample(frames, grid.to(frames.dtype), mode="bilinear", padding_mode="border", align_corners=True)
    inside = (px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1)
    return warped, inside.unsqueeze(1).to(frames.dtype)


def temporal_l1(output: Tensor, truth: Tensor, mask: Tensor, flow: Tensor, reliable: Tensor, scale: Tensor) -> Tensor:
    """How differently the output changes along the true motion than the clean clip does, inside the hole.

    Args:
        output, truth: (B, T, C, H, W).
        mask: (B, T, 1, H, W).
        flow: (B, T-1, 2, H, W), of the clean clip, pixels, from t to t+1.
        reliable: (B, T-1, 1, H, W), 1 where that flow can be believed.
        scale: (B,).

    The change of the clean clip is subtracted, so that grain and moving light are not to be smoothed away (Lai et al.,
    ECCV 2018, equation 2, asks for no change at all).
    """
    if output.shape[1] < 2:
        return output.new_zeros(())
    batch, steps = flow.shape[:2]
    later = torch.cat([output[:, 1:] - truth[:, 1:], mask[:, 1:]], 2).flatten(0, 1)
    warped, inside = backward_warp(later, flow.flatten(0, 1))
    warped, inside = warped.unflatten(0, (batch, steps)), inside.unflatten(0, (batch, steps))
    channels = output.shape[2]
    both = mask[:, :-1] * (warped[:, :, channels:] > 0.5) * inside * reliable
    change = (output[:, :-1] - truth[:, :-1]) - warped[:, :, :channels]
    return (masked_mean(change.abs(), both) / scale).mean()


def logo_loss(output: Tensor, source: Tensor, mask: Tensor | None = None, threshold: float = 8 * LEVEL,
              softness: float = 2 * LEVEL) -> Tensor:  # fmt: skip
    """Variance over time of where the output differs from what came in, mean over pixels.

    Args:
        output, source: (B, T, C, H, W), 0..1.
        mask: (B, T, 1, H, W); where it changes the mark comes or goes, and nothing is asked. None: it stays everywhere.
        threshold, softness: the difference is binarised by sigmoid((|d| - threshold) / softness), which has a gradient.

    A burnt-in mark stands still while it is shown: an eraser that writes here now and there in the next frame is
    mistaken. An edit of nothing has no variance, so the L1 terms must stay. For mask-free networks (auto-STTN).
    """
    touched = torch.sigmoid(((output - source).abs().mean(2) - threshold) / softness)
    variance = touched.var(1, unbiased=False)
    return variance.mean() if mask is None else (variance * (mask.amin(1) == mask.amax(1))[:, 0]).mean()


def perception_loss(seen: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of where a mask-free network sees a mark, mean over pixels.

    Args:
        seen: logit, (B, T, 1, H, W).
        mask: the same shape, 1 = mark.

    A quarter of the weight is spread over the pixels of each kind, else the few of the mark count little at first.
    """
    each = F.binary_cross_entropy_with_logits(seen.float(), mask, reduction="none")
    return 0.5 * each.mean() + 0.25 * (masked_mean(each, mask) + masked_mean(each, 1.0 - mask)).mean()


class TemporalPatchGAN(nn.Module):
    """Discriminator that scores space-time patches of a window.

    Args:
        width: channels of the first layer.

    Six 3-D convolutions 3x5x5, spectral normalisation, spatial stride 2 in all but the last: Chang et al., ICCV 2019,
    section 3.3, as STTN uses it.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        channels = (3, width, 2 * width, 4 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            conv = nn.Conv3d(before, after, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2))
            layers += [nn.utils.parametrizations.spectral_norm(conv), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv3d(channels[-1], channels[-1], (3, 5, 5), padding=(1, 2, 2)))
        self.layers = nn.Sequential(*layers)

    def forward(self, frames: Tensor) -> Tensor:
        """Scores (B, C, T, h, w) of frames (B, T, 3, H, W), 0..1; high = looks real."""
        return self.layers(frames.transpose(1, 2) * 2.0 - 1.0)


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of the discriminator: real scores above 1, fake ones below -1 (Miyato et al., ICLR 2018, eq. 16)."""
    return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())


def generator_hinge(fake: Tensor) -> Tensor:
    """Hinge loss of the generator."""
    return -fake.mean()


@dataclass(frozen=True)
class Weights:
    """How much each term counts; 0 leaves it out and does not compute it."""

    hole: float = 1.0
    valid: float = 0.1
    ring: float = 0.0
    gradient: float = 0.3
    laplacian: float = 0.0
    temporal: float = 0.0
    logo: float = 0.0
    perception: float = 0.0
    adversarial: float = 0.0


def weighted_sum(weights: Weights, output: Tensor, batch: dict[str, Tensor],
                 seen: Tensor | None = None) -> tuple[Tensor, dict[str, float]]:  # fmt: skip
    """The loss of a batch, and its terms as numbers before weighting; "base" is the hole term of the base fill.

    Args:
        weights: of the terms; "adversarial" is the training loop's.
        output: (B, T, 3, H, W).
        batch: `dataset.collate`'s: truth, source, mask, base, flow, reliable.
        seen: (B, T, 1, H, W), logit of a mark, of a network that says where it sees one.
    """
    output = output.float()
    truth, mask = batch["truth"], batch["mask"]
    scale = base_scale(batch["base"], truth, mask)
    terms: dict[str, Tensor] = {}
    if weights.hole:
        terms["hole"] = hole_l1(output, truth, mask, scale)
    if weights.valid:
        terms["valid"] = valid_l1(output, batch["source"], mask, scale)
    if weights.ring:
        terms["ring"] = hole_l1(output, truth, ring_mask(mask), scale)
    if weights.gradient:
        terms["gradient"] = gradient_l1(output, truth, mask, scale)
    if weights.laplacian:
        terms["laplacian"] = laplacian_l1(output, truth, mask, scale)
    if weights.temporal:
        terms["temporal"] = temporal_l1(output, truth, mask, batch["flow"], batch["reliable"], scale)
    if weights.logo:
        terms["logo"] = logo_loss(output, batch["drawn"], mask)
    if weights.perception:
        if seen is None:
            raise ValueError("weighted_sum: perception must be 0 for a network that does not say where it sees a mark, "
                             f"got {weights.perception}")  # fmt: skip
        terms["perception"] = perception_loss(seen, mask)
    share = asdict(weights)
    total = torch.stack([share[name] * term for name, term in terms.items()]).sum()
    numbers = {name: float(term.detach()) for name, term in terms.items()}
    # Windows differ more than steps improve: only beside the base fill's own loss does the network's mean something.
    numbers["base"] = float(hole_l1(batch["base"], truth, mask, scale))
    return total, numbers
