"""Cuts are found; pans, and lines of text that come or go, are not cuts."""

import cv2
import numpy as np

from vswipe.ops.scene import is_cut, thumbnail, visible_cells


def texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def shots() -> tuple[np.ndarray, np.ndarray]:
    return cv2.resize(texture(60, 200, 1), (800, 240)), 255 - cv2.resize(texture(30, 60, 2), (640, 240)) // 2


def test_a_cut_is_found() -> None:
    first, second = shots()
    frames = [first[:, :640], first[:, 4:644], second, second]
    thumbs = [thumbnail(f, visible_cells(None)) for f in frames]
    assert is_cut(*thumbs)
    assert not is_cut(None, *thumbs[:3])


def test_a_fast_pan_is_no_cut() -> None:
    first, _ = shots()
    assert not is_cut(*[thumbnail(first[:, k : k + 640], visible_cells(None)) for k in (0, 50, 100, 150)])


def test_text_that_appears_is_no_cut() -> None:
    first, _ = shots()
    frame = first[:, :640] // 4
    mask = np.zeros_like(frame)
    mask[120:220, 40:600] = 1
    text = np.where(mask > 0, 255, frame).astype(np.uint8)
    thumbs = [
        thumbnail(frame, visible_cells(None)),
        thumbnail(frame, visible_cells(None)),
        thumbnail(text, visible_cells(mask)),
        thumbnail(text, visible_cells(mask)),
    ]
    assert not is_cut(*thumbs)
