"""What weights of vswipe's own network give on held-out samples, asked as the engine asks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from vswipe.engine.wipefill import VIEWS, WipeFill
from vswipe.nets.wipe import MULTIPLE

from .results import markdown, mean, number
from .wipe_set import Batch, SampleSet, apply, batch_of, crop_of, kind_of, squared_error

_SAMPLES, _STILLS = 3, 2  # of a file that are measured, spread over it
_LARGEST = (200, 400)  # height, width; of larger holes the middle
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
        count = _STILLS if kind_of(name) == "still" else _SAMPLES
        chosen = samples[:: max(1, len(samples) // count)][:count]
        if not chosen:
            continue
        errors = np.zeros((2, 2))  # before and after; sum and number
        for sample in chosen:
            height, width = (min(largest, -(-int(side) // MULTIPLE) * MULTIPLE)
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
    rows = []
    for title, gains in measured.items():
        windows = {name: gain for name, gain in gains.items() if kind_of(name) != "still"}
        parts = [[gain for name, gain in gains.items() if kind_of(name) == kind] for kind in (*kinds, "still")]
        every, *of_kinds, stills = (number(mean(part), 3, True) for part in (windows.values(), *parts))
        lowest = ", ".join(number(gain, 2, True) for gain in sorted(windows.values())[:_LOWEST])
        rows.append([title, every, *of_kinds, lowest, stills])
    some = next(iter(measured.values()))
    count = sum(kind_of(name) == "still" for name in some)
    return markdown(["weights", f"windows ({len(some) - count})", *kinds, "lowest", f"single frames ({count})"], rows)
