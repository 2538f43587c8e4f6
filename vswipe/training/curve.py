"""The curve of a training run as JSON and as a picture."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_COLOURS = ((180, 90, 30), (40, 130, 40), (40, 40, 200), (160, 40, 160), (30, 150, 200), (90, 90, 90))  # BGR


def line(entry: dict[str, Any]) -> str:
    """One entry as a line of text."""
    text = f"{entry['seconds']:7.0f} s  step {entry['step']:6d}  rate {entry['rate']:.1e}"
    for name, value in entry.get("losses", {}).items():
        text += f"  {name} {value:.4f}"
    for group, row in entry.get("validation", {}).items():
        text += f"  {group} {row['net']['psnr']:.2f} ({row['net']['psnr'] - row['base']['psnr']:+.2f})"
    return text


def write(folder: Path, entries: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
    """`curve.json` and `curve.png` in a folder."""
    part = folder / "curve.json.part"
    part.write_text(json.dumps({**about, "entries": list(entries)}, indent=1))
    os.replace(part, folder / "curve.json")
    cv2.imwrite(str(folder / "curve.png"), draw(entries))


def draw(entries: Sequence[dict[str, Any]], width: int = 900, height: int = 640) -> np.ndarray:
    """A picture (H, W, 3) uint8: training losses above, gain over the base fill in dB below, both over minutes."""
    sheet = np.full((height, width, 3), 255, np.uint8)
    ratio = [(e["seconds"] / 60, e["losses"]["hole"] / e["losses"]["base"]) for e in entries
             if e.get("losses", {}).get("base")]  # fmt: skip
    _panel(sheet[: height // 2], "training: hole loss over that of the base fill", {"hole": ratio})
    gains: dict[str, list[tuple[float, float]]] = {}
    for entry in entries:
        for group, row in entry.get("validation", {}).items():
            gain = row["net"]["psnr"] - row["base"]["psnr"]
            gains.setdefault(group, []).append((entry["seconds"] / 60, gain))
    _panel(sheet[height // 2 :], "validation: dB above the base fill", gains)
    return sheet


def panels(plots: dict[str, dict[str, list[tuple[float, float]]]], width: int = 900, height: int = 320) -> np.ndarray:
    """A picture (H, W, 3) uint8 of plots under each other: title -> name -> points (minutes, value)."""
    sheet = np.full((height * len(plots), width, 3), 255, np.uint8)
    for k, (title, series) in enumerate(plots.items()):
        _panel(sheet[k * height : (k + 1) * height], title, series)
    return sheet


def _panel(area: np.ndarray, title: str, series: dict[str, list[tuple[float, float]]]) -> None:
    """Lines with axes into a part of the sheet, in place."""
    height, width = area.shape[:2]
    left, right, top, bottom = 60, width - 170, 34, height - 34
    black, grey, font = (0, 0, 0), (220, 220, 220), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(area, title, (left, 22), font, 0.5, black, 1, cv2.LINE_AA)
    series = {name: [(x, y) for x, y in values if math.isfinite(y)] for name, values in series.items()}
    points = [point for values in series.values() for point in values]
    cv2.rectangle(area, (left, top), (right, bottom), black, 1)
    if not points:
        return
    x_max = max(max(x for x, _ in points), 1e-6)
    low, high = min(y for _, y in points), max(y for _, y in points)
    room = 0.05 * (high - low) or 0.5
    low, high = low - room, high + room

    def place(x: float, y: float) -> tuple[int, int]:
        return round(left + (right - left) * x / x_max), round(bottom - (bottom - top) * (y - low) / (high - low))

    for k in range(5):
        y = low + (high - low) * k / 4
        at = place(0, y)[1]
        cv2.line(area, (left + 1, at), (right - 1, at), grey, 1)
        cv2.putText(area, f"{y:.2f}", (8, at + 4), font, 0.4, black, 1, cv2.LINE_AA)
        minutes = x_max * k / 4
        under = (place(minutes, low)[0] - 20, bottom + 18)
        cv2.putText(area, f"{minutes:.1f} min", under, font, 0.4, black, 1, cv2.LINE_AA)
    for (name, values), colour in zip(series.items(), _COLOURS * len(series), strict=False):
        drawn = np.array([place(x, y) for x, y in values], np.int32).reshape(-1, 2)
        cv2.polylines(area, [drawn], False, colour, 1, cv2.LINE_AA)
        for x, y in drawn:
            cv2.circle(area, (int(x), int(y)), 2, colour, -1)
        row = top + 14 + 18 * list(series).index(name)
        cv2.putText(area, name, (right + 12, row), font, 0.42, colour, 1, cv2.LINE_AA)
