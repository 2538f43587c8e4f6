"""How close erased frames come to the clean ones, and how steady they are; NumPy arrays in, plain numbers out.

Frames are (T, H, W, C) and masks (T, H, W), 1 = erased, everywhere. Values are 8-bit levels, 0..255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .morphology import dilate, shrink_any

MAX_PSNR = 100.0
"""dB given for equal samples, where the formula is infinite: a mean over clips must stay a number."""


def _check(name: str, result: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> None:
    if result.ndim != 4 or result.shape != truth.shape:
        raise ValueError(f"{name}: result and truth must both be (T, H, W, C), got {result.shape} and {truth.shape}")
    if mask.shape != result.shape[:3]:
        raise ValueError(f"{name}: mask must be {result.shape[:3]}, got {mask.shape}")


def psnr(result: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Peak signal-to-noise ratio inside the mask, dB: one mean square over all masked samples of all frames.

    Args:
        result, truth: (T, H, W, C), 0..255.
        mask: (T, H, W), nonzero = counted.

    Returns:
        10 log10(255^2 / mean square error), at most `MAX_PSNR`; NaN where the mask is empty.

    Raises:
        ValueError: shapes do not fit.
    """
    _check("psnr", result, truth, mask)
    inside = mask.astype(bool)
    if not inside.any():
        return float("nan")
    error = result[inside].astype(np.float64) - truth[inside]
    mse = float(np.mean(error * error))
    return MAX_PSNR if mse == 0 else min(MAX_PSNR, float(10 * np.log10(255.0**2 / mse)))


def ssim_map(result: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Structural similarity of every pixel of one frame, -1..1, mean over channels.

    Args:
        result, truth: (H, W, C), 0..255.

    Returns:
        (H, W), float32.

    Raises:
        ValueError: shapes differ.

    Wang et al., IEEE TIP 2004, equation 13: 11x11 Gaussian window of 1.5 px, K1 = 0.01, K2 = 0.03.
    """
    if result.shape != truth.shape or result.ndim != 3:
        raise ValueError(f"ssim_map: result and truth must both be (H, W, C), got {result.shape} and {truth.shape}")
    x, y = result.astype(np.float32), truth.astype(np.float32)

    def blur(image: np.ndarray) -> np.ndarray:
        out = cv2.GaussianBlur(image, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)
        return out.reshape(image.shape)  # OpenCV drops a single channel

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    value = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return value.mean(axis=-1)


def ssim(result: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Mean of `ssim_map` over all masked pixels of all frames; the windows look outside the mask as well.

    Args:
        result, truth: (T, H, W, C), 0..255.
        mask: (T, H, W), nonzero = counted.

    Returns:
        -1..1; NaN where the mask is empty.

    Raises:
        ValueError: shapes do not fit.
    """
    _check("ssim", result, truth, mask)
    total, count = 0.0, 0
    for t in range(len(mask)):
        box = bounding_box(mask[t], margin=6)  # half a window, so that the crop changes nothing but rounding
        if box is None:
            continue
        inside = mask[t][box].astype(bool)
        total += float(ssim_map(result[t][box], truth[t][box])[inside].sum())
        count += int(inside.sum())
    return total / count if count else float("nan")


def colour_error(result: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Signed mean error of every frame and channel inside the mask, 8-bit levels.

    Args:
        result, truth: (T, H, W, C), 0..255.
        mask: (T, H, W), nonzero = counted.

    Returns:
        (T, C), result minus truth; NaN in frames without mask.

    Raises:
        ValueError: shapes do not fit.
    """
    _check("colour_error", result, truth, mask)
    out = np.full((result.shape[0], result.shape[3]), np.nan)
    for t in range(len(mask)):
        inside = mask[t].astype(bool)
        if inside.any():
            out[t] = (result[t][inside].astype(np.float64) - truth[t][inside]).mean(axis=0)
    return out


def cast(result: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """Size of the colour cast: mean over frames and channels of |`colour_error`|, 8-bit levels; NaN without mask.

    Taken per frame, so that a fill that is too red now and too green later does not come out even.
    """
    error = np.abs(colour_error(result, truth, mask))
    return float(np.nanmean(error)) if np.isfinite(error).any() else float("nan")


def grow(mask: np.ndarray, radius: int) -> np.ndarray:
    """Masks (T, H, W) grown by `radius` pixels, 0/1 uint8, with the disc the engine uses (radius 1: a plus sign)."""
    small = (mask != 0).astype(np.uint8)
    return np.stack([dilate(frame, radius) for frame in small]) if len(small) else small


def ring(mask: np.ndarray, width: int = 6) -> np.ndarray:
    """The pixels (T, H, W), 0/1 uint8, that lie outside the mask and no further than `width` pixels from it."""
    return grow(mask, width) & (mask == 0)


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice] | None:
    """Rows and columns that hold all of a mask (H, W) and `margin` pixels more, cut at the borders; None if empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + 1 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 1 + margin),
    )


@dataclass(frozen=True, eq=False)
class CleanMotion:
    """Motion of a clean clip, as `e_warp` needs it; measured once, used for every result.

    Args:
        box: rows and columns it was measured in.
        flow: (T-1, h, w, 2), x then y, pixels: from frame t to t+1.
        reliable: (T-1, h, w), bool: where flow and backward flow agree and lead to a place inside the box.
    """

    box: tuple[slice, slice]
    flow: np.ndarray
    reliable: np.ndarray


def clean_motion(truth: np.ndarray, mask: np.ndarray, margin: int = 40, tolerance: float = 1.0) -> CleanMotion:
    """Motion of a clean clip around its masks.

    Args:
        truth: (T, H, W, 3), uint8, blue, green, red.
        mask: (T, H, W); flow is computed in the box that holds all of it.
        margin: pixels added to that box on every side.
        tolerance: largest difference, pixels, between going forth and back.

    Raises:
        ValueError: shapes do not fit.

    Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's medium preset.
    """
    _check("clean_motion", truth, truth, mask)
    box = bounding_box(mask.any(axis=0), margin) or (slice(0, 0), slice(0, 0))
    grey = [cv2.cvtColor(np.ascontiguousarray(frame[box]), cv2.COLOR_BGR2GRAY) for frame in truth if box[0].stop]
    height, width = grey[0].shape if grey else (0, 0)
    flow = np.zeros((max(len(truth) - 1, 0), height, width, 2), np.float32)
    reliable = np.zeros(flow.shape[:3], bool)
    # DIS refuses pictures smaller than its patches allow; so small a mark has no motion worth measuring.
    if min(height, width) < 16:
        return CleanMotion(box, flow, reliable)
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    x, y = _grid(height, width)
    for t in range(len(flow)):
        if not (mask[t].any() and mask[t + 1].any()):
            continue  # no pixel of this pair is masked in both frames
        forth = dis.calc(grey[t], grey[t + 1], None)
        back = dis.calc(grey[t + 1], grey[t], None)
        px, py = x + forth[..., 0], y + forth[..., 1]
        returned = cv2.remap(back, px, py, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        inside = (px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1)
        flow[t] = forth
        reliable[t] = inside & (np.linalg.norm(forth + returned, axis=-1) <= tolerance)
    return CleanMotion(box, flow, reliable)


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def e_warp(result: np.ndarray, truth: np.ndarray, mask: np.ndarray, motion: CleanMotion | None = None) -> float:
    """Flicker inside the mask, 8-bit levels: how much more than the clean clip the result changes along its motion.

    Frame t+1 is brought to frame t by the flow of the clean clip. The mean absolute difference to frame t, over pixels
    masked in both frames with reliable flow, is taken of the result and of the truth; the answer is the first minus the
    second. 0 is as steady as the truth, below 0 steadier (blur is steady).

    Args:
        result, truth: (T, H, W, 3), uint8, blue, green, red.
        mask: (T, H, W), nonzero = erased.
        motion: `clean_motion(truth, mask)`, where it is at hand.

    Returns:
        levels; NaN where no pixel can be compared.

    Raises:
        ValueError: shapes do not fit.
    """
    _check("e_warp", result, truth, mask)
    motion = motion or clean_motion(truth, mask)
    total, count = 0.0, 0
    for t in range(len(motion.flow)):
        both = motion.reliable[t] & (mask[t][motion.box] != 0)
        if not both.any():
            continue
        rows, columns = np.nonzero(both)
        x = columns.astype(np.float32) + motion.flow[t, rows, columns, 0]
        y = rows.astype(np.float32) + motion.flow[t, rows, columns, 1]
        arrived = _sample((mask[t + 1][motion.box] != 0).astype(np.float32), x, y) > 0.5
        if not arrived.any():
            continue
        rows, columns, x, y = rows[arrived], columns[arrived], x[arrived], y[arrived]
        change = []
        for frames in (result, truth):
            later = _sample(frames[t + 1][motion.box].astype(np.float32), x, y)
            now = frames[t][motion.box][rows, columns].astype(np.float32)
            change.append(np.abs(later - now).mean(axis=-1))
        total += float((change[0] - change[1]).sum(dtype=np.float64))
        count += len(rows)
    return total / count if count else float("nan")


def _sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of (H, W) or (H, W, C) at N points, (N,) or (N, C); float32."""
    # remap takes maps of at most 32767 columns: fold the list of points into rows.
    columns = 1024
    padded = -len(x) % columns
    fold = [np.pad(v, (0, padded)).reshape(-1, columns).astype(np.float32) for v in (x, y)]
    out = cv2.remap(np.ascontiguousarray(image), fold[0], fold[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(-1, *image.shape[2:])[: len(x)]


@dataclass(frozen=True)
class MaskScores:
    """How well a found mask covers the true one; all 0..1.

    Args:
        precision: share of found pixels that are right; 1 where nothing was found.
        recall: share of true pixels that were found; 1 where there is nothing to find.
        iou: right / (found or true); 1 where both are empty.
        wrong_frames: share of frames where one of the two is empty and the other is not.
    """

    precision: float
    recall: float
    iou: float
    wrong_frames: float


def mask_scores(found: np.ndarray, truth: np.ndarray) -> MaskScores:
    """Pixels and frames of a found mask against the true one, both (T, H, W), nonzero = erase.

    Raises:
        ValueError: shapes differ.
    """
    if found.shape != truth.shape or found.ndim != 3:
        raise ValueError(f"mask_scores: found and truth must both be (T, H, W), got {found.shape} and {truth.shape}")
    a, b = found != 0, truth != 0
    right, num_found, num_true = int((a & b).sum()), int(a.sum()), int(b.sum())
    either = num_found + num_true - right
    on_off = a.any(axis=(1, 2)) != b.any(axis=(1, 2))
    return MaskScores(
        precision=right / num_found if num_found else 1.0,
        recall=right / num_true if num_true else 1.0,
        iou=right / either if either else 1.0,
        wrong_frames=float(on_off.mean()) if len(on_off) else 0.0,
    )


def chroma_footprint(mask: np.ndarray, sub_w: int, sub_h: int) -> np.ndarray:
    """The chroma samples (T, ceil(H / 2^sub_h), ceil(W / 2^sub_w)), 0/1 uint8, of which any luma pixel is masked.

    Args:
        mask: (T, H, W), nonzero = erased.
        sub_w, sub_h: log2 of the subsampling, as in VapourSynth.
    """
    small = (mask != 0).astype(np.uint8)
    return np.stack([shrink_any(frame, 1 << sub_h, 1 << sub_w) for frame in small])


def max_difference_outside(result: Sequence[np.ndarray], source: Sequence[np.ndarray], mask: np.ndarray,
                           sub_w: int = 0, sub_h: int = 0) -> float:  # fmt: skip
    """Largest change of any sample that had to stay as it was; 0 is the only good answer.

    Args:
        result, source: planes (T, H, W), the second and third subsampled.
        mask: (T, H, W), nonzero = may change, in luma pixels. A chroma sample may change when any of its pixels may.
        sub_w, sub_h: log2 of the chroma subsampling.

    Returns:
        in the samples' own unit.

    Raises:
        ValueError: shapes do not fit.
    """
    largest = 0.0
    small = chroma_footprint(mask, sub_w, sub_h)
    for plane, (new, old) in enumerate(zip(result, source, strict=True)):
        allowed = mask if plane == 0 else small
        if new.shape != old.shape or new.shape != allowed.shape:
            came = f"{new.shape} and {old.shape}"
            raise ValueError(f"max_difference_outside: plane {plane} must be {allowed.shape} in both, got {came}")
        kept = allowed == 0
        wide = np.int64 if np.issubdtype(new.dtype, np.integer) else np.float64
        difference = np.abs(new.astype(wide) - old.astype(wide))[kept]
        largest = max(largest, float(difference.max(initial=0)))
    return largest
