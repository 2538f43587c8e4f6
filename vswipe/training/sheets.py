"""Contact sheets: what numbers do not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vswipe.ops import metrics

if TYPE_CHECKING:
    from .codec import Planes
    from .evaluation import Case

CONTEXT = 24  # pixels around the mask that are shown
ENLARGE = 2
ERROR_GAIN = 8
MOMENTS = 4
_TITLE = 18  # height of a caption, pixels


def pick_moments(mask: np.ndarray, count: int = MOMENTS) -> list[int]:
    """Frames with a mask, spread evenly over those there are."""
    shown = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(shown):
        return []
    return [int(n) for n in dict.fromkeys(shown[((np.arange(count) + 0.5) * len(shown) / count).astype(int)])]


def strip(case: Case, outcomes: Mapping[str, Planes], t: int, across: bool | None = None) -> np.ndarray:
    """One moment: composite, every method but "nothing", truth, and the last method's error times 8 around grey.

    Args:
        case: what was erased.
        outcomes: frames of each method, by name.
        t: the frame.
        across: side by side instead of one above the other; unless told, for marks that are not wide.

    Returns:
        (h, w, 3), uint8, blue, green, red.
    """
    from .evaluation import to_bgr

    box = metrics.bounding_box(case.scored[t], CONTEXT)
    assert box is not None
    clips = {"composite": case.source, **outcomes, "truth": case.truth}
    one = {name: to_bgr((y[t : t + 1], u[t : t + 1], v[t : t + 1]))[0][box]
           for name, (y, u, v) in clips.items() if name != "nothing"}  # fmt: skip
    last = [name for name in one if name not in ("composite", "truth")]
    if last:
        error = one[last[-1]].astype(np.int32) - one["truth"]
        one[f"{last[-1]} error x{ERROR_GAIN}"] = np.clip(128 + ERROR_GAIN * error, 0, 255).astype(np.uint8)
    tiles = [_caption(_enlarge(image), name) for name, image in one.items()]
    if across is None:
        across = not _is_wide(box)
    return _caption(np.concatenate(tiles, axis=1 if across else 0), f"{case.clip}  {case.kind}  frame {t}")


def _is_wide(box: tuple[slice, slice]) -> bool:
    return (box[1].stop - box[1].start) > 1.8 * (box[0].stop - box[0].start)


def sheet(case: Case, outcomes: Mapping[str, Planes]) -> np.ndarray | None:
    """`strip` of several moments; None where nothing was drawn."""
    moments = pick_moments(case.scored)
    if not moments:
        return None
    boxes = [metrics.bounding_box(case.scored[t], CONTEXT) for t in moments]
    wide = sum(box is not None and _is_wide(box) for box in boxes) * 2 > len(boxes)
    # Wide marks fill a column each, tall ones a row each.
    return join([strip(case, outcomes, t, across=not wide) for t in moments], axis=1 if wide else 0)


def worst_strip(case: Case, outcomes: Mapping[str, Planes]) -> np.ndarray | None:
    """`strip` of the frame where the last method is furthest from the truth."""
    if not case.scored.any() or not outcomes:
        return None
    difference = list(outcomes.values())[-1][0].astype(np.float32) - case.truth[0]
    pixels = np.maximum(case.scored.sum(axis=(1, 2)), 1)
    error = (difference * difference * case.scored).sum(axis=(1, 2)) / pixels
    return strip(case, outcomes, int(error.argmax()))


def join(images: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Pictures in a row (1) or a column (0), the smaller ones filled up with grey."""
    other = 1 - axis
    size = max(image.shape[other] for image in images)
    padded = []
    for image in images:
        room = [(0, 8 if side == axis else size - image.shape[side]) for side in (0, 1)]
        padded.append(np.pad(image, [*room, (0, 0)], constant_values=64))
    return np.concatenate(padded, axis=axis)


def save(path: str | Path, image: np.ndarray) -> None:
    """Write a PNG, making its folder.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # encode and write apart: cv2.imwrite fails silently, and on non-ASCII names on some systems.
    ok, data = cv2.imencode(".png", image)
    if not ok:
        raise OSError(f"save: cannot encode {path.name}")
    path.write_bytes(data.tobytes())


def _enlarge(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_NEAREST)


def _caption(image: np.ndarray, text: str) -> np.ndarray:
    out = np.pad(image, ((_TITLE, 0), (0, 2), (0, 0)), constant_values=32)
    cv2.putText(out, text, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return out
