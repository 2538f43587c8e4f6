"""What weights of vswipe's own network give on held-out samples, asked as the engine asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from vswipe.engine.wipefill import VIEWS, WipeFill

from .results import markdown
from .wipe_set import Batch, SampleSet, apply, batch_of, crop_of, kind_of, squared_error

SAMPLES = {"still": 2}
"""Samples of a file that are measured, by kind; spread over it."""
_SAMPLES = 3
_LARGEST = (200, 400)  # height, width; of larger holes the middle
_MULTIPLE = 4
_LEAST = 0.65  # squared levels: 50 dB is as good as equal
_LOWEST = 4


def measure(fill: WipeFill, data: SampleSet) -> dict[str, float]:
    """Per file with a hole: by how many dB the mix of the copy stage becomes better, before steadying.

    Two views are asked, as in the engine where marks are large; its shares of the corrections are taken.

    Args:
        fill: holds the network.
        data: the held-out part.
    """
    gains = {}
    for name, samples in sorted(data.windows.items()):
        count = SAMPLES.get(kind_of(name), _SAMPLES)
        chosen = samples[:: max(1, len(samples) // count)][:count]
        if not chosen:
            continue
        errors = np.zeros((2, 2))  # before and after; sum and number
        for sample in chosen:
            height, width = (min(largest, -(-int(side) // _MULTIPLE) * _MULTIPLE)
                             for side, largest in zip(sample["size"], _LARGEST, strict=True))  # fmt: skip
            batch = batch_of([crop_of(sample, None, (height, width))])
            logits, residual = fill.ask(batch.found, VIEWS[:2])
            errors += [_summed(batch, 0 * logits, 0 * residual), _summed(batch, logits, residual)]
        before, after = np.maximum(errors[:, 0] / errors[:, 1], _LEAST)
        gains[name] = 10 * float(np.log10(before / after))
    return gains


def _summed(batch: Batch, logits: torch.Tensor, residual: torch.Tensor) -> tuple[float, float]:
    error, number = squared_error(batch, apply(batch, logits, residual))
    return float(error), float(number)


def table(measured: Mapping[str, dict[str, float]]) -> str:
    """A row per file of weights: mean gains over all windows and by kind, the lowest windows, single frames.

    Args:
        measured: what `measure` gave, by name.
    """
    kinds = sorted({kind_of(name) for gains in measured.values() for name in gains} - {"still"})
    rows: list[list[Any]] = []
    for title, gains in measured.items():
        windows = {name: gain for name, gain in gains.items() if kind_of(name) != "still"}
        stills = [gain for name, gain in gains.items() if kind_of(name) == "still"]
        lowest = ", ".join(f"{gain:+.2f}" for gain in sorted(windows.values())[:_LOWEST])
        rows.append([title, _mean(windows.values()),
                     *(_mean(g for name, g in windows.items() if kind_of(name) == kind) for kind in kinds), lowest,
                     _mean(stills)])  # fmt: skip
    some = next(iter(measured.values()))
    count = sum(kind_of(name) == "still" for name in some)
    return markdown(["weights", f"windows ({len(some) - count})", *kinds, "lowest", f"single frames ({count})"], rows)


def _mean(gains: Iterable[float]) -> str:
    every = list(gains)
    return f"{np.mean(every):+.3f}" if every else "-"
