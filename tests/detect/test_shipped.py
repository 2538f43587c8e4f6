"""The installed detector on the demo's own clip: what is shipped finds subtitles, all of them and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vswipe.demo import subtitle
from vswipe.demo.scene import Scene
from vswipe.detect.detector import SubtitleDetector
from vswipe.detect.perceive import Perception
from vswipe.detect.subtitle import BLOCK, DetectorSettings
from vswipe.engine.ring import FrameRing
from vswipe.nets.textseg import WEIGHTS
from vswipe.nets.weights import places

WIDTH, HEIGHT = 640, 360
LENGTH = 48
FIRST, LAST = 14, 37

pytestmark = pytest.mark.skipif(
    not any((folder / WEIGHTS).is_file() for folder in places()), reason=f"{WEIGHTS} is not installed"
)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """(H * 3 / 2, W) 4:2:0 frames of the clean scene."""
    scene = Scene(WIDTH, HEIGHT)
    return [cv2.cvtColor(scene.frame(n), cv2.COLOR_RGB2YUV_I420) for n in range(LENGTH)]


def masks_of(frames: list[np.ndarray]) -> list[np.ndarray | None]:
    detector = SubtitleDetector(WIDTH, HEIGHT, "YUV", 1.0, LENGTH, DetectorSettings(), Perception(), FrameRing(1 << 28))
    chroma = (2, HEIGHT // 2, WIDTH // 2)
    split = [(f[:HEIGHT], *f[HEIGHT:].reshape(chroma)) for f in frames]
    working = {n: detector.reduce(n, planes, {}) for n, planes in enumerate(split)}
    return [detector.block(n // BLOCK * BLOCK, working).mask(n) for n in range(LENGTH)]


def test_a_clean_clip_is_left_alone(frames: list[np.ndarray]) -> None:
    assert all(mask is None for mask in masks_of(frames))


def test_a_line_is_found_whole_and_exactly_while_it_stands(frames: list[np.ndarray]) -> None:
    picture = subtitle.draw(subtitle.TEXTS[0], WIDTH, HEIGHT)
    alpha = picture[..., 3:].astype(np.float32) / 255
    shown = [f.copy() for f in frames]
    for n in range(FIRST, LAST + 1):
        rgb = cv2.cvtColor(frames[n], cv2.COLOR_YUV2RGB_I420)
        over = np.rint(picture[..., :3] * alpha + rgb * (1 - alpha)).astype(np.uint8)
        shown[n] = cv2.cvtColor(over, cv2.COLOR_RGB2YUV_I420)
    masks = masks_of(shown)
    assert [n for n, mask in enumerate(masks) if mask is not None] == list(range(FIRST, LAST + 1))
    strokes, grown = alpha[..., 0] > 0.1, np.ones((5, 5), np.uint8)
    for n in (FIRST, 25, LAST):
        mask = masks[n]
        assert mask is not None
        assert (strokes & (cv2.dilate(mask, grown) > 0)).sum() >= 0.98 * strokes.sum()
        assert ((mask > 0) & (cv2.dilate(strokes.astype(np.uint8), grown) == 0)).sum() <= 0.08 * mask.sum()
