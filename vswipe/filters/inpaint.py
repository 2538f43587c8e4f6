"""`core.wipe.Inpaint`: erases what a mask marks.

Imported when the first Inpaint is made: it brings the engine.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from vswipe.engine.picture import Report
from vswipe.engine.settings import COPY, Settings
from vswipe.filters._bridge import Arguments, Chunk, Request, Steps
from vswipe.filters._check import (
    IN_PASSES,
    NETWORKS,
    need,
    need_at_least,
    need_flag,
    need_mask,
    need_picture,
    need_share,
    read_regions,
    resolve_device,
    resolve_model,
)
from vswipe.filters._frames import FrameHandle, MaskReader, Masks, picture_format
from vswipe.filters._host import Picture
from vswipe.filters._render import CHUNKS_KEPT, Renderer

CLIP, MASK = 0, 1


def create(arguments: Arguments) -> Inpaint:
    """The filter for checked arguments.

    Raises:
        vs.Error: an argument breaks its rule.
    """
    name = arguments.name
    clip, mask = arguments["clip"], arguments["mask"]
    assert isinstance(clip, Picture)
    assert isinstance(mask, Picture)
    family = need_picture(name, clip)
    need_mask(name, mask, clip)
    return Inpaint(name, clip, family, mask, read_settings(arguments, clip))


def read_settings(arguments: Arguments, clip: Picture, networks: Sequence[str] = NETWORKS) -> Settings:
    """The engine's settings: what the user gave, checked, and the defaults for the rest."""
    name = arguments.name
    given: dict[str, Any] = arguments.given("radius", "dilate", "feather", "grain", "fp16")
    for key in ("radius", "dilate", "feather"):
        need_at_least(name, key, given.get(key, 0), 0)
    need_share(name, "grain", given.get("grain", 0.0))
    need_flag(name, "fp16", given.get("fp16", 0))
    if "fp16" in given:
        given["fp16"] = bool(given["fp16"])
    chosen: dict[str, Any] = {"model": "auto", "device": "auto", "region": ()}
    chosen.update(arguments.given("model", "device", "region"))
    model = resolve_model(name, chosen["model"], networks)
    file, shots = arguments["weights"], arguments["shots"]
    need(file is None or chosen["model"] != "auto", f"{name}: weights must come with the model they are for", file)
    no_network = f"{name}: weights must be left out for model {COPY}, which has no network"
    need(file is None or model != COPY, no_network, file)
    one_pass = f"{name}: shots must be left out for model {model}, which does all in one pass"
    need(shots is None or model in IN_PASSES, one_pass, shots)
    given |= arguments.given("weights", "shots")
    need_at_least(name, "shots", given.get("shots", 0), 0)
    return Settings(
        model=model,
        regions=read_regions(name, chosen["region"], clip),
        device=resolve_device(name, chosen["device"]),
        **given,
    )


class Inpaint:
    """One call of Inpaint: decides per chunk which frames are needed, and hands them to the engine.

    Args:
        name: how messages begin.
        clip, mask: format and size of the inputs, checked.
        family: GRAY, RGB or YUV.
        settings: for the engine.
    """

    def __init__(self, name: str, clip: Picture, family: str, mask: Picture, settings: Settings) -> None:
        self._held = mask.num_frames == 1
        self._renderer = Renderer(name, picture_format(clip, family), clip.num_frames, settings)
        self._masks = MaskReader(picture_format(mask, "GRAY"), settings.regions, self._held)

        self.output = clip
        self.chunk = self._renderer.chunk
        self.keep = CHUNKS_KEPT
        # Frames are kept from the first chunk on that has a mask, and not before: passing on costs twice as much when
        # a hundred frames of memory take turns instead of a few that stay in the processor's cache. The price is paid
        # once: the frames before that chunk are asked for again. Its masks have been looked at already: those are kept.
        self.hold = (1, 1 if self._held else 2 * self.chunk)
        self._holding = False

    def produce(self, start: int, stop: int) -> Steps:
        """Look at the chunk's masks; only if they mark something, ask for the window around it and render."""
        own = range(start, stop)
        sources: dict[int, FrameHandle] = {}
        masks: dict[int, FrameHandle] = {}
        yield from self._fetch(range(0), own, sources, masks)
        marked = [n for n in own if not self._masks.is_empty(n, masks)]
        if not marked:
            return Chunk([None] * len(own), self._renderer.props(Report()))
        if not self._holding:
            self._holding = True
            held = self._renderer.held_frames
            yield {CLIP: held, MASK: 1 if self._held else held}
        window = self._renderer.window(start, stop)
        yield from self._fetch(window, window, sources, masks)
        refused = self._renderer.refused(marked, sources)
        frames: dict[int, FrameHandle] = {}
        if len(marked) > len(refused):
            view = Masks(self._masks, masks, window, frozenset(refused))
            frames = yield partial(self._renderer.render, own, sources, view)
        return Chunk([refused.get(n) or frames.get(n) for n in own], self._renderer.props(Report()))

    def _fetch(
        self,
        source_numbers: range,
        mask_numbers: range,
        sources: dict[int, FrameHandle],
        masks: dict[int, FrameHandle],
    ) -> Generator[list[Request], list[FrameHandle], None]:
        """Request what is not there yet."""
        wanted = [(CLIP, n) for n in source_numbers if n not in sources]
        wanted += [(MASK, n) for n in self._masks.frames_for(mask_numbers) if n not in masks]
        for (kind, n), frame in zip(wanted, (yield wanted), strict=True):
            (sources if kind == CLIP else masks)[n] = frame
