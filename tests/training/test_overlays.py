from itertools import pairwise

import numpy as np
import pytest

from vswipe.ops.metrics import chroma_footprint
from vswipe.training import fonts, marks, subtitles
from vswipe.training.composite import ALPHA_FLOOR, Mark, Overlay, Placement, composite, draw_frame
from vswipe.training.overlays import KINDS, STATIC_KINDS, draw_overlay, overlay_rng

WIDTH, HEIGHT, LENGTH = 320, 180, 70


def clean(length=LENGTH, width=WIDTH, height=HEIGHT, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(16, 236, (length, h, w), dtype=np.uint8)
                 for h, w in ((height, width), (height // 2, width // 2), (height // 2, width // 2)))  # fmt: skip


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine without fonts."""
    monkeypatch.setattr(fonts, "font_folders", list)
    caches = (fonts._font_files, fonts.fonts_for, fonts.scripts_available)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_exact_and_repeats(kind):
    planes = clean()
    overlays = [draw_overlay(kind, overlay_rng("clip", kind), WIDTH, HEIGHT, LENGTH) for _ in range(2)]
    first, second = (composite(planes, overlay) for overlay in overlays)
    assert len(overlays[0]) == LENGTH
    for a, b in zip(first.planes, second.planes, strict=True):
        assert np.array_equal(a, b)
    assert first.mask.dtype == np.uint8
    assert first.mask.any()
    assert first.mask.mean() < 0.4
    assert np.array_equal(first.mask != 0, first.alpha > ALPHA_FLOOR)
    assert not first.alpha[first.mask == 0].any()
    assert first.alpha.max() <= 1 + 1e-6
    # Outside the mask, and outside the chroma samples it touches, nothing changes.
    small = chroma_footprint(first.mask, 1, 1)
    for new, old, allowed in zip(first.planes, planes, (first.mask, small, small), strict=True):
        assert np.array_equal(new[allowed == 0], old[allowed == 0])
    if kind in STATIC_KINDS:
        assert (first.mask == first.mask[:1]).all()


def test_drawing_works_without_fonts(no_fonts):
    assert fonts.scripts_available() == ("latin",)
    assert fonts.fonts_for("latin") == ()
    for kind in KINDS:
        for seed in range(4):
            overlay = draw_overlay(kind, np.random.default_rng(seed), WIDTH, HEIGHT, 40)
            assert composite(clean(40), overlay).mask.any()


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"draw_overlay: kind must be one of sub, .*, got banner"):
        draw_overlay("banner", np.random.default_rng(0), WIDTH, HEIGHT, 4)


def flat_mark(colour, alpha, height=4, width=4):
    pixels = np.empty((height, width, 4), np.float32)
    pixels[..., :3] = np.asarray(colour) * alpha
    pixels[..., 3] = alpha
    return Mark(pixels)


def one(mark, *places, width=16, height=12):
    return Overlay(width, height, (mark,), (tuple(places),))


def test_composite_by_hand():
    planes = tuple(np.full((1, *s), v, np.uint8) for s, v in (((12, 16), 100), ((6, 8), 90), ((6, 8), 160)))
    # White is Y 235, Cb 128, Cr 128; three quarters of it over 100, 90, 160.
    drawn = composite(planes, one(flat_mark((1, 1, 1), 0.75), Placement(0, 4.0, 2.0)))
    assert drawn.planes[0][0, 3, 5] == round(0.25 * 100 + 0.75 * 235)
    assert drawn.planes[1][0, 1, 2] == round(0.25 * 90 + 0.75 * 128)
    assert drawn.planes[2][0, 2, 3] == round(0.25 * 160 + 0.75 * 128)
    assert drawn.alpha[0, 2:6, 4:8] == pytest.approx(0.75)
    assert drawn.mask.sum() == 16


def test_chroma_opacity_is_the_mean_of_its_pixels():
    planes = tuple(np.full((1, *s), v, np.uint8) for s, v in (((12, 16), 100), ((6, 8), 90), ((6, 8), 160)))
    # One pixel further right: the first chroma sample is half covered, the last one as well.
    drawn = composite(planes, one(flat_mark((1, 1, 1), 1.0), Placement(0, 5.0, 2.0)))
    assert drawn.planes[1][0, 1, 2:5].tolist() == [109, 128, 109]
    left = composite(planes, one(flat_mark((1, 1, 1), 1.0), Placement(0, 5.0, 2.0)), siting="left")
    assert left.planes[1][0, 1, 1:6].tolist() == [90, round(90 + 38 / 4), 128, round(90 + 38 * 3 / 4), 90]


def test_fraction_of_a_pixel_moves_the_centre_of_mass():
    drawn = draw_frame(one(flat_mark((1, 1, 1), 1.0), Placement(0, 4.25, 3.5)), 0)
    assert drawn is not None
    canvas, left, top = drawn
    alpha = canvas[..., 3]
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    assert alpha.sum() == pytest.approx(16, abs=0.01)
    assert (x * alpha).sum() / alpha.sum() + left == pytest.approx(4.25 + 1.5, abs=0.01)
    assert (y * alpha).sum() / alpha.sum() + top == pytest.approx(3.5 + 1.5, abs=0.01)


def test_marks_are_cut_off_at_the_border():
    planes = clean(1, 16, 12)
    drawn = composite(planes, one(flat_mark((1, 0, 0), 1.0), Placement(0, -2.0, 10.0)))
    assert drawn.mask.sum() == 4
    assert drawn.mask[0, 10:, :2].all()
    nowhere = composite(planes, one(flat_mark((1, 0, 0), 1.0), Placement(0, 40.0, 2.0)))
    assert not nowhere.mask.any()


def test_faint_marks_are_not_drawn_at_all():
    planes = clean(1, 16, 12)
    drawn = composite(planes, one(flat_mark((1, 1, 1), 1.0), Placement(0, 2.0, 2.0, opacity=0.01)))
    assert not drawn.mask.any()
    assert all(np.array_equal(a, b) for a, b in zip(drawn.planes, planes, strict=True))


def test_composite_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="composite: overlay must be 16x12, got 18x12"):
        composite(clean(1, 16, 12), one(flat_mark((1, 1, 1), 1.0), width=18))
    with pytest.raises(ValueError, match="composite: overlay must have 2 frames or more, got 1"):
        composite(clean(2, 16, 12), one(flat_mark((1, 1, 1), 1.0)))


def runs(values):
    """Lengths of runs of equal values, without the first and the last, which the clip may cut."""
    out, count = [], 1
    for a, b in pairwise(values):
        if a == b:
            count += 1
        else:
            out.append((a, count))
            count = 1
    return out[1:]


@pytest.mark.parametrize("seed", range(5))
def test_schedule_holds_and_gaps(seed):
    rng = np.random.default_rng(seed)
    shown = subtitles.schedule_lines(rng, subtitles.Timing(), 400)
    line = [frame[0][0] if frame else None for frame in shown]
    for value, length in runs(line):
        assert (4 <= length <= 12) if value is None else (22 <= length <= 40)
    assert len({v for v in line if v is not None}) >= 7
    nogap = subtitles.schedule_lines(rng, subtitles.Timing(gap=(0, 0)), 200)
    assert all(len(frame) == 1 for frame in nogap)


def test_schedule_fades_in_and_out():
    shown = subtitles.schedule_lines(np.random.default_rng(4), subtitles.Timing(fade=(4, 4)), 300)
    middle = [opacity for frame in shown for line, opacity in frame if line == 2]
    assert middle[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert middle == middle[::-1]


@pytest.mark.parametrize("seed", range(6))
def test_subtitles_fit_the_picture(seed):
    for width, height in ((640, 360), (360, 640), (176, 144)):
        rng = np.random.default_rng(seed)
        overlay = subtitles.draw_subtitles(rng, width, height, 90)
        for mark in overlay.marks:
            assert mark.size[0] <= width
            assert mark.size[1] <= 0.55 * height
            # Nothing touches the border of its own picture: it would be cut off there.
            border = np.concatenate([mark.pixels[0], mark.pixels[-1], mark.pixels[:, 0], mark.pixels[:, -1]])
            assert border[:, 3].max() <= 0.1


def test_logo_size_is_a_share_of_the_picture():
    for seed in range(8):
        w, h = marks.draw_mark(np.random.default_rng(seed), 640, 360).size
        assert 0.004 <= w * h / (640 * 360) <= 0.022


def test_watermark_is_translucent_and_logo_is_opaque(monkeypatch):
    monkeypatch.setattr("vswipe.training.marks.fonts_for", lambda script: [])  # Pillow's own: the same everywhere
    # Seed 1 writes letters so thin that anti-aliasing leaves no pixel of them opaque.
    for seed in (0, 2, 3, 4):
        logo = composite(clean(1), draw_overlay("logo", np.random.default_rng(seed), WIDTH, HEIGHT, 1))
        wm = composite(clean(1), draw_overlay("wm", np.random.default_rng(seed), WIDTH, HEIGHT, 1))
        assert logo.alpha.max() > 0.8  # thin letters lose some where they are scaled down
        assert 0.15 <= wm.alpha.max() <= 0.66


@pytest.mark.parametrize("how", ["blink", "alternate", "bounce"])
def test_dynamic_marks(how):
    overlay = marks.draw_dynamic(np.random.default_rng(2), WIDTH, HEIGHT, 120, how)
    assert len(overlay) == 120
    at = {(p.left, p.top) for frame in overlay.frames for p in frame}
    w, h = overlay.marks[0].size
    assert all(0 <= x <= WIDTH - w and 0 <= y <= HEIGHT - h for x, y in at)
    assert {"blink": len(at) == 1, "alternate": len(at) == 2, "bounce": len(at) > 100}[how]
    assert any(not frame for frame in overlay.frames) == (how == "blink")


def test_unknown_movement():
    with pytest.raises(ValueError, match="draw_dynamic: how must be blink, alternate or bounce, got spin"):
        marks.draw_dynamic(np.random.default_rng(0), WIDTH, HEIGHT, 4, "spin")


@pytest.mark.parametrize("script", fonts.SCRIPTS)
def test_every_script_is_drawn_with_letters_of_its_own(script):
    if script not in fonts.scripts_available():
        pytest.skip(f"no font for {script} here")
    for path in fonts.fonts_for(script)[:3] or (None,):
        font = fonts.load_font(path, 24)
        pictures = {bytes(font.getmask(letter)) for letter in fonts.SCRIPTS[script].phrases[0] if letter.isalpha()}
        assert len(pictures) > 3
