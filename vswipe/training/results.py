"""Tables from evaluation rows, and the comparison of two result files."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
BASELINE = "telea"
_MEASURES = (("ssim", "SSIM", 4), ("ring_psnr", "ring PSNR", 2), ("ring_ssim", "ring SSIM", 4), ("e_warp", "E_warp", 2),
             ("cast", "cast", 2), ("copied", "copied", 2), ("outside", "outside", 0),
             ("seconds", "s/frame", 3))  # fmt: skip
"""Columns of the tables after PSNR: key, title, digits."""
TIE = 0.05  # dB: smaller differences are neither won nor lost


def provenance() -> dict[str, Any]:
    """Git revision and versions that a result depends on."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    versions = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("numpy", "torch", "opencv-python-headless", "opencv-python", "pillow", "vapoursynth"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"revision": git("rev-parse", "HEAD") or None, "modified": bool(changed), "versions": versions}


def mean(values: Iterable[float | None]) -> float:
    """Mean of those that are finite numbers; NaN where there is none."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


def summarize(rows: Sequence[Row]) -> list[Row]:
    """Per kind and method: means over the clips, the gain over Telea, and the clip where that is worst."""
    base = {(r["kind"], r["clip"]): r["psnr"] for r in rows if r["method"] == BASELINE}
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["kind"], row["method"]].append(row)
    out = []
    for (kind, method), group in groups.items():
        gains = {r["clip"]: r["psnr"] - base[kind, r["clip"]] for r in group if (kind, r["clip"]) in base}
        worst = min(gains, key=gains.__getitem__) if gains else None
        line: Row = {"kind": kind, "method": method, "clips": len(group)}
        for key in ("psnr", "ssim", "ring_psnr", "ring_ssim", "e_warp", "cast", "copied", "seconds"):
            line[key] = mean(r[key] for r in group)
        line["gain"] = mean(gains.values())
        line["worst_gain"] = gains[worst] if worst else float("nan")
        line["worst_clip"] = worst
        line["outside"] = max(r["outside"] for r in group)
        out.append(line)
    return out


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns stand under each other."""
    table = [list(header), *[list(line) for line in lines]]
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in table]
    text = ["| " + " | ".join(line) + " |" for line in padded]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number as the tables write it; "-" where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:{'+' if sign else ''}.{digits}f}"


def summary_table(rows: Sequence[Row]) -> str:
    """Means per kind and method."""
    lines = []
    for s in summarize(rows):
        worst = "-" if s["worst_clip"] is None else f"{number(s['worst_gain'], 1, True)} ({s['worst_clip']})"
        line = [f"{s['kind']} ({s['clips']})", s["method"], number(s["psnr"]), number(s["gain"], 2, True), worst]
        line += [number(s[key], digits, key == "e_warp") for key, _, digits in _MEASURES]
        lines.append(line)
    header = ("kind (clips)", "method", "PSNR", "gain", "worst gain", *(title for _, title, _ in _MEASURES))
    return markdown(header, lines)


def clip_table(rows: Sequence[Row]) -> str:
    """PSNR of every clip: one line per clip and kind, one column per method, and the last method's other measures."""
    methods = list(dict.fromkeys(r["method"] for r in rows))
    last = [m for m in methods if m not in ("nothing", BASELINE, "delogo")][-1:]
    cases: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        cases[row["kind"], row["clip"]][row["method"]] = row
    header = ["kind", "clip", "mask %", *methods]
    if last:
        header += [f"gain of {last[0]}", "SSIM", "E_warp", "cast", "copied", "s/frame"]
    lines = []
    for (kind, clip), found in cases.items():
        line = [kind, clip, number(100 * next(iter(found.values()))["masked"], 1)]
        line += [number(found[m]["psnr"]) if m in found else "-" for m in methods]
        if last:
            mine, base = found.get(last[0]), found.get(BASELINE)
            line += [number(mine["psnr"] - base["psnr"] if mine and base else None, 2, True)]
            line += [number(mine[k] if mine else None, d, k == "e_warp")
                     for k, d in (("ssim", 4), ("e_warp", 2), ("cast", 2), ("copied", 2), ("seconds", 3))]  # fmt: skip
        lines.append(line)
    return markdown(header, lines)


def save(path: Path, settings: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write rows, means, settings and provenance as JSON; numbers that are none become null."""
    document = {"settings": settings, **provenance(), "summary": summarize(rows), "rows": list(rows)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_plain(document), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value


def load(path: str) -> tuple[list[Row], str]:
    """Rows of one method in a result file, and the method's name.

    Args:
        path: "FILE.json" for the last method that is no baseline, or "FILE.json:method".

    Raises:
        ValueError: the file has no such method.
    """
    file, _, wanted = path.partition(".json")
    rows = json.loads(Path(file + ".json").read_text(encoding="utf-8"))["rows"]
    methods = list(dict.fromkeys(r["method"] for r in rows))
    method = wanted.lstrip(":") or ([m for m in methods if m not in ("nothing", BASELINE, "delogo")] or methods)[-1]
    if method not in methods:
        raise ValueError(f"compare: method must be one of {', '.join(methods)}, got {method}")
    return [r for r in rows if r["method"] == method], method


def compare(first: str, second: str) -> str:
    """Tables of second minus first, over the cases both have: means per kind, then the clips that changed most."""
    (rows_a, method_a), (rows_b, method_b) = load(first), load(second)
    a = {(r["kind"], r["clip"]): r for r in rows_a}
    b = {(r["kind"], r["clip"]): r for r in rows_b}
    common = [key for key in a if key in b]
    same = [key for key in common if all(a[key][field] == b[key][field] for field in ("drawing", "frames"))]
    text = [f"A: {first} ({method_a})", f"B: {second} ({method_b})", ""]
    if len(same) < len(common):
        text += [f"not the same drawing or length in {len(common) - len(same)} of {len(common)} cases: left out", ""]
    change = {key: b[key]["psnr"] - a[key]["psnr"] for key in same}
    kinds = list(dict.fromkeys(kind for kind, _ in same))
    groups = {kind: [key for key in same if key[0] == kind] for kind in kinds}
    if len(kinds) > 1:
        groups["all"] = same
    lines = []
    for kind, keys in groups.items():
        mean_a, mean_b = ({m: mean(side[key][m] for key in keys) for m in ("psnr", "ssim", "e_warp", "cast", "seconds")}
                          for side in (a, b))  # fmt: skip
        low = min(keys, key=change.__getitem__)
        won, lost = sum(change[key] > TIE for key in keys), sum(change[key] < -TIE for key in keys)
        line = [f"{kind} ({len(keys)})", number(mean_a["psnr"]), number(mean_b["psnr"])]
        line += [number(mean(change[key] for key in keys), 3, True), f"{won} / {lost}"]
        line += [f"{number(change[low], 2, True)} ({low[1]})"]
        line += [number(mean_b[m] - mean_a[m], d, True) for m, d in (("ssim", 4), ("e_warp", 2), ("cast", 2))]
        line += [number(mean_b["seconds"] / mean_a["seconds"] if mean_a["seconds"] else None)]
        lines.append(line)
    header = ("kind (clips)", "A", "B", "B - A", "won / lost", "largest loss", "SSIM", "E_warp", "cast", "time B/A")
    text += [markdown(header, lines), ""]
    order = sorted(same, key=change.__getitem__)
    shown = list(dict.fromkeys([*order[:8], *order[-8:]]))
    lines = [[*key, number(a[key]["psnr"]), number(b[key]["psnr"]), number(change[key], 2, True)] for key in shown]
    text.append(markdown(("kind", "clip", "A", "B", "B - A"), lines))
    return "\n".join(text)
