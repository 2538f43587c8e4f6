"""Time, learning rate and averaged weights of a run that may be interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Clock:
    """Seconds spent training: what a budget counts.

    Args:
        seconds: spent before, from a checkpoint.
        cpu_seconds: processor time spent before.
        longest: a step that seems to take longer was interrupted (the process was stopped, the machine slept); it
            counts as this long.
        now: for tests.
    """

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0, longest: float = 5.0,
                 now: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self.seconds, self.cpu_seconds, self.longest, self.now = seconds, cpu_seconds, longest, now
        self.skip()

    def tick(self) -> float:
        """Count the time since the last call; returns all seconds so far."""
        last, last_cpu = self._last, self._last_cpu
        self.skip()
        self.seconds += min(self._last - last, self.longest)
        self.cpu_seconds += self._last_cpu - last_cpu
        return self.seconds

    def skip(self) -> None:
        """Leave the time since the last call out: validation, checkpoints."""
        self._last, self._last_cpu = self.now(), time.process_time()


def learning_rate(progress: float, peak: float, warm_up: float = 0.03, floor: float = 0.01) -> float:
    """Rises to `peak` over the first `warm_up` of the run, then falls along half a cosine to `floor` of it.

    Args:
        progress: 0..1, share of the budget that is spent; more counts as 1.
        peak: largest rate.
        warm_up, floor: shares.

    Loshchilov and Hutter, ICLR 2017, equation 5, one cycle.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warm_up:
        return peak * max(progress / warm_up, 1e-2)
    way = (progress - warm_up) / (1.0 - warm_up)
    return peak * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * way)))


class Average:
    """Exponential moving average of a network's weights, float32: what is measured and shipped.

    Args:
        net: whose weights.
        decay: per step, reached slowly, so that the start is forgotten at once.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.state = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10.0))
        for name, value in net.state_dict().items():
            mine: Tensor = self.state[name]
            if mine.is_floating_point():
                mine.lerp_(value.to(mine.dtype), 1.0 - decay)
            else:
                mine.copy_(value)
