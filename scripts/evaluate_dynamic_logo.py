"""How well marks that blink, alternate or travel are found and erased, and whether clean clips are left alone.

    python scripts/evaluate_dynamic_logo.py --out scripts/results/dynamic_logo.json
    python scripts/evaluate_dynamic_logo.py --clips 4 --no-erase --sheets FOLDER
    python scripts/evaluate_dynamic_logo.py --clips 4 --no-erase --no-clean --opacity 0.5
    python scripts/evaluate_dynamic_logo.py --speed

Validation clips of 90 frames or more, the first 90; one opaque mark each (`training.marks.draw_dynamic`), drawn from
the names, then x264 at CRF 20. The mark is looked for blindly, and with `mark=` (the true mask of one frame). A frame
counts as found where the mask overlaps the true one by a tenth (intersection over union). PSNR is of luma against the
clean frames, inside the true mask grown by a pixel, on the first `--erased` frames; "true": Inpaint with the true mask.
Seconds are of processor time, all threads together.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe.detect.dynamic_logo import BLOCK, DynamicLogoDetector, Example
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.ring import FrameRing
from vswipe.engine.settings import Settings
from vswipe.training.clips import ClipFile, validation_clips
from vswipe.training.codec import Planes, compress
from vswipe.training.composite import Overlay, composite
from vswipe.training.marks import draw_dynamic
from vswipe.training.overlays import overlay_rng

FRAMES = 90
MODES = ("blink", "alternate", "bounce")
OVERLAP = 0.1

Masks = list[np.ndarray | None]


def find_masks(planes: Planes, example: Example | None) -> tuple[Masks, float, float]:
    """The mask of every frame; seconds to learn, and per frame afterwards."""
    num_frames, height, width = planes[0].shape
    detector = DynamicLogoDetector(width, height, "YUV", 1.0, num_frames, 0.5, FrameRing(512 << 20))
    frames = {n: detector.reduce(n, [plane[n] for plane in planes]) for n in range(num_frames)}
    start = time.process_time()
    detector.learn({n: frames[n] for n in detector.samples(example)}, example)
    learnt = time.process_time()
    masks: Masks = []
    for first in range(0, num_frames, BLOCK):
        masks += detector.block(first, frames)
    return masks, learnt - start, (time.process_time() - learnt) / num_frames


def erase(planes: Planes, masks: Masks, stop: int) -> np.ndarray:
    """Luma (stop, H, W) after the engine."""
    num_frames, height, width = planes[0].shape
    frames = {n: Frame(n, tuple(plane[n] for plane in planes)) for n in range(num_frames)}
    out = tuple(plane.copy() for plane in planes)
    pipeline = Pipeline(PictureFormat(width, height, "YUV", 8, sub_w=1, sub_h=1), num_frames, Settings())
    for start in range(0, stop, pipeline.chunk):
        # Whole chunks: what a chunk may look at is measured from its end.
        window = range(max(start - pipeline.before, 0), min(start + pipeline.chunk + pipeline.after, num_frames))
        pipeline.render(start, min(start + pipeline.chunk, num_frames), {n: frames[n] for n in window},
                        {n: masks[n] for n in window}, lambda n: tuple(plane[n] for plane in out))  # fmt: skip
    return out[0][:stop]


def psnr(luma: np.ndarray, clean: np.ndarray, truth: np.ndarray) -> float | None:
    """Inside the true masks grown by a pixel; None where no frame shows the mark."""
    grown = [cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0 for mask in truth]
    squares = [(luma[n][g].astype(float) - clean[n][g]) ** 2 for n, g in enumerate(grown) if g.any()]
    return round(float(10 * np.log10(255**2 / np.concatenate(squares).mean())), 2) if squares else None


def compare(masks: Masks, truth: np.ndarray) -> dict[str, Any]:
    """Frames found, missed and wrong, and the mean overlap of those found."""
    hits, wrong, overlaps = 0, 0, []
    for mask, true in zip(masks, truth, strict=True):
        shown = bool(true.any())
        share = 0.0 if mask is None or not shown else float((mask & true).sum() / (mask | true).sum())
        if share >= OVERLAP:
            hits += 1
            overlaps.append(share)
        elif mask is not None:
            wrong += 1
    return {"shown": int(sum(true.any() for true in truth)), "found": hits, "wrong": wrong,
            "iou": round(float(np.mean(overlaps)), 4) if overlaps else None}  # fmt: skip


def draw(clip: ClipFile, how: str, width: int, height: int, num_frames: int, opacity: float) -> Overlay:
    """The mark of a clip."""
    overlay = draw_dynamic(overlay_rng(clip.name, "dynamic", how), width, height, num_frames, how)
    frames = tuple(tuple(replace(place, opacity=opacity) for place in frame) for frame in overlay.frames)
    return replace(overlay, frames=frames)


def evaluate(clip: ClipFile, how: str, erased: int, sheets: Path | None, opacity: float) -> dict[str, Any]:
    """One clip with one drawn mark."""
    clean, fps = clip.read(FRAMES)
    num_frames, height, width = clean[0].shape
    drawn = composite(clean, draw(clip, how, width, height, num_frames, opacity))
    coded = compress(drawn.planes, "h264", 20, fps)
    shown = [n for n in range(num_frames) if drawn.mask[n].any()]
    example = Example(shown[len(shown) // 3], drawn.mask[shown[len(shown) // 3]])
    row: dict[str, Any] = {"clip": clip.name, "how": how}
    found = {}
    for name, given in (("blind", None), ("mark", example)):
        found[name], learn, each = find_masks(coded, given)
        row[name] = {**compare(found[name], drawn.mask), "learn_seconds": round(learn, 1),
                     "frame_seconds": round(each, 4)}  # fmt: skip
    if erased:
        truth: Masks = [mask if mask.any() else None for mask in drawn.mask]
        row["psnr"] = {"nothing": psnr(coded[0][:erased], clean[0], drawn.mask[:erased])}
        for name, masks in (("true", truth), *found.items()):
            row["psnr"][name] = psnr(erase(coded, masks, erased), clean[0], drawn.mask[:erased])
    if sheets:
        write_sheet(coded, drawn.mask, found, sheets / f"{how}_{clip.name}.png")
    return row


def speed(clip: ClipFile) -> dict[str, Any]:
    """Seconds per frame at 1920x1080, with a mark that blinks: to reduce the frame, and to find the mark in it."""
    clean, _ = clip.read(FRAMES)
    sizes = (1920, 1080), (960, 540), (960, 540)
    large = tuple(np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in plane])
                  for plane, size in zip(clean, sizes, strict=True))  # fmt: skip
    drawn = composite(large, draw(clip, "blink", 1920, 1080, FRAMES, 1.0))  # type: ignore[arg-type]
    detector = DynamicLogoDetector(1920, 1080, "YUV", 1.0, FRAMES, 0.5, FrameRing(512 << 20))
    start = time.process_time()
    for n in range(FRAMES):
        detector.reduce(n, [plane[n] for plane in drawn.planes])
    reduced = (time.process_time() - start) / FRAMES
    masks, learn, each = find_masks(drawn.planes, None)
    return {"clip": clip.name, "size": "1920x1080", "reduce_seconds_per_frame": round(reduced, 4),
            "find_seconds_per_frame": round(each, 4), "learn_seconds": round(learn, 1),
            "learn_frames": FRAMES, **compare(masks, drawn.mask)}  # fmt: skip


def write_sheet(planes: Planes, truth: np.ndarray, found: dict[str, Masks], path: Path) -> None:
    """Three frames, blind above, with the example below: found green, missed red, false blue."""
    num_frames, height, width = planes[0].shape
    rows = []
    for masks in found.values():
        tiles = []
        for n in (num_frames // 6, num_frames // 2, num_frames * 5 // 6):
            i420 = np.concatenate([plane[n].reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)
            tile = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
            mask, true = masks[n], truth[n] > 0
            given = np.zeros(true.shape, bool) if mask is None else mask > 0
            parts = (given & true, (0, 220, 0)), (true & ~given, (0, 0, 255)), (given & ~true, (255, 60, 0))
            for area, colour in parts:
                tile[area] = tile[area] // 2 + np.array(colour, np.uint8) // 2
            tiles.append(tile)
        rows.append(np.hstack(tiles))
    cv2.imwrite(str(path), np.vstack(rows))


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Totals over cases."""
    out: dict[str, Any] = {"cases": len(rows)}
    for name in ("blind", "mark"):
        shown, found, wrong = (sum(row[name][key] for row in rows) for key in ("shown", "found", "wrong"))
        overlaps = [row[name]["iou"] for row in rows if row[name]["iou"] is not None]
        out[name] = {
            "recall": round(found / max(shown, 1), 4),
            "precision": round(found / max(found + wrong, 1), 4),
            "iou": round(float(np.mean(overlaps)), 4) if overlaps else None,
            "cases_found": sum(row[name]["found"] >= 0.9 * row[name]["shown"] for row in rows),
        }
    scored = [row["psnr"] for row in rows if row.get("psnr") and row["psnr"]["true"] is not None]
    if scored:
        out["psnr"] = {key: round(float(np.mean([s[key] for s in scored])), 2) for key in scored[0]}
        out["psnr_cases"] = len(scored)
    return out


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, help="only so many, spread over the list")
    parser.add_argument("--erased", type=int, default=24, help="frames that are erased and scored")
    parser.add_argument("--no-erase", action="store_true", help="masks only")
    parser.add_argument("--no-clean", action="store_true", help="leave out the clips without a mark")
    parser.add_argument("--opacity", type=float, default=1.0, help="of the marks, 0..1")
    parser.add_argument("--speed", action="store_true", help="only time it, at 1920x1080, on the first clip")
    parser.add_argument("--resume", action="store_true", help="keep the cases that --out holds already")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    clips = validation_clips(FRAMES)
    if given.clips and given.clips < len(clips):
        clips = [clips[i * len(clips) // given.clips] for i in range(given.clips)]
    if given.speed:
        print(json.dumps(speed(clips[0])))
        return
    if given.sheets:
        given.sheets.mkdir(parents=True, exist_ok=True)
    kept = json.loads(given.out.read_text()) if given.resume and given.out.exists() else {"cases": [], "clean": []}
    rows, clean = kept["cases"], kept["clean"]
    for clip in clips:
        if not given.no_clean and all(row["clip"] != clip.name for row in clean):
            masks, learn, _ = find_masks(clip.read(FRAMES)[0], None)
            changed = sum(mask is not None for mask in masks)
            clean.append({"clip": clip.name, "changed": changed, "learn_seconds": round(learn, 1)})
            print(json.dumps(clean[-1]), flush=True)
        for how in MODES:
            if any((row["clip"], row["how"]) == (clip.name, how) for row in rows):
                continue
            rows.append(evaluate(clip, how, 0 if given.no_erase else given.erased, given.sheets, given.opacity))
            print(json.dumps(rows[-1]), flush=True)
            save(rows, clean, given.out)
    print(json.dumps(save(rows, clean, given.out), indent=1))


def save(rows: list[dict[str, Any]], clean: list[dict[str, Any]], path: Path | None) -> dict[str, Any]:
    """Totals of what is done so far, written after every case: a run may be stopped, and goes on with `--resume`."""
    modes = {how: summarise([row for row in rows if row["how"] == how]) for how in MODES}
    changed = sum(row["changed"] for row in clean)
    report = {"all": summarise(rows), **modes,
              "clean": {"clips": len(clean), "frames": FRAMES * len(clean), "changed": changed}}  # fmt: skip
    if path:
        path.write_text(json.dumps({"summary": report, "cases": rows, "clean": clean}, indent=1) + "\n")
    return report


if __name__ == "__main__":
    main()
