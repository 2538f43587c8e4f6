"""Speed and memory of core.wipe.Inpaint, through vspipe, as ratios taken in one run.

    python scripts/benchmark.py --out scripts/results/benchmark.json
    python scripts/benchmark.py --cases 1080p --frames 96 --rounds 1

A drawn, moving texture with a two-line subtitle on every frame, YUV420P8. Each round runs the same script without and
with the filter, one after the other, so that a busy machine slows both. The memory is the largest resident size of the
whole vspipe process. Before anything is timed, frames are compared: equal outside the mask, changed inside.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
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

from vswipe.training.results import markdown, number, provenance
from vswipe.training.subtitles import SubtitleStyle, draw_text

SCENE = Path(__file__).with_name("benchmark_scene.vpy")
SIZES = {"1080p": (1920, 1080), "720p": (1280, 720), "360p": (640, 360)}
# Lines change often enough that most of what one hides is seen under the next, as in a film without pauses.
HOLD = 48
TEXT = (
    "Where were you last night?\nI told you, I don't know.",
    "We have to go now, or nobody\nwill ever believe a word of it.",
    "It was a quarter to eight\nwhen he left the house.",
    "And what did he say to you\nbefore he closed the door?",
)
_SPEED = re.compile(r"Output (\d+) frames in ([\d.]+) seconds")


@dataclass(frozen=True)
class Case:
    """What is timed: a size, and whether the mask marks anything."""

    name: str
    width: int
    height: int
    use: str
    frames: int


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
    cases = [Case(f"{size} {use}", *SIZES[size], use, args.frames if use == "inpaint" else empty[size])
             for size in args.cases for use in ("inpaint", "empty")]  # fmt: skip
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
                       "hold": HOLD, "model": args.model, "radius": args.radius, "threads": args.threads}  # fmt: skip
            result.stages = look_inside({**options, "use": case.use})
            bar.advance(step)
            for _ in range(args.rounds):
                fps, size = run(vspipe, {**options, "use": "source"})
                result.source_fps.append(fps)
                result.source_bytes = max(result.source_bytes, size)
                bar.advance(step)
                fps, size = run(vspipe, {**options, "use": case.use})
                result.filter_fps.append(fps)
                result.filter_bytes = max(result.filter_bytes, size)
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
    parser.add_argument("--frames", type=int, default=144, help="frames per run with subtitles")
    parser.add_argument("--empty-frames", type=int, default=1200, help="frames with an empty mask, at 1080 lines")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--radius", default="", help="frames of context on each side (default: the filter's)")
    parser.add_argument("--threads", default="", help="VapourSynth threads (default: its own choice)")
    parser.add_argument("--out", help="write everything measured to this JSON file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = [size for size in args.cases if size not in SIZES]
    if unknown:
        parser.error(f"cases must be of {', '.join(SIZES)}, got {', '.join(unknown)}")
    return args


def draw_scene(folder: Path, case: Case) -> float:
    """Write the texture and the masks of the lines; the share of a frame that is masked."""
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
    for mask, text in zip(masks, TEXT, strict=True):
        drawn = draw_text(text, style, case.width * 0.92, case.height * 0.4).pixels[..., 3] > 0.02
        h, w = drawn.shape
        left, top = (case.width - w) // 2, case.height - h - case.height // 16
        mask[top : top + h, left : left + w] = 255 * drawn
    np.save(folder / "masks.npy", masks)
    return float((masks > 0).mean()) if case.use == "inpaint" else 0.0


def run(vspipe: Path, options: dict[str, Any]) -> tuple[float, int]:
    """Frames per second of the script through vspipe, and the process's largest resident size in bytes (0: unknown)."""
    arguments = [part for key, value in options.items() for part in ("-a", f"{key}={value}")]
    command = [str(vspipe), *arguments, str(SCENE), "--"]  # "--": count the frames, write none
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output)
        largest = 0
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        else:
            process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    found = _SPEED.search(text)
    if process.returncode or not found:
        raise SystemExit(f"benchmark: vspipe failed\n{text}")
    return int(found[1]) / float(found[2]), largest


def look_inside(options: dict[str, Any]) -> dict[str, float]:
    """Check the output and return seconds per frame and stage, in a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--child", json.dumps({k: str(v) for k, v in options.items()})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmark: {done.stderr}")
    return json.loads(done.stdout)


def child(options: dict[str, str]) -> None:
    """Run one chunk's worth of frames inside Python, compare some with the source, print the engine's stage times."""
    import vapoursynth as vs

    runpy.run_path(str(SCENE), init_globals={**options, "use": "source"})
    source = vs.get_output(0)[0]
    runpy.run_path(str(SCENE), init_globals=options)
    erased = vs.get_output(0)[0]
    masks = np.load(Path(options["folder"]) / "masks.npy")
    count = min(len(source), 48)
    start = time.perf_counter()
    for n in range(count):
        mask = masks[n // int(options["hold"]) % len(masks)] > 0
        if options["use"] == "empty":
            mask = np.zeros_like(mask)
        with source.get_frame(n) as before, erased.get_frame(n) as after:
            different = np.asarray(before[0]) != np.asarray(after[0])
        # The engine grows the mask by a pixel.
        allowed = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        if (different & ~allowed).any() or (mask.any() and not different.any()):
            raise SystemExit(f"frame {n} is wrong: the outputs must agree outside the mask and differ inside")
    seconds = time.perf_counter() - start
    stages: dict[str, float] = {}
    for thing in gc.get_objects():
        if type(thing).__name__ == "Pipeline" and hasattr(thing, "timings"):
            stages = {stage: spent / count for stage, spent in thing.timings.items()}
    print(json.dumps({**stages, "wall": seconds / count}))


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
