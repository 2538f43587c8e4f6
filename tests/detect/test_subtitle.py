"""From evidence to lines: spans, masks, cuts, classes. The evidence is drawn; no network is needed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vswipe.detect.masks import BlockMasks
from vswipe.detect.perceive import Evidence
from vswipe.detect.subtitle import (
    BLOCK,
    DetectorPlan,
    DetectorSettings,
    Event,
    choose,
    find_events,
    kind_of,
)
from vswipe.detect.tracks import find_rows
from vswipe.detect.working import WorkingSize, working_frame

SIZE = WorkingSize.of(320, 180)
NUM_FRAMES = 64


def text(word: str = "SUBTITLE", y: int = 165) -> np.ndarray:
    """(H, W) uint8, opacity of a line of text."""
    out = np.zeros((180, 320), np.uint8)
    cv2.putText(out, word, (70, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    return out


class Clip:
    """Noise that moves, with lines drawn in, and evidence as a good network would give it."""

    def __init__(self, lines: list[tuple[np.ndarray, int, int]], fade: int = 0) -> None:
        random = np.random.default_rng(0)
        ground = cv2.GaussianBlur(random.integers(0, 160, (180, 600), dtype=np.uint8), (0, 0), 3)
        self.luma, self.opacity = [], np.zeros((len(lines), NUM_FRAMES))
        for n in range(NUM_FRAMES):
            plane = ground[:, 3 * n : 3 * n + 320].astype(np.float32)
            for i, (alpha, first, last) in enumerate(lines):
                share = np.clip(min(n - first, last - n) + 1, 0, fade + 1) / (fade + 1)
                self.opacity[i, n] = share
                plane += (235 - plane) * (alpha / 255 * share)
            self.luma.append(np.rint(plane).astype(np.uint8))
        self.lines = lines

    def events(self, start: int, cut: int | None = None, **settings: object) -> list[Event]:
        plan = DetectorPlan(NUM_FRAMES)
        evidence = {}
        for n in plan.keys(start):
            strokes = np.zeros((180, 320), np.float32)
            for i, (alpha, _, _) in enumerate(self.lines):
                if self.opacity[i, n] > 0.4:
                    strokes = np.maximum(strokes, alpha)
            evidence[n] = Evidence(strokes.astype(np.uint8), np.zeros((90, 160), np.uint8))
        rows = {n: find_rows(e, 0.5) for n, e in evidence.items()}
        linked: Callable[[int, int], bool] = lambda a, b: cut is None or min(a, b) != cut - 1  # noqa: E731
        window = {n: self.luma[n] for n in plan.window(start)}
        chosen = DetectorSettings(**settings)  # type: ignore[arg-type]
        return choose(find_events(start, plan, evidence, rows, window, linked, SIZE), chosen, SIZE)


def spans(events: list[Event]) -> list[tuple[int, int]]:
    return sorted((event.first, event.last) for event in events)


@pytest.mark.parametrize(("first", "last"), [(18, 29), (17, 31), (19, 40), (16, 26)])
def test_first_and_last_frame_are_exact(first: int, last: int) -> None:
    assert spans(Clip([(text(), first, last)]).events(16)) == [(first, last)]


def test_a_line_that_replaces_another() -> None:
    events = Clip([(text(), 10, 22), (text("OTHERS"), 23, 37)]).events(16)
    assert spans(events) == [(10, 22), (23, 37)]


def test_fades_are_held_through() -> None:
    (event,) = Clip([(text(), 14, 40)], fade=6).events(16)
    assert abs(event.first - 14) <= 1
    assert abs(event.last - 40) <= 1


def test_a_line_ends_at_a_cut() -> None:
    events = Clip([(text(), 10, 40)]).events(16, cut=22)
    assert spans(events) == [(10, 21), (22, 40)]


def test_short_lines_are_left_alone() -> None:
    clip = Clip([(text(), 19, 25)])
    assert spans(clip.events(16)) == [(19, 25)]
    assert not clip.events(16, min_frames=8)


def test_the_mask_is_the_same_in_all_frames_of_a_line() -> None:
    events = Clip([(text(), 10, 40)]).events(16)
    masks = BlockMasks(events, SIZE)
    first = masks.mask(16)
    assert first is not None
    assert all(masks.mask(n) is first for n in range(16, 16 + BLOCK))
    truth = text() > 25
    assert not (truth & (cv2.dilate(first, np.ones((5, 5), np.uint8)) == 0)).any()
    assert not (first.astype(bool) & (cv2.dilate(truth.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0)).any()


def test_nothing_shown_is_no_mask() -> None:
    masks = BlockMasks(Clip([(text(), 18, 26)]).events(16), SIZE)
    assert masks.mask(17) is None
    assert masks.mask(18) is not None
    assert masks.mask(26) is not None
    assert masks.mask(27) is None


def test_classes_and_region() -> None:
    clip = Clip([(text(y=92), 10, 40)])
    assert not clip.events(16)
    assert spans(clip.events(16, classes=("sign",))) == [(10, 40)]
    assert not clip.events(16, classes=("sign",), regions=((0, 120, 320, 60),))
    assert kind_of(100, 160, 220, 172, SIZE) == "dialogue"
    assert kind_of(20, 30, 34, 150, SIZE) == "dialogue"
    assert kind_of(150, 30, 164, 150, SIZE) == "sign"
    # Three rows at the top that were taken together reach as far down as one that stands in the picture.
    assert kind_of(100, 22, 220, 85, SIZE) == "dialogue"
    assert kind_of(100, 46, 220, 60, SIZE) == "sign"
    assert kind_of(100, 22, 220, 140, SIZE) == "sign"


def test_plan_lies_on_a_grid() -> None:
    plan = DetectorPlan(100)
    assert plan.block(31) == 16
    assert plan.keys(0)[0] == 0
    assert plan.window(96) == range(72, 100)
    assert plan.needed(48) == range(12, 100)


@pytest.mark.parametrize(("family", "dtype", "level"), [("YUV", np.uint8, 1.0), ("YUV", np.uint16, 4.0),
                                                        ("YUV", np.float32, 1 / 255), ("GRAY", np.float16, 1 / 255),
                                                        ("RGB", np.uint8, 1.0)])  # fmt: skip
def test_working_frames(family: str, dtype: type, level: float) -> None:
    size = WorkingSize.of(1921, 1081)
    assert (size.width, size.height) == (640, 360)
    grey = np.full((1081, 1921), 100 * level).astype(dtype)
    zero = 0.0 if dtype in (np.float32, np.float16) else 128 * level
    chroma = np.full((541, 961), zero).astype(dtype)
    planes = {"GRAY": [grey], "RGB": [grey] * 3, "YUV": [grey, chroma, chroma]}[family]
    frame = working_frame(planes, family, level, size)
    assert frame.luma.shape == (368, 640)
    assert frame.chroma.shape == (2, 184, 320)
    expected = 102 if family == "RGB" else 100  # 16 + 219 / 255 * 100
    assert np.abs(frame.luma.astype(int) - expected).max() <= 1
    assert np.abs(frame.chroma.astype(int) - 128).max() <= 1


def event(bounds: tuple[int, int, int, int], first: int, last: int, score: float, cut_off: bool = False,
          **facts: float) -> Event:  # fmt: skip
    left, top, right, bottom = bounds
    strokes = np.ones((bottom - top, right - left), np.float32)
    known = {"switch": 0.0, "change": 0.5, **facts}
    return Event(first, last, left, top, strokes, strokes < 0, score, "dialogue", bounds, cut_off, known)


def test_an_unsure_part_goes_with_its_line() -> None:
    """A smudge of the scene beside a line belongs to it, but not before and after it, and not if it moves."""
    line, part = event((60, 150, 200, 164), 12, 33, 0.9), event((206, 152, 216, 160), 4, 35, 0.1)
    assert spans(choose([line, part], DetectorSettings(), SIZE)) == [(12, 33), (12, 33)]
    assert spans(choose([part], DetectorSettings(), SIZE)) == []
    leaves = event((206, 152, 216, 160), 4, 35, 0.1, change=2.0)
    assert spans(choose([line, leaves], DetectorSettings(), SIZE)) == [(12, 33)]


def test_a_piece_at_the_clip_s_end_must_come_or_go() -> None:
    place = (60, 150, 200, 164)
    assert spans(choose([event(place, 0, 3, 0.9, cut_off=True, switch=1.0)], DetectorSettings(), SIZE)) == [(0, 3)]
    assert spans(choose([event(place, 0, 3, 0.9, cut_off=True)], DetectorSettings(), SIZE)) == []
    assert spans(choose([event(place, 0, 7, 0.9, cut_off=True)], DetectorSettings(), SIZE)) == [(0, 7)]
