"""Fixed windows that are never trained on, and what a fill is worth on them.

Groups: text and logo holes, in clean and in coded pictures. Telea, the base fill and the network get the same windows.
PSNR is inside the hole, per window, then the mean of the dB; the colour cast and the flicker likewise (`ops.metrics`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vswipe.ops import metrics

from .dataset import Window, WindowShape, collate, crop_clip, make_window, pan_picture
from .footage import Footage

TELEA_RADIUS = 5
MAX_PSNR = 50.0
"""dB at most: a root mean square error of 0.8 levels, which nobody sees. On flat ground the base fill can be exact; one
such window, at 100 dB, would weigh as much as all others together."""

_SEED = 20_000  # of the windows, for good: numbers measured on others cannot be compared
_GROUPS = {"text": ("text", 0.0), "logo": ("logo", 0.0), "text coded": ("text", 1.0), "logo coded": ("logo", 1.0)}

Scores = dict[str, float]
Fill = Callable[[dict[str, Tensor]], Tensor]


@dataclass
class ValidationSet:
    """Windows by group.

    Args:
        groups: name -> windows.
        known: scores of the methods that need no network, measured once; per group and method a row per window.
    """

    groups: dict[str, list[Window]]
    known: dict[str, dict[str, list[Scores]]] = field(default_factory=dict)

    def brief(self, each: int = 8) -> ValidationSet:
        """The first windows of every group: to look at while a run goes on."""
        self._measure_known()
        groups = {name: windows[:each] for name, windows in self.groups.items()}
        known = {name: {m: rows[:each] for m, rows in methods.items()} for name, methods in self.known.items()}
        return ValidationSet(groups, known)

    def measure(self, net: Fill, device: torch.device | str = "cpu") -> dict[str, dict[str, Any]]:
        """group -> method ("telea", "base", "net") -> psnr, cast, e_warp (levels); median_gain (dB) and better:
        median of the gain over the base fill, and share of the windows in which there is one."""
        self._measure_known()
        table: dict[str, dict[str, Any]] = {}
        for name, windows in self.groups.items():
            rows = []
            for window in windows:
                batch = {key: tensor.to(device) for key, tensor in collate([window]).items()}
                with torch.inference_mode():
                    output = net(batch)
                rows.append(score(window, to_frames(output[0])))
            methods = {**self.known[name], "net": rows}
            table[name] = {method: _mean(scores, self.known[name]["base"]) for method, scores in methods.items()}
        return table

    def _measure_known(self) -> None:
        for name, windows in self.groups.items():
            if name not in self.known:
                self.known[name] = {"telea": [score(w, telea(w)) for w in windows],
                                    "base": [score(w, w.base) for w in windows]}  # fmt: skip


def make_validation(footage: Footage, each: int = 24, size: int = 128, num_frames: int = 4) -> ValidationSet:
    """The windows, always the same for the same footage and fonts.

    Args:
        footage: of the validation part.
        each: windows per group; two of three from clips, one after the other, the third from photographs.
        size, num_frames: of the windows.
    """
    groups: dict[str, list[Window]] = {}
    for number, (name, (kind, coded)) in enumerate(_GROUPS.items()):
        rng = np.random.default_rng((_SEED, number))
        bank = footage.bank(rng)
        shape = WindowShape(size, num_frames, (kind,), (1.0,), coded)
        windows = []
        for k in range(each):
            from_picture = footage.num_pictures and (k % 3 == 2 or not footage.num_clips)
            if from_picture:
                picture = footage.picture((k * 7 + number) % footage.num_pictures)
                crops, stride = pan_picture(rng, picture, shape)
            else:
                # Steps of 7 walk over all of them before one comes again, unless their number is a multiple of 7.
                crops, stride = crop_clip(rng, footage.clip((k * 7 + number) % footage.num_clips), shape)
            windows.append(make_window(rng, crops, stride, bank, shape))
        groups[name] = windows
    return ValidationSet(groups)


def telea(window: Window) -> np.ndarray:
    """Frames of a window filled by `cv2.inpaint` (Telea 2004), each alone."""
    return np.stack([cv2.inpaint(frame, mask, TELEA_RADIUS, cv2.INPAINT_TELEA) if mask.any() else frame
                     for frame, mask in zip(window.drawn, window.mask, strict=True)])  # fmt: skip


def to_frames(output: Tensor) -> np.ndarray:
    """(T, 3, H, W), red first, 0..1 -> (T, H, W, 3) uint8, blue first."""
    levels = (output.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1)[..., ::-1])


def score(window: Window, result: np.ndarray) -> Scores:
    """psnr (dB), cast and e_warp (levels) of a result inside the window's hole; e_warp only for neighbouring frames."""
    flicker = float("nan")
    if window.stride == 1:
        flicker = metrics.e_warp(result, window.clean, window.mask)
    return {"psnr": min(metrics.psnr(result, window.clean, window.mask), MAX_PSNR),
            "cast": metrics.cast(result, window.clean, window.mask), "e_warp": flicker}  # fmt: skip


def _mean(rows: Sequence[Scores], base: Sequence[Scores]) -> dict[str, float]:
    out = {}
    for name in ("psnr", "cast", "e_warp"):
        values = np.array([row[name] for row in rows])
        values = values[np.isfinite(values)]
        out[name] = float(values.mean()) if len(values) else float("nan")
    gains = [a["psnr"] - b["psnr"] for a, b in zip(rows, base, strict=True)]
    out["median_gain"] = float(np.median(gains))
    out["better"] = float(np.mean([gain > 0 for gain in gains]))
    return out


def table(measured: dict[str, dict[str, Any]]) -> str:
    """A measured table as Markdown."""
    lines = ["| windows | method | PSNR, dB | above Telea | above base (median) | better in | colour cast | E_warp |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for group, methods in measured.items():
        for method, row in methods.items():
            over = [f"{row['psnr'] - methods[other]['psnr']:+.2f}" if method != other else "" for other in
                    ("telea", "base")]  # fmt: skip
            beside = f"{over[1]} ({row['median_gain']:+.2f}) | {row['better']:.0%}" if over[1] else " | "
            lines.append(f"| {group} | {method} | {row['psnr']:.2f} | {over[0]} | {beside} | "
                         f"{row['cast']:.2f} | {row['e_warp']:+.2f} |")  # fmt: skip
    return "\n".join(lines)
