"""Logo files: what is saved comes back, what does not fit is refused, and .lgd is read to the letter."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from vswipe.restore.deblend import Mark, PlaneMark
from vswipe.restore.logofile import LogoFormat, load_logo, save_logo
from vswipe.restore.mark_errors import ErrorLaw

FORM = LogoFormat(64, 48, "YUV", 1, 1)


def mark() -> Mark:
    rng = np.random.default_rng(0)
    planes = []
    for shape in ((16, 24), (8, 12), (8, 12)):
        hole = (rng.random(shape) > 0.5).astype(np.uint8)
        n = int(hole.sum())
        alpha, light = (rng.random(n).astype(np.float32) for _ in range(2))
        planes.append(PlaneMark(hole, alpha, light, rng.random((n, 3)).astype(np.float32), ErrorLaw(0.5, 1.5, 2.5)))
    return Mark(4, 8, 16, 24, tuple(planes))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_logo(path, FORM, [mark(), mark()])
    back = load_logo(path, FORM)
    assert len(back) == 2
    for plane, other in zip(back[1].planes, mark().planes, strict=True):
        for name in ("hole", "alpha", "light", "covariance"):
            assert np.array_equal(getattr(plane, name), getattr(other, name)), name
        assert plane.law == other.law
    picture = cv2.imread(str(path.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (48, 64, 4)
    assert picture[..., 3][4:20, 8:32].any()
    assert not picture[20:].any()


def test_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save_logo(path, FORM, [mark()])
    with pytest.raises(ValueError, match=r"^logo: file must be made for 64x48 GRAY, subsampling 0 0, got 64x48 YUV"):
        load_logo(path, LogoFormat(64, 48, "GRAY", 0, 0))
    with pytest.raises(ValueError, match=r"^logo: file must exist, got .*none\.npz"):
        load_logo(tmp_path / "none.npz", FORM)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"^logo: file must be one that AutoLogo saved"):
        load_logo(path, FORM)


def lgd(pixels: list[tuple[int, ...]], left: int, top: int, height: int, width: int) -> bytes:
    head = b"<logo data file ver0.1>".ljust(28, b"\0") + struct.pack(">I", 1)
    head += b"station".ljust(32, b"\0") + struct.pack("<8h", left, top, height, width, 0, 0, 0, 0)
    return head + b"".join(struct.pack("<6h", *pixel) for pixel in pixels)


def test_lgd(tmp_path: Path) -> None:
    path = tmp_path / "a.lgd"
    # Half opaque white, and nothing: a 4x2 logo at (10, 6).
    pixel, none = (500, 4096, 400, 1024, 400, -2048), (0, 0, 0, 0, 0, 0)
    path.write_bytes(lgd([pixel, pixel, none, none] * 2, 10, 6, 2, 4))
    (found,) = load_logo(path, FORM)
    assert (found.top, found.left, found.top + found.height, found.left + found.width) == (0, 0, 32, 38)
    luma = found.planes[0]
    rows, columns = np.nonzero(luma.hole)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(6, 10), (6, 11), (7, 10), (7, 11)}
    assert np.allclose(luma.alpha, 0.5)
    assert np.allclose(luma.light, 0.5 * 235)
    for plane, value in ((found.planes[1], 128 + 56), (found.planes[2], 128 - 112)):
        assert np.argwhere(plane.hole).tolist() == [[3, 5]]
        assert np.allclose(plane.alpha, 0.4)
        assert np.allclose(plane.light, 0.4 * value)


def test_lgd_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.lgd"
    path.write_bytes(b"<logo data file ver0.9>".ljust(200, b"\0"))
    with pytest.raises(ValueError, match=r"^logo: \.lgd file must begin with <logo data file ver0\.1>, got a\.lgd"):
        load_logo(path, FORM)
    path.write_bytes(lgd([(0,) * 6] * 8, 62, 6, 2, 4))
    with pytest.raises(ValueError, match=r"^logo: \.lgd file must hold a whole logo inside the frame, got a\.lgd"):
        load_logo(path, FORM)
    with pytest.raises(ValueError, match="need a YUV or GRAY clip, got RGB"):
        load_logo(path, LogoFormat(64, 48, "RGB", 0, 0))
