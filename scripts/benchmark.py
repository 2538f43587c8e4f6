"""Speed and memory of the filters, through vspipe, as ratios taken in one run.

    python scripts/benchmark.py --out scripts/results/benchmark.json
    python scripts/benchmark.py --cases 1080p --frames 96 --rounds 1
    python scripts/benchmark.py --cases 1080p --uses inpaint,submask,autosub
    python scripts/benchmark.py --cases 1080p --uses empty --coded

A drawn, moving texture with a two-line subtitle on every frame, YUV420P8. Each round runs the same script without and
with the filter, one after the other, so that a busy machine slows both. The memory is the largest resident size of the
whole vspipe process. Before anything is timed, frames are compared: equal outside the mask, changed inside.

Uses: "inpaint" with a mask of the lines, "empty" with a mask that marks nothing; "submask" and "autosub" find burnt-in
lines by themselves. Logos have benchmark_logo.py. With --coded the scene is first coded with H.264 and then read from
the file, as a film is: what a filter costs beside decoding. Drawn, it comes faster than any film.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed
sys.path.insert(0, str(Path(__file__).resolve().parent))

from vspipe_run import run

from vswipe.demo.media import vspipe_to_ffmpeg
from vswipe.training.results import markdown, number, provenance
from vswipe.training.subtitles import SubtitleStyle, draw_text

SCENE = Path(__file__).with_name("benchmark_scene.vpy")
SIZES = {"1080p": (1920, 1080), "720p": (1280, 720), "360p": (640, 360)}
USES = ("inpaint", "empty", "submask", "autosub")
# Lines change often enough that most of what one hides is seen under the next, as in a film without pauses.
HOLD = 48
TEXT = (
    "Where were you last night?\nI told you, I don't know.",
    "We have to go now, or nobody\nwill ever believe a word of it.",
    "It was a quarter to eight\nwhen he left the house.",
    "And what did he say to you\nbefore he closed the door?",
)


@dataclass(frozen=True)
class Case:
    """What is timed: a size, and one of `USES`."""

    name: str
    width: int
    height: int
    use: str
    frames: int
    model: str = "auto"

    @property
    def burnt(self) -> bool:
        """Whether the lines are burnt into the picture before the filter sees it."""
        return self.use in ("submask", "autosub")


@dataclass
class Timed:
    """Rounds of one case; frames per second, bytes."""

    case: Case
    source_fps: list[float] = field(default_factory=list)
    filter_fps: list[float] = field(default_factory=list)
    source_bytes: int = 0
    filter_bytes: int = 0
    masked: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Median over the rounds of filter / source."""
        return statistics.median(b / a for a, b in zip(self.source_fps, self.filter_fps, strict=True))


def main() -> int:
    """Parse, run, print; returns the exit status."""
    args = parse()
    if args.child:
        child(json.loads(args.child))
        return 0
    from vswipe._vsenv import ensure_vspipe

    vspipe = ensure_vspipe()
    log = Console(stderr=True)
    # Small frames pass by so fast that many are needed for a time worth measuring.
    empty = {size: args.empty_frames * 1080 * 1080 // SIZES[size][1] ** 2 for size in args.cases}
    cases = [Case(f"{size} {use}{'' if model == 'auto' else ' ' + model}", *SIZES[size], use,
                  empty[size] if use == "empty" else args.frames, model)
             for size in args.cases for use in args.uses for model in args.models]  # fmt: skip
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    timed = []
    with tempfile.TemporaryDirectory() as folder, Progress(console=log) as bar:
        step = bar.add_task("runs", total=len(cases) * (2 * args.rounds + 1))
        for case in cases:
            result = Timed(case)
            timed.append(result)
            bar.update(step, description=case.name)
            result.masked = draw_scene(Path(folder), case)
            options = {"folder": folder, "width": case.width, "height": case.height, "frames": case.frames,
                       "hold": HOLD, "burnt": int(case.burnt), "model": case.model, "radius": args.radius,
                       "threads": args.threads}  # fmt: skip
            if args.coded:
                options["file"] = str(code_scene(vspipe, Path(folder), options))
            result.stages = look_inside({**options, "use": case.use})
            bar.advance(step)
            for _ in range(args.rounds):
                done = run(vspipe, SCENE, {**options, "use": "source"})
                result.source_fps.append(done.fps)
                result.source_bytes = max(result.source_bytes, done.bytes)
                bar.advance(step)
                done = run(vspipe, SCENE, {**options, "use": case.use})
                result.filter_fps.append(done.fps)
                result.filter_bytes = max(result.filter_bytes, done.bytes)
                bar.advance(step)
    print(table(timed))
    if args.out:
        settings = {key: value for key, value in vars(args).items() if key not in ("out", "child")}
        document = {"settings": settings, **provenance(), "cores": os.cpu_count(), "load_before": load, "cases": [
            {**asdict(t), "ratio": t.ratio, "fps": statistics.median(t.filter_fps)} for t in timed]}  # fmt: skip
        path = Path(args.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=lambda text: text.split(","), default=list(SIZES),
                        help=f"of {', '.join(SIZES)}")  # fmt: skip
    parser.add_argument("--uses", type=lambda text: text.split(","), default=["inpaint", "empty"],
                        help=f"of {', '.join(USES)}")  # fmt: skip
    parser.add_argument("--frames", type=int, default=144, help="frames per run with something to erase")
    parser.add_argument("--empty-frames", type=int, default=1200, help="frames with an empty mask, at 1080 lines")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=lambda text: text.split(","), default=["auto"],
                        help="one after the other; scripts/quality_speed.py draws what they give and cost")  # fmt: skip
    parser.add_argument("--radius", default="", help="frames of context on each side (default: the filter's)")
    parser.add_argument("--threads", default="", help="VapourSynth threads (default: its own choice)")
    parser.add_argument("--coded", action="store_true", help="read the scene from an H.264 file")
    parser.add_argument("--out", help="write everything measured to this JSON file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for what, given, known in (("cases", args.cases, SIZES), ("uses", args.uses, USES)):
        unknown = [name for name in given if name not in known]
        if unknown:
            parser.error(f"{what} must be of {', '.join(known)}, got {', '.join(unknown)}")
    return args


def draw_scene(folder: Path, case: Case) -> float:
    """Write the texture, the lines and their masks; the share of a frame that is masked."""
    rng = np.random.default_rng(1)
    height, width = case.height * 5 // 4 // 2 * 2, case.width * 5 // 4 // 2 * 2
    texture = np.zeros((3, height, width), np.float32)
    for octave in range(1, 7):  # detail of all sizes, down to single pixels
        cell = 2 ** (7 - octave)
        noise = rng.standard_normal((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        texture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1) * cell**0.6
    texture *= np.array([26, 10, 10], np.float32)[:, None, None] / texture.std(axis=(1, 2), keepdims=True)
    texture += np.array([120, 128, 128], np.float32)[:, None, None]
    np.save(folder / "texture.npy", np.clip(texture, 16, 235).astype(np.uint8))
    # Pillow's own font: the same mask on every machine.
    style = SubtitleStyle("latin", None, case.height * 0.052, (1.0, 1.0, 1.0), outline=case.height * 0.0035)
    masks = np.zeros((len(TEXT), case.height, case.width), np.uint8)
    # Opacity, and luma where there is any: white letters, black outlines.
    lines = np.zeros((2, *masks.shape), np.uint8)
    for k, text in enumerate(TEXT):
        pixels = draw_text(text, style, case.width * 0.92, case.height * 0.4).pixels
        h, w = pixels.shape[:2]
        left, top = (case.width - w) // 2, case.height - h - case.height // 16
        place = np.s_[k, top : top + h, left : left + w]
        masks[place] = 255 * (pixels[..., 3] > 0.02)
        lines[0][place] = np.rint(255 * pixels[..., 3])
        lines[1][place] = np.rint(16 + 219 * pixels[..., 0] / np.maximum(pixels[..., 3], 1e-6))
    np.save(folder / "masks.npy", masks)
    np.save(folder / "lines.npy", lines)
    return 0.0 if case.use == "empty" else float((masks > 0).mean())


def code_scene(vspipe: Path, folder: Path, options: dict[str, Any]) -> Path:
    """Code the scene as most films are: H.264, CRF 20. Returns the file."""
    path = folder / "scene.mkv"
    coder: list[str | Path] = ["-c:v", "libx264", "-crf", "20", "-preset", "veryfast", path]
    vspipe_to_ffmpeg(vspipe, SCENE, coder, lambda frame: None, {**options, "use": "source"})
    return path


def look_inside(options: dict[str, Any]) -> dict[str, float]:
    """Check the output and return seconds per frame and stage, in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--child", json.dumps({k: str(v) for k, v in options.items()})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmark: {done.stderr}")
    return json.loads(done.stdout)


def child(options: dict[str, str]) -> None:
    """Run some frames inside Python, compare them with the source, print the engine's stage times."""
    import vapoursynth as vs

    runpy.run_path(str(SCENE), init_globals={**options, "use": "source"})
    source = vs.get_output(0)[0]
    runpy.run_path(str(SCENE), init_globals=options)
    filtered = vs.get_output(0)[0]
    count = min(len(source), 48)
    start = time.perf_counter()
    for n in range(count):
        with source.get_frame(n) as before, filtered.get_frame(n) as after:
            check(n, np.asarray(before[0]), np.asarray(after[0]), options)
    seconds = time.perf_counter() - start
    stages: dict[str, float] = {}
    for thing in gc.get_objects():
        if type(thing).__name__ == "Pipeline" and hasattr(thing, "timings"):
            stages = {stage: spent / count for stage, spent in thing.timings.items()}
    print(json.dumps({**stages, "wall": seconds / count}))


def check(n: int, before: np.ndarray, after: np.ndarray, options: dict[str, str]) -> None:
    """Stops unless luma is equal outside what may be erased and differs inside; a mask must cover the letters."""
    use, hold = options["use"], int(options["hold"])
    masks = np.load(Path(options["folder"]) / "masks.npy", mmap_mode="r")
    mask = masks[n // hold % len(masks)] > 0
    if use == "submask":
        if after[mask].mean() < 0.8 * 255:
            raise SystemExit(f"frame {n} is wrong: the mask must cover the letters")
        return
    if use == "empty":
        mask = np.zeros_like(mask)
    # The engine grows the mask by a pixel; what is found by itself is found at 360 lines.
    reach = 3 if use in ("inpaint", "empty") else 1 + 24 * before.shape[0] // 1080
    allowed = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    different = before != after
    # What is under a mask that nothing was burnt into may come back as it was.
    least = 0.5 if int(options["burnt"]) else 0.001
    if (different & ~allowed).any() or (mask.any() and different[mask].mean() < least):
        raise SystemExit(f"frame {n} is wrong: the outputs must agree outside the mask and differ inside")


def table(timed: list[Timed]) -> str:
    """What was measured, and where the time goes."""
    lines = []
    for t in timed:
        line = [t.case.name, f"{t.case.width}x{t.case.height}", str(t.case.frames), number(100 * t.masked, 1)]
        line += [number(statistics.median(t.source_fps), 0), number(statistics.median(t.filter_fps), 2)]
        line += [f"{min(t.filter_fps):.1f}-{max(t.filter_fps):.1f}", number(t.ratio, 3)]
        line += [number(size / 2**20, 0) for size in (t.source_bytes, t.filter_bytes)]
        lines.append(line)
    header = ("case", "size", "frames", "mask %", "fps without", "fps", "spread", "ratio", "MiB without", "MiB")
    text = [markdown(header, lines)]
    stages = []
    for t in timed:
        whole = sum(seconds for stage, seconds in t.stages.items() if stage != "wall")
        for stage, seconds in sorted(t.stages.items(), key=lambda item: -item[1]):
            if whole and stage != "wall":
                share = number(100 * seconds / whole, 0)
                stages.append((t.case.name, stage, number(1000 * seconds, 1), share))
    if stages:
        text += ["", markdown(("case", "stage", "ms per frame", "% of the stages"), stages)]
    return "\n".join(text)


if __name__ == "__main__":
    raise SystemExit(main())
