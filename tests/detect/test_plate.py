"""Plates behind text: found by their sides, told from windows of the scene, drawn into the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vswipe.detect.backing import Backing, find_backings
from vswipe.detect.masks import BlockMasks
from vswipe.detect.perceive import Evidence
from vswipe.detect.plate import Plate, find_plate, is_sure
from vswipe.detect.subtitle import DetectorPlan, Event
from vswipe.detect.working import WorkingSize

HEIGHT, WIDTH = 180, 320
TEXT = (90, 140, 230, 156)  # left, top, right, bottom
PLATE = (78, 132, 242, 164)


def scene(num_frames: int, seed: int = 0) -> list[np.ndarray]:
    """A picture that drifts to the left, two pixels a frame."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, WIDTH + 2 * num_frames)).astype(np.float32), (0, 0), 5)
    noise = 120 + (noise - noise.mean()) * 30 / noise.std()
    return [np.clip(noise[:, 2 * n : 2 * n + WIDTH], 0, 255).astype(np.uint8) for n in range(num_frames)]


def with_plate(luma: np.ndarray, alpha: float, colour: float, box: tuple[int, int, int, int] = PLATE) -> np.ndarray:
    out = luma.astype(np.float32)
    left, top, right, bottom = box
    out[top:bottom, left:right] += alpha * (colour - out[top:bottom, left:right])
    return np.rint(out).astype(np.uint8)


def with_text(luma: np.ndarray) -> np.ndarray:
    out = luma.copy()
    cv2.putText(out, "A LINE OF TEXT", (TEXT[0], TEXT[3]), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 235, 2, cv2.LINE_AA)
    return out


STROKES = np.zeros((HEIGHT, WIDTH), bool)
STROKES[TEXT[1] - 2 : TEXT[3] + 2, TEXT[0] - 2 : TEXT[2] + 2] = True


def near(plate: Plate, box: tuple[int, int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip((plate.left, plate.top, plate.right, plate.bottom), box, strict=True)) <= 1


@pytest.mark.parametrize(("alpha", "colour"), [(1.0, 16), (0.5, 16), (0.6, 235)])
def test_a_plate_that_comes_with_the_text_needs_no_network(alpha: float, colour: float) -> None:
    frames = scene(18)
    plate = find_plate([with_text(with_plate(f, alpha, colour)) for f in frames[:12]], frames[12:], STROKES, TEXT, 16)
    assert plate is not None
    assert near(plate, PLATE)
    assert is_sure(plate, 0.0)


def test_text_alone_has_no_plate() -> None:
    frames = scene(18, seed=3)
    for others in (frames[12:], []):
        plate = find_plate([with_text(f) for f in frames[:12]], others, STROKES, TEXT, 16)
        assert plate is None or not is_sure(plate, 0.0)


def test_a_window_of_the_scene_stays_when_the_text_goes() -> None:
    frames = [with_plate(f, 1.0, 30) for f in scene(18)]
    plate = find_plate([with_text(f) for f in frames[:12]], frames[12:], STROKES, TEXT, 16)
    assert plate is None or not is_sure(plate, 0.0)


def test_without_other_frames_the_network_must_agree() -> None:
    frames = scene(12)
    plate = find_plate([with_text(with_plate(f, 0.6, 16)) for f in frames], [], STROKES, TEXT, 16)
    assert plate is not None
    assert near(plate, PLATE)
    assert not is_sure(plate, 0.0)
    assert is_sure(plate, 0.4)


def test_an_opaque_plate_is_sure_by_itself() -> None:
    plate = find_plate([with_text(with_plate(f, 1.0, 16)) for f in scene(12)], [], STROKES, TEXT, 16)
    assert plate is not None
    assert plate.flat
    assert is_sure(plate, 0.0)


def event(box: tuple[int, int, int, int], first: int, last: int) -> Event:
    left, top, right, bottom = box
    strokes = np.ones((bottom - top, right - left), np.float32)
    return Event(first, last, left, top, strokes, np.zeros(strokes.shape, bool), 1.0, "dialogue", box, False, {})


def test_rows_that_come_and_go_together_share_one_plate() -> None:
    rows = [(90, 120, 200, 134), (100, 140, 230, 154)]
    box = (80, 112, 240, 162)
    frames = scene(40)
    shown = range(12, 30)
    lumas = {n: f for n, f in enumerate(frames)}
    for n in shown:
        lumas[n] = with_plate(frames[n], 0.7, 16, box)
        for left, top, right, bottom in rows:
            lumas[n][top:bottom:3, left:right] = 235
    evidence = {
        n: Evidence(np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((90, 160), np.uint8)) for n in (12, 16, 20, 24)
    }
    events = [event(row, 12, 29) for row in rows]
    (backing,) = find_backings(events, DetectorPlan(40), evidence, lumas, lambda a, b: True)
    assert (backing.first, backing.last) == (12, 29)
    assert near(backing.plate, box)


def test_the_mask_covers_the_plate_at_full_size_while_it_is_shown() -> None:
    size = WorkingSize.of(1280, 720)
    plate = Plate(100, 290, 500, 340, 1.0, 1.0, 20.0)
    masks = BlockMasks([event((120, 300, 480, 330), 3, 9)], size, 0, [Backing(3, 8, plate)])
    shown = masks.mask(5)
    assert shown is not None
    assert shown[580:680, 200:1000].all()
    assert not shown[:, :196].any()
    assert not shown[:576].any()
    gone = masks.mask(9)
    assert gone is not None
    assert not gone[582:598, 202:238].any()
    assert masks.mask(10) is None
