"""What AutoLogo, LogoMask and Deblend have in common: the analysis through the graph, and looking at blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs

from vswipe.engine.logo import BLOCK, SAMPLES, Analysis, LogoAnalysis, LogoEraser
from vswipe.engine.picture import PictureFormat
from vswipe.filters._bridge import Arguments, Request
from vswipe.filters._check import need, need_at_least, need_mask, read_regions
from vswipe.filters._found import CLIP, frames_held
from vswipe.filters._frames import FrameHandle, MaskReader, picture_format
from vswipe.filters._host import Picture
from vswipe.filters._render import CHUNKS_IN_FLIGHT
from vswipe.filters._worker import engine
from vswipe.restore.logofile import LogoFormat, load_logo, save_logo

MASK = 1
BATCH = 4  # sampled frames asked for at once

Asking = Generator[list[Request] | Callable[[], object] | Mapping[int, int], Any, None]


class Logos:
    """The marks of one filter call: found, estimated or loaded when the first frame is asked for.

    Args:
        arguments: of the call; `region`, `samples`, `logo`, `save` and `mask` are read.
        clip: format and size, checked.
        family: GRAY, RGB or YUV.
    """

    def __init__(self, arguments: Arguments, clip: Picture, family: str) -> None:
        name = arguments.name
        region: Any = arguments["region"]
        samples: Any = arguments["samples"]
        logo: Any = arguments["logo"]
        save: Any = arguments.values.get("save")
        self._save = save
        mask = arguments.values.get("mask")
        need_at_least(name, "samples", SAMPLES if samples is None else samples, 8)
        need(logo is None or save is None, f"{name}: save must be left out with logo", save)
        if save is not None:
            good = save.lower().endswith(".npz") and Path(save).resolve().parent.is_dir()
            need(good, f"{name}: save must be a .npz file in an existing folder", save)
        self.form: PictureFormat = picture_format(clip, family)
        self.num_frames = clip.num_frames
        self._name = name
        self._logo_format = LogoFormat(clip.width, clip.height, family, clip.sub_w, clip.sub_h)
        regions = read_regions(name, region or (), clip)
        self._user_mask: MaskReader | None = None
        if isinstance(mask, Picture):
            need(logo is None, f"{name}: mask must be left out with logo", logo)
            need_mask(name, mask, clip)
            self._user_mask = MaskReader(picture_format(mask, "GRAY"), regions, held=True)
        self._analysis = LogoAnalysis(
            name, self.form, clip.num_frames, SAMPLES if samples is None else samples, regions
        )
        self._claimed: set[int] = set()
        self._lock = threading.Lock()
        self._eraser: LogoEraser | None = None
        if logo is not None:
            try:
                self._analysis.result = Analysis("found", load_logo(logo, self._logo_format))
            except ValueError as error:
                raise vs.Error(f"{name}: {error}") from None

    @property
    def hold(self) -> int:
        """Frames to be kept so that each is asked for once in linear playback, as many as fit into the bound."""
        return frames_held(self.form, min((CHUNKS_IN_FLIGHT + 2) * BLOCK, self.num_frames))

    @property
    def eraser(self) -> LogoEraser:
        """What divides the marks out, after `analyse`."""
        assert self._eraser is not None
        return self._eraser

    @property
    def status(self) -> str:
        """ "found", "none" or "unknown", after `analyse`."""
        assert self._analysis.result is not None
        return self._analysis.result.status

    def analyse(self) -> Asking:
        """Steps after which the marks are known: the sampled frames are asked for once, whoever begins."""
        if self._eraser is not None:
            return
        if self._user_mask is not None and self._analysis.result is None:
            masks = yield [(MASK, 0)]
            yield partial(self._take_mask, masks[0])
        yield from self._show()
        yield self._locked(self._analysis.detect)
        yield from self._show()
        yield self._finish

    def _show(self) -> Asking:
        """Show the missing frames. Chunks that start together share the work; what another one has asked for but
        not yet got is asked for again at the end, out of what the graph keeps."""
        for again in (False, True):
            with self._lock:
                self._claimed &= set(self._analysis.missing()) if not again else set()
            while True:
                with self._lock:
                    part = [n for n in self._analysis.missing() if n not in self._claimed][:BATCH]
                    self._claimed.update(part)
                if not part:
                    break
                frames: list[FrameHandle] = yield [(CLIP, n) for n in part]
                yield partial(self._add, part, frames)
                del frames

    def _take_mask(self, frame: FrameHandle) -> None:
        with self._lock:
            if self._analysis.result is None and self._user_mask is not None:
                found = self._user_mask.read(0, {0: frame})
                mask = np.zeros((self.form.height, self.form.width), np.uint8) if found is None else found
                self._analysis.set_mask(mask)

    def _add(self, numbers: Sequence[int], frames: Sequence[FrameHandle]) -> None:
        """On the engine thread."""
        for n, frame in zip(numbers, frames, strict=True):
            engine.check()
            with self._lock:
                if n in self._analysis.missing():
                    self._analysis.add(n, frame.planes(self.form.dtype))
                self._claimed.discard(n)

    def _locked(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            with self._lock:
                work()

        return run

    def _finish(self) -> None:
        with self._lock:
            if self._eraser is not None:
                return
            self._analysis.estimate()
            result = self._analysis.result
            assert result is not None
            if self._save is not None and result.marks:
                save_logo(self._save, self._logo_format, result.marks)
            self._eraser = LogoEraser(self.form, self.num_frames, result.marks)

    def look(self, numbers: range) -> Asking:
        """Steps after which it is known how strongly these frames show the marks."""
        for block in self.eraser.blocks(numbers):
            if self.eraser.is_known(block):
                continue
            frames: list[FrameHandle] = yield [(CLIP, n) for n in self.eraser.frames_of(block)]
            yield partial(self._look, block, frames)
            del frames

    def _look(self, block: int, frames: Sequence[FrameHandle]) -> None:
        engine.check()
        if not self.eraser.is_known(block):
            self.eraser.look(block, [frame.planes(self.form.dtype) for frame in frames])

    def divide(self, block: int, sources: Mapping[int, FrameHandle]) -> dict[int, FrameHandle]:
        """On the engine thread: copies of those frames of a block that show a mark, without it."""
        engine.check()
        numbers = self.eraser.frames_of(block)
        out = {n: sources[n].copy() for n in numbers if self.eraser.is_shown(n)}
        if out:
            self.eraser.divide(
                block,
                [sources[n].planes(self.form.dtype) for n in numbers],
                [out[n].writable(self.form.dtype) if n in out else None for n in numbers],
            )
        return out


class DividedFrames(Mapping[int, FrameHandle]):
    """A window of frames with the marks divided out, made when they are looked at.

    Args:
        logos: the marks; every block of the window was looked at.
        sources: frames of whole blocks.
    """

    def __init__(self, logos: Logos, sources: Mapping[int, FrameHandle]) -> None:
        self._logos, self._sources = logos, sources
        self._made: dict[int, FrameHandle] = {}

    def __getitem__(self, n: int) -> FrameHandle:
        if n not in self._made:
            block = n // BLOCK
            made = self._logos.divide(block, self._sources)
            # Copied again: arrays over what was written to may still be alive.
            self._made.update({k: made[k].copy() if k in made else self._sources[k]
                               for k in self._logos.eraser.frames_of(block)})  # fmt: skip
        return self._made[n]

    def __iter__(self) -> Iterator[int]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)
