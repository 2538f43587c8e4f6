"""What coding does to a picture with a burnt-in mark, cheap enough for every training window.

Coded edges ring: the mark's colour reaches pixels beside it, which a mask does not cover. A network that was only shown
clean surroundings repeats that ringing in its fill.
"""

from __future__ import annotations

import cv2
import numpy as np


def jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    """A frame (H, W, 3) uint8 after JPEG at a quality of 1..100, chroma at half size."""
    coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def intra(frames: np.ndarray, quality: int) -> np.ndarray:
    """Every frame (T, H, W, 3) coded alone."""
    return np.stack([jpeg(frame, quality) for frame in frames])


def predicted(frames: np.ndarray, quality: int) -> np.ndarray:
    """The first frame coded alone, the others as the difference to the decoded frame before.

    Like the P frames of H.264 without motion: what does not change keeps its coding errors, what moves gets new ones.
    """
    out = [jpeg(frames[0], quality)]
    for frame in frames[1:]:
        before = out[-1].astype(np.int16)
        # Larger differences than 127 do not fit; the rest comes with the next frame. Halving them instead would double
        # the coding error, and flat ground would flicker.
        coded = jpeg(np.clip(frame.astype(np.int16) - before + 128, 0, 255).astype(np.uint8), quality)
        out.append(np.clip(before + coded.astype(np.int16) - 128, 0, 255).astype(np.uint8))
    return np.stack(out)


def degrade(rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 coded at a random quality, half of the time alone and half predicted."""
    quality = int(rng.integers(45, 96))
    return predicted(frames, quality) if rng.random() < 0.5 else intra(frames, quality)
