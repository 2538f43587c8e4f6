"""Logo files: an estimated mark kept for a whole series (`station.npz`, with a picture of it), and AviUtl's `.lgd`.

A `.lgd` file (AviUtl's and AviSynth's logo scanners, DelogoHD) holds, per logo: 28 bytes "<logo data file ver0.1>",
padded with zeros; the number of logos, 4 bytes, big-endian; then per logo a name of 32 bytes, eight 16-bit numbers
(left, top, height, width, fade in, fade out, start, end), and height x width pixels of six 16-bit numbers (opacity
0..1000 and value for Y, Cb and Cr), little-endian. Values are AviUtl's: Y 0..4096 over black to white, Cb and Cr -2048
to 2048, so that the limited-range sample is 16 + 219 Y / 4096 and 128 + 224 C / 4096.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np

from vswipe.restore.deblend import MAX_ALPHA, Mark, PlaneMark
from vswipe.restore.mark_errors import ErrorLaw

VERSION = 2
_LGD = b"<logo data file ver0.1>"
_LGD_PIXEL = 12  # bytes
_LGD_LAW = ErrorLaw(1.0, 1.0, 2.0)  # the file says nothing about the source's coding; see `mark_errors`
_LGD_ERROR = 1e-4, 1.0  # variances of opacity and light taken for a scanned logo


@dataclass(frozen=True)
class LogoFormat:
    """The clip a logo was made for: width, height in pixels, family, chroma subsampling (log2)."""

    width: int
    height: int
    family: str
    sub_w: int
    sub_h: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.family}, subsampling {self.sub_w} {self.sub_h}"


def save_logo(path: str | Path, form: LogoFormat, marks: Sequence[Mark]) -> None:
    """Write marks to `path`, and a picture of them beside it, with the ending .png.

    Args:
        path: name of the file; it is replaced.
        form: of the clip they come from.
        marks: what was estimated.

    Raises:
        OSError: the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {
        "version": np.array(VERSION),
        "format": np.array([form.width, form.height, form.sub_w, form.sub_h]),
        "family": np.array(form.family),
        "boxes": np.array([[m.top, m.left, m.height, m.width] for m in marks], np.int32).reshape(-1, 4),
    }
    for i, mark in enumerate(marks):
        for p, plane in enumerate(mark.planes):
            for name in ("hole", "alpha", "light", "covariance"):
                arrays[f"{i}.{p}.{name}"] = getattr(plane, name)
            arrays[f"{i}.{p}.law"] = np.array(astuple(plane.law))
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)  # type: ignore[arg-type]
    path = Path(path)
    path.write_bytes(held.getvalue())
    path.with_suffix(".png").write_bytes(cv2.imencode(".png", preview(form, marks))[1].tobytes())


def load_logo(path: str | Path, form: LogoFormat) -> tuple[Mark, ...]:
    """The marks of a logo file (.npz or .lgd) for a clip.

    Args:
        path: the file.
        form: of the clip.

    Raises:
        ValueError: there is no such file, it is damaged, or it was made for another kind of clip.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"logo: file must exist, got {path}")
    if path.suffix.lower() == ".lgd":
        return (_read_lgd(path, form),)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        version = int(arrays["version"])
        width, height, sub_w, sub_h = (int(v) for v in arrays["format"])
        made_for = LogoFormat(width, height, str(arrays["family"]), sub_w, sub_h)
        boxes = arrays["boxes"]
        if version == VERSION and made_for == form:
            return tuple(_mark(arrays, i, box) for i, box in enumerate(boxes.tolist()))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"logo: file must be one that AutoLogo saved, got {path.name} ({error})") from None
    if version != VERSION:
        raise ValueError(f"logo: file must be of version {VERSION}, got {version}")
    raise ValueError(f"logo: file must be made for {form}, got {made_for}")


def _mark(arrays: dict[str, np.ndarray], i: int, box: list[int]) -> Mark:
    planes: list[PlaneMark] = []
    while f"{i}.{len(planes)}.hole" in arrays:
        names = ("hole", "alpha", "light", "covariance", "law")
        hole, alpha, light, covariance, law = (arrays[f"{i}.{len(planes)}.{name}"] for name in names)
        if any(len(values) != hole.sum() for values in (alpha, light, covariance)):
            raise ValueError("its parts do not fit together")
        flat, textured, fill = (float(value) for value in law)
        planes.append(PlaneMark(hole, alpha, light, covariance, ErrorLaw(flat, textured, fill)))
    if not planes:
        raise ValueError("a mark is missing")
    top, left, height, width = box
    return Mark(top, left, height, width, tuple(planes))


def preview(form: LogoFormat, marks: Sequence[Mark]) -> np.ndarray:
    """The clip's frame with the marks alone, (H, W, 4) uint8: blue, green, red and opacity."""
    out = np.zeros((form.height, form.width, 4), np.uint8)
    for mark in marks:
        colours: list[np.ndarray] = []
        alphas: list[np.ndarray] = []
        for plane in mark.planes:
            full = np.zeros((2, *plane.hole.shape), np.float32)
            full[0][plane.hole > 0], full[1][plane.hole > 0] = plane.light, plane.alpha
            middle = 128.0 if form.family == "YUV" and colours else 0.0
            light, alpha = (cv2.resize(x, (mark.width, mark.height), interpolation=cv2.INTER_LINEAR) for x in full)
            alphas.append(alpha)
            colours.append(np.where(alpha > 0.02, light / np.maximum(alpha, 0.02), middle))
        box = np.s_[mark.top : mark.top + mark.height, mark.left : mark.left + mark.width]
        out[box] = np.dstack([_bgr(np.dstack(colours), form.family), np.rint(255 * alphas[0]).astype(np.uint8)])
    return out


def _bgr(colour: np.ndarray, family: str) -> np.ndarray:
    if family == "YUV":
        y, u, v = (colour[..., k].astype(np.float32) - (16 if k == 0 else 128) for k in range(3))
        y = y * np.float32(255 / 219)
        # BT.709, limited range: only a picture to look at.
        colour = np.dstack([y + 2.112 * u, y - 0.213 * u - 0.533 * v, y + 1.793 * v])
    elif family == "RGB":
        colour = colour[..., ::-1]
    else:
        colour = np.repeat(colour[..., :1], 3, 2)
    return np.clip(np.rint(colour), 0, 255).astype(np.uint8)


def _read_lgd(path: Path, form: LogoFormat) -> Mark:
    data = path.read_bytes()
    if not data.startswith(_LGD) or len(data) < 80:
        raise ValueError(f"logo: .lgd file must begin with {_LGD.decode()}, got {path.name}")
    if form.family == "RGB":
        raise ValueError("logo: .lgd files hold Y'CbCr and need a YUV or GRAY clip, got RGB")
    left, top, height, width = struct.unpack_from("<4h", data, 64)
    size = height * width * _LGD_PIXEL
    inside = left >= 0 and top >= 0 and left + width <= form.width and top + height <= form.height
    if height <= 0 or width <= 0 or not inside or len(data) < 80 + size:
        raise ValueError(f"logo: .lgd file must hold a whole logo inside the frame, got {path.name}")
    pixels = np.frombuffer(data, "<i2", height * width * 6, 80).reshape(height, width, 3, 2).astype(np.float32)
    fy, fx = 1 << form.sub_h, 1 << form.sub_w
    # The box begins and ends on whole chroma samples, with surroundings for the fill.
    margin = 24
    box_top, box_left = (max(v - margin, 0) // f * f for v, f in ((top, fy), (left, fx)))
    bottom = min(-(-(top + height + margin) // fy) * fy, form.height // fy * fy)
    right = min(-(-(left + width + margin) // fx) * fx, form.width // fx * fx)
    canvas = np.zeros((bottom - box_top, right - box_left, 3, 2), np.float32)
    placed = canvas[top - box_top : top - box_top + height, left - box_left : left - box_left + width]
    placed[...] = pixels[: placed.shape[0], : placed.shape[1]]
    planes = []
    for p in range(1 if form.family == "GRAY" else 3):
        alpha = np.clip(canvas[..., p, 0] / 1000, 0, MAX_ALPHA)
        scale, zero = (219.0, 16.0) if p == 0 else (224.0, 128.0)
        light = alpha * (canvas[..., p, 1] * np.float32(scale / 4096) + np.float32(zero))
        if p > 0:
            size_p = (alpha.shape[1] // fx, alpha.shape[0] // fy)
            alpha, light = (cv2.resize(x, size_p, interpolation=cv2.INTER_AREA) for x in (alpha, light))
        hole = (alpha > 0).astype(np.uint8)
        count = int(hole.sum())
        covariance = np.tile(np.array([_LGD_ERROR[1], 0, _LGD_ERROR[0]], np.float32), (count, 1))
        planes.append(PlaneMark(hole, alpha[hole > 0], light[hole > 0], covariance, _LGD_LAW))
    return Mark(box_top, box_left, bottom - box_top, right - box_left, tuple(planes))
