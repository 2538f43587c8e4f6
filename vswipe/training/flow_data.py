"""What learned completion of motion learns from: pairs of frames as the engine sees them, and their unmarked motion.

The engine runs over the same kind of windows as in `wipe_data`. One file per window holds a list of samples; a sample
is one direction of one pair, on the grid of cells, around what is guarded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vswipe.engine.flowfill import Both, Pair, on_grid
from vswipe.engine.picture import Frame, PictureFormat
from vswipe.engine.pipeline import Pipeline
from vswipe.engine.region_view import GRID
from vswipe.engine.settings import Settings
from vswipe.ops.flow import grid_flow

from .clips import ClipFile
from .codec import Planes
from .wipe_data import Drawn, Sample, draw_window, noise_window, save, to_bytes

CHUNKS = 2  # of a window that are worked on; their context gives pairs, too
EVERY = 5  # of the pairs one is kept


class PairRecorder:
    """Takes the network's place in the engine: notes what it would see, and changes nothing.

    Args:
        truth: clean planes.
        phase: which of `EVERY` pairs are noted.
    """

    def __init__(self, truth: Planes, phase: int) -> None:
        self.truth, self.phase = truth, phase
        self.samples: dict[tuple[int, int, int], list[Sample]] = {}  # by pair and place; chunks ask again

    def complete(self, pair: Pair) -> Both:
        """See `engine.flowfill.MotionFill`."""
        box = pair.box()
        if box is not None and pair.n % EVERY == self.phase:
            first, second = (self._clean(n, pair) for n in (pair.n, pair.n + 1))
            small = [to_bytes(on_grid(picture, pair.guards[0].shape))[box] for picture in (first, second)]
            motions = grid_flow(first, second, GRID)[box], grid_flow(second, first, GRID)[box]
            samples = []
            for way in (0, 1):
                planes, measured, affine = pair.seen(box, way, steps=True)
                samples.append({
                    "planes": planes.astype(np.float16),
                    "measured": measured.astype(np.float16),
                    "affine": affine.astype(np.float16),
                    "diffused": np.moveaxis(pair.completed[way][(0, *box)], 2, 0).astype(np.float16),
                    "truth": np.moveaxis(motions[way], 2, 0).astype(np.float16),
                    "first": small[way],
                    "second": small[1 - way],
                })  # fmt: skip
            self.samples[pair.n, pair.rect.top, pair.rect.left] = samples
        return pair.completed

    def _clean(self, n: int, pair: Pair) -> np.ndarray:
        """The region's luma without marks; beyond the frame its border goes on."""
        rect, luma = pair.rect, self.truth[0][n]
        part = luma[rect.top : rect.bottom, rect.left : rect.right]
        over = (rect.height - part.shape[0], rect.width - part.shape[1])
        return np.ascontiguousarray(np.pad(part, ((0, over[0]), (0, over[1])), "edge"))


def record(window: Drawn, rng: np.random.Generator) -> list[Sample]:
    """Runs the copy stage over some chunks of a window of at most 400 lines."""
    length, height, width = window.mask.shape
    pipeline = Pipeline(PictureFormat(width, height, "YUV", 8, False, 1, 1), length, Settings(dilate=window.dilate))
    if pipeline.factor != 1:
        raise ValueError(f"flow_data: clips must have at most 400 lines, got {height}")
    frames = {n: Frame(n, tuple(plane[n] for plane in window.source), {}) for n in range(length)}
    masks = {n: window.mask[n] if window.mask[n].any() else None for n in range(length)}
    pipeline.motion = recorder = PairRecorder(window.truth, int(rng.integers(EVERY)))
    starts = [n for n in range(0, length, pipeline.chunk) if window.mask[n : n + pipeline.chunk].any()]
    for first in sorted(rng.permutation(starts)[:CHUNKS].tolist()):
        pipeline.render(first, min(first + pipeline.chunk, length), frames, masks,
                        lambda n: tuple(plane[n].copy() for plane in window.source))  # fmt: skip
    # Threads take the pairs in any order.
    return [sample for key in sorted(recorder.samples) for sample in recorder.samples[key]]


def make(index: int, clips: list[ClipFile], photos: list[Path]) -> tuple[str, list[Sample]]:
    """Window number `index`: its name and samples."""
    rng = np.random.default_rng([14, index])
    window = draw_window(rng, index, clips, photos)
    return window.name, record(window, rng)


def make_noise(folder: Path, windows: int = 3) -> None:
    """Windows of drifting noise with a bar across: for smoke runs and tests."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(windows):
        window = noise_window(index)
        # The last one is of a name that is held out.
        name = "noise-d" if index == windows - 1 else "noise"
        save(folder / f"{index:05d}_sub_{name}.npz", record(window, np.random.default_rng([13, index])))
