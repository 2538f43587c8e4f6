"""OPN's post-network: a recurrent network that steadies completed frames over time.

Temporal Consistency Network of Oh et al., ICCV 2019, section 3.4, https://arxiv.org/abs/1908.08718. Written anew; with
default options parameters, names and arithmetic are those of the published `TCN.pth`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vswipe.nets._blocks import MEAN, STD, GatedConv, check_inputs, colour, he_init, paste, scaled
from vswipe.nets.spec import Spec


class Encoder(nn.Module):
    """Previous output and current frame -> features at 1, 1/2, 1/4 and 1/8 of the size."""

    mean: Tensor
    std: Tensor

    def __init__(self, c1: int, c2: int, c3: int, c4: int) -> None:
        super().__init__()
        self.conv1 = GatedConv(8, c1, 5)
        self.conv21 = GatedConv(c1, c2, stride=2)
        self.conv2 = GatedConv(c2, c2)
        self.conv23 = GatedConv(c2, c3, stride=2)
        self.conv3a = GatedConv(c3, c3)
        self.conv3b = GatedConv(c3, c3)
        self.conv34 = GatedConv(c3, c4, stride=2)
        self.conv4a = GatedConv(c4, c4)
        self.conv4b = GatedConv(c4, c4)
        self.register_buffer("mean", colour(MEAN))
        self.register_buffer("std", colour(STD))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        s1 = self.conv1(x)
        s2 = self.conv2(self.conv21(s1))
        s3 = self.conv3b(self.conv3a(self.conv23(s2)))
        return s1, s2, s3, self.conv4b(self.conv4a(self.conv34(s3)))


class ConvGRU(nn.Module):
    """Gated recurrent unit with 3x3 convolutions. Ballas et al., ICLR 2016, https://arxiv.org/abs/1511.06432"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convIH = nn.Conv2d(channels, 3 * channels, 3, padding=1)
        self.convHH = nn.Conv2d(channels, 3 * channels, 3, padding=1)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        reset_x, update_x, new_x = self.convIH(x).chunk(3, 1)
        reset_h, update_h, new_h = self.convHH(state).chunk(3, 1)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return new + torch.sigmoid(update_x + update_h) * (state - new)


class Decoder(nn.Module):
    """State at 1/8 of the size and the encoder's features -> picture."""

    mean: Tensor
    std: Tensor

    def __init__(self, c1: int, c2: int, c3: int, c4: int) -> None:
        super().__init__()
        self.conv4b = GatedConv(c4, c4, dilation=2)
        self.conv4a = GatedConv(c4, c4)
        self.conv43 = GatedConv(c4, c3)
        self.conv3b = GatedConv(c3, c3, dilation=2)
        self.conv3a = GatedConv(c3, c3)
        self.conv32 = GatedConv(c3, c2)
        self.conv2 = GatedConv(c2, c2)
        self.conv21 = GatedConv(c2, c1)
        self.conv1 = GatedConv(c1, 3, 5, activation=False)
        self.register_buffer("mean", colour(MEAN))
        self.register_buffer("std", colour(STD))

    def forward(self, x: Tensor, s1: Tensor, s2: Tensor, s3: Tensor) -> Tensor:
        def up(y: Tensor) -> Tensor:
            return F.interpolate(y, scale_factor=2)

        x = self.conv43(up(self.conv4a(self.conv4b(x))))
        x = self.conv32(up(self.conv3a(self.conv3b(x + s3))))
        x = self.conv21(up(self.conv2(x + s2)))
        return self.conv1(x + s1) * self.std + self.mean


class TCN(nn.Module):
    """Temporal Consistency Network.

    Args:
        own: predict a residual on the current frame, and start from the first frame itself. The published code starts
            from black and the last frame's mask.
        width: multiplier of all channel counts.
    """

    def __init__(self, own: bool = False, width: float = 1.0) -> None:
        super().__init__()
        self.own = own
        self.options: dict[str, Any] = {"own": own, "width": width}
        self.spec = Spec("tcn", 8, 1, (8, 8), kind="recurrent", window=16)
        channels = [scaled(c, width) for c in (32, 64, 128, 256)]
        self.Encoder = Encoder(*channels)
        self.GRU = ConvGRU(channels[-1])
        self.Decoder = Decoder(*channels)
        self.register_buffer("mean", colour(MEAN))
        self.register_buffer("mean3d", torch.tensor(MEAN).view(1, 3, 1, 1, 1))
        he_init(self)
        if own:
            nn.init.zeros_(self.Decoder.conv1.input_conv.weight)  # untrained, it gives the frames themselves

    def forward(self, frames: Tensor, masks: Tensor, base: Tensor | None = None, whole: bool = False) -> Tensor:
        """Steadier frames.

        Args:
            frames: completed frames (B, T, 3, H, W), in order.
            masks: (B, T, 1, H, W), what was completed.
            base: not used.
            whole: return the network's whole picture, as the published code does, not only the hole's.
        """
        check_inputs("tcn", frames, masks, base, False)
        self.spec.check_size(*frames.shape[-2:])
        previous = frames[:, 0] if self.own else torch.zeros_like(frames[:, 0])
        hole = masks[:, 0] if self.own else masks[:, -1]
        state: Tensor | None = None
        outputs = []
        for t in range(frames.shape[1]):
            now = frames[:, t]
            mean, std = self.Encoder.mean, self.Encoder.std
            x = torch.cat([(previous - mean) / std, hole, (now - mean) / std, masks[:, t]], 1)
            s1, s2, s3, x = self.Encoder(x)
            state = self.GRU(x, torch.zeros_like(x) if state is None else state)
            picture = self.Decoder(state, s1, s2, s3)
            if self.own:
                picture = now + picture - mean
            previous, hole = picture.clamp(0, 1), masks[:, t]
            outputs.append(previous)
        raw = torch.stack(outputs, 1)
        return raw if whole else paste(frames, masks, raw)
