"""Static marks in sampled frames: found in programmes of many scenes, and nothing found where there is none."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from vswipe.detect.static_evidence import Backgrounds, gather_evidence
from vswipe.detect.static_logo import MIN_STATES, find_marks, picture_area
from vswipe.detect.static_opaque import fixed_in_shot

WIDTH, HEIGHT, COUNT = 200, 120, 48
Frames = list[np.ndarray]


@cache
def scene(k: int) -> np.ndarray:
    rng = np.random.default_rng(k)
    noise = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)).astype(np.float32), (0, 0), float(rng.uniform(4, 12)))
    low = float(rng.uniform(20, 60))
    return cv2.normalize(noise, None, low, low + float(rng.uniform(80, 160)), cv2.NORM_MINMAX)


def opacity(alpha: float) -> np.ndarray:
    out = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.circle(out, (160, 35), 16, alpha, -1)
    cv2.circle(out, (160, 35), 8, 0, -1)
    return cv2.GaussianBlur(out, (0, 0), 0.7)


def marked(alpha: float, value: float, shown: range = range(COUNT)) -> Frames:
    a = opacity(alpha)
    return [np.rint((1 - a) * scene(k) + a * value if k in shown else scene(k)).astype(np.uint8) for k in range(COUNT)]


@pytest.mark.parametrize(("alpha", "value"), [(0.3, 235), (0.5, 16), (0.45, 110), (1.0, 235), (1.0, 120)])
def test_marks_are_found(alpha: float, value: float) -> None:
    found = find_marks(marked(alpha, value))
    assert found.status == "found"
    hole = np.bitwise_or.reduce([mark.hole for mark in found.marks]) > 0
    drawn = opacity(alpha) > 0.3 * alpha
    assert (hole & drawn).sum() > 0.85 * drawn.sum()
    assert hole.sum() < 2 * drawn.sum()
    if value == 235:
        assert not hole[34:37, 159:162].any(), "the ring's inside is not the mark"


def slow_pan(speed: int, coat: bool = False) -> Frames:
    """One shot: a textured picture passes by, with a dark coat in it that changes its outline, or without."""
    rng = np.random.default_rng(4)
    noise = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH + speed * COUNT)).astype(np.float32), (0, 0), 7)
    wide = cv2.normalize(noise, None, 40, 200, cv2.NORM_MINMAX)
    frames = [wide[:, speed * k : speed * k + WIDTH].astype(np.uint8) for k in range(COUNT)]
    if coat:
        for k, frame in enumerate(frames):
            cv2.ellipse(frame, (60 + k % 16, 60 + k % 7), (30 + k % 9, 22 + k % 5), 0, 0, 360, 20, -1)
    return frames


def test_an_opaque_mark_in_one_shot_is_found_where_all_else_moves() -> None:
    frames = slow_pan(3)
    mark = np.zeros((HEIGHT, WIDTH), bool)
    mark[20:48, 140:180] = True
    for frame in frames:
        frame[mark] = 225
    # So few backgrounds were seen that the regression alone says nothing.
    evidence = gather_evidence(frames, Backgrounds(frames).states(range(COUNT)))
    assert np.median(evidence.states[20:48, 138:182]) < MIN_STATES
    found = find_marks(frames)
    assert found.status == "found"
    area = np.bitwise_or.reduce([one.area for one in found.marks]) > 0
    assert (area & mark).sum() > 0.85 * (area | mark).sum()
    # The same sign on a wall, where only somebody who walks by moves.
    for k, frame in enumerate(frames):
        frame[:] = frames[0]
        frame[30:110, 4 * k - 40 if k > 10 else 0 : 4 * k + 10] = 60
    assert find_marks(frames).status != "found"


def test_what_is_dark_and_overlaps_itself_is_no_mark() -> None:
    frames = slow_pan(3, coat=True)
    evidence = gather_evidence(frames, Backgrounds(frames).states(range(COUNT)))
    assert (np.ptp(np.stack(frames), 0)[50:70, 50:70] == 0).any()
    assert fixed_in_shot(frames, evidence) == []
    assert find_marks(frames).marks == ()


def test_a_mark_shown_in_two_thirds_is_found() -> None:
    found = find_marks(marked(0.5, 235, range(32)))
    assert found.status == "found"


def test_nothing_is_found_without_a_mark() -> None:
    assert find_marks([scene(k).astype(np.uint8) for k in range(COUNT)]).status == "none"


def test_a_still_camera_is_unknown() -> None:
    rng = np.random.default_rng(0)
    still = scene(3)
    frames = [np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8) for _ in range(COUNT)]
    # Something moves in front of it.
    for k, frame in enumerate(frames):
        frame[40:80, 3 * k : 3 * k + 30] = 200
    found = find_marks(frames)
    assert (found.status, found.marks) == ("unknown", ())
    assert found.unknown > 0.5


def test_bars_and_borders_are_no_marks() -> None:
    frames = [scene(k).astype(np.uint8) for k in range(COUNT)]
    for frame in frames:
        frame[:16] = frame[-16:] = 16
        frame[16:-16, :2] = 60
    assert find_marks(frames).marks == ()
    assert picture_area(frames)[:2] == (20, HEIGHT - 20)


def test_the_coded_edge_of_a_bar_is_no_picture() -> None:
    """Coding lets a line of the bar vary; if it counted as picture, so would the bar's edge, which never moves."""
    rng = np.random.default_rng(5)
    frames = []
    for k in range(COUNT):
        frame = scene(k).copy()
        frame[:16] = 16
        frame[15] += rng.uniform(-6, 6, WIDTH)
        frames.append(np.rint(frame).astype(np.uint8))
    top, bottom, _, _ = picture_area(frames)
    assert 18 < top <= 20
    assert bottom == HEIGHT


def test_a_shore_that_the_camera_follows_is_no_mark() -> None:
    """In one shot an edge along the motion stays where it is; a mark with edges both ways is found all the same."""
    wide = np.hstack([scene(k) for k in range(6)])
    wide = cv2.GaussianBlur(wide, (0, 0), 3)
    for height, expected in ((3, ()), (24, ("a mark",))):
        frames = [np.ascontiguousarray(wide[:, 5 * k : 5 * k + WIDTH]) for k in range(48)]
        for frame in frames:
            frame[50 : 50 + height, 60 : 60 + (120 if height == 3 else 30)] += 40
        found = find_marks([np.clip(np.rint(frame), 0, 255).astype(np.uint8) for frame in frames])
        assert len(found.marks) == len(expected), height


def test_subtitles_are_no_marks() -> None:
    frames = [scene(k).astype(np.uint8) for k in range(COUNT)]
    for k, frame in enumerate(frames):
        words = "".join(chr(ord("a") + (7 * k + 3 * i) % 26) for i in range(12))
        cv2.putText(frame, words, (30 + k % 3, 105), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 235, 2)
    assert find_marks(frames).marks == ()


def test_region() -> None:
    frames = marked(0.5, 235)
    assert find_marks(frames, [(120, 0, 80, 60)]).status == "found"
    assert find_marks(frames, [(0, 0, 80, 60)]).marks == ()


def test_scenes_are_told_by_cuts() -> None:
    pan = [np.ascontiguousarray(np.hstack([scene(1), scene(2)])[:, 4 * k : 4 * k + WIDTH]) for k in range(40)]
    frames = [frame.astype(np.uint8) for frame in pan] + [scene(9).astype(np.uint8)] * 2 + [pan[0].astype(np.uint8)]
    assert Backgrounds(frames).scenes.tolist() == [0] * 40 + [1, 1, 0]


def test_no_frames() -> None:
    with pytest.raises(ValueError, match=r"^find_marks: lumas must hold frames, got none"):
        find_marks([])
