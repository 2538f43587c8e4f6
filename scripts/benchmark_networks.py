"""Speed of the networks in the engine, against the same network run window by window: ratios taken in one run.

    python scripts/benchmark_networks.py --out scripts/results/benchmark_networks.json
    python scripts/benchmark_networks.py --networks rnot --frames 24 --rounds 1

Plain means what the published scripts do, on the same crops: a network with a memory (opn, rnot) encodes its reference
frames anew for every frame it fills; a network of windows (sttn, autosttn) encodes every frame of a window and every
reference anew for every window, and renders each frame in both windows that hold it. The engine does the same work with
what it keeps in the ring. The weights are random: they do not change the time. A drifting texture with a hole like a
line of text, in linear playback from the middle of a clip, so that neither way has a beginning to gain from. Processor
time of all threads is counted, so that what else runs on the machine changes the ratio little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe import nets
from vswipe.engine.memory import Inputs, Timeline, on_grid
from vswipe.engine.netfill import NetFill, NetSettings
from vswipe.engine.ring import FrameRing
from vswipe.nets._memory import Features
from vswipe.training.results import markdown, number, provenance

CHUNK = 8  # frames asked for at once, as by the filter
RING_BYTES = 512 << 20


@dataclass
class Timed:
    """Seconds of processor time per frame of one network in each round."""

    network: str
    options: dict[str, Any]
    height: int
    width: int
    engine: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median over the rounds of plain / engine: how many times as many frames in the same processor time."""
        return statistics.median(p / e for p, e in zip(self.plain, self.engine, strict=True))


class Clip:
    """A drifting texture with one hole; everything a network may ask for."""

    def __init__(self, height: int, width: int) -> None:
        rng = np.random.default_rng(1)
        noise = cv2.GaussianBlur(rng.random((height + 256, width + 512, 3)).astype(np.float32), (0, 0), 2)
        self.texture = np.clip((noise - noise.mean()) * 4 + 0.5, 0, 1)
        self.height, self.width = height, width
        self.mask = np.zeros((height, width), np.uint8)
        self.mask[height * 5 // 12 : height * 7 // 12, width // 8 : width * 7 // 8] = 1

    def picture(self, n: int) -> np.ndarray:
        """(h, w, 3) of frame n."""
        y, x = n % 256, 2 * n % 512
        return np.ascontiguousarray(self.texture[y : y + self.height, x : x + self.width])

    def hole(self, n: int) -> np.ndarray:
        """(h, w), the same for all frames."""
        return self.mask

    def base(self, n: int) -> np.ndarray:
        """The hole filled with the picture's mean."""
        picture = self.picture(n).copy()
        picture[self.mask > 0] = picture.mean((0, 1))
        return picture

    def inputs(self, n: int) -> Inputs:
        """What the network takes."""
        parts = (self.picture(n), self.mask[..., None].astype(np.float32), self.base(n))
        return Inputs(*(torch.from_numpy(p.transpose(2, 0, 1).copy())[None, None] for p in parts))


def in_engine(net: Any, clip: Clip, first: int, frames: int, total: int) -> float:
    """Processor seconds per frame with the ring, in chunks; the chunk before the timed ones has filled it."""
    fill = NetFill(net, "cpu", False, FrameRing(RING_BYTES), total, NetSettings())

    def run(start: int) -> None:
        numbers = range(start, start + CHUNK)
        fill.fill("place", numbers, clip.picture, clip.hole, clip.base, lambda n: True)

    run(first - CHUNK)
    began = time.process_time()
    for start in range(first, first + frames, CHUNK):
        run(start)
    return (time.process_time() - began) / frames


def plain(net: Any, clip: Clip, first: int, frames: int, total: int) -> float:
    """Processor seconds per frame without anything kept."""
    spec = net.spec
    timeline = Timeline(total, lambda n: True)
    work: Callable[[int], object]
    if spec.kind == "memory":
        step = 1

        def work(n: int) -> object:
            members = [n, *on_grid([m for m in timeline.shot(n, spec.radius, spec.radius) if m != n],
                                   spec.reference_stride)]  # fmt: skip
            together = Inputs.together([clip.inputs(m) for m in members])
            features = net.encode(*together.all)
            memory = net.remember(features, together.masks)[0][1:]
            own = Features(features.key[:, :1], features.value[:, :1])
            return net.complete(own, [memory], *(part[:, :1] for part in together.all))
    else:
        step = spec.window // 2

        def work(start: int) -> object:
            window = range(start, start + spec.window)
            around = timeline.shot(start, spec.radius, spec.window - 1 + spec.radius)
            members = [*window, *on_grid([n for n in around if n not in window], spec.reference_stride)]
            inputs = [clip.inputs(n) for n in members]
            features = torch.cat([net.encode(*_masked(net, i)) for i in inputs], 1)
            masks = torch.cat([i.masks for i in inputs], 1)
            done = net.transform(features, masks)[:, : len(window)]
            return [net.render(done[:, t : t + 1], *_masked(net, i)) for t, i in enumerate(inputs[: len(window)])]

    began = time.process_time()
    starts = range(first, first + frames, step)
    with torch.inference_mode():
        for start in starts:
            work(start)
    return (time.process_time() - began) / (len(starts) * step)


def _masked(net: Any, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    return inputs.frames, None if net.spec.mask_free else inputs.masks, inputs.base


def main() -> int:
    """Parse, run, print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["opn", "rnot", "sttn", "autosttn"])
    parser.add_argument("--size", default="240x432", help="height and width of the crop")
    parser.add_argument("--width", type=float, default=0.5, help="multiplier of all channel counts")
    parser.add_argument("--frames", type=int, default=16, help="timed frames, a multiple of the chunk")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", help="write everything measured to this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    height, width = (int(part) for part in args.size.split("x"))
    total, first = 400, 200
    timed = []
    with Progress(console=Console(stderr=True)) as bar:
        step = bar.add_task("networks", total=len(args.networks) * args.rounds)
        for name in args.networks:
            options = {"own": True, "width": args.width}
            net: Any = nets.create(name, **options)
            clip = Clip(*(-(-side // multiple) * multiple for side, multiple in
                          zip((height, width), net.spec.multiple_of, strict=True)))  # fmt: skip
            result = Timed(name, options, clip.height, clip.width)
            timed.append(result)
            for _ in range(args.rounds):
                result.engine.append(in_engine(net, clip, first, args.frames, total))
                result.plain.append(plain(net, clip, first, args.frames, total))
                bar.advance(step)
    header = ("network", "crop", "ring, processor s/frame", "plain, processor s/frame", "plain / ring")
    print(markdown(header, [(t.network, f"{t.width}x{t.height}", number(statistics.median(t.engine), 3),
                             number(statistics.median(t.plain), 3), number(t.ratio, 2)) for t in timed]))  # fmt: skip
    if args.out:
        settings = {key: value for key, value in vars(args).items() if key != "out"}
        rows = [{**asdict(t), "ratio": t.ratio} for t in timed]
        path = Path(args.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"settings": settings, **provenance(), "networks": rows}
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
