"""Drawn subtitles for training: the split of fonts, labels, and the pool on disk."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from vswipe.training.drawn_scenes import drawn_scene
from vswipe.training.textdata import Scene, draw_scene, harder_look, random_look, schedule, tonal_look
from vswipe.training.textdata_fonts import FAMILIES, family_fonts, random_line, trainable_scripts
from vswipe.training.textdata_pool import draw_labels, load, save
from vswipe.training.textdata_signs import sign_path

WIDTH, HEIGHT, LENGTH = 320, 180, 24

needs_fonts = pytest.mark.skipif("latin" not in trainable_scripts(False), reason="no font of the training part")


def ground() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    picture = cv2.GaussianBlur(random.integers(30, 200, (HEIGHT, 500), dtype=np.uint8), (0, 0), 4)
    luma = np.stack([picture[:, 2 * n : 2 * n + WIDTH] for n in range(LENGTH)])
    chroma = np.full((LENGTH, HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return luma, chroma, chroma.copy()


def scene(seed: int = 0, content: str = "lines") -> Scene:
    rng = np.random.default_rng(seed)
    look = random_look(rng, WIDTH, HEIGHT, script="latin")
    return draw_scene(rng, ground(), content=content, look=look, hold=(10, 14))


def test_no_family_is_on_both_sides() -> None:
    for script in FAMILIES:
        trained = {path.name for path in family_fonts(script, False)}
        held = {path.name for path in family_fonts(script, True)}
        assert not trained & held
        assert not any(name.lower().startswith(FAMILIES[script][1]) for name in trained)


@needs_fonts
def test_random_lines_have_only_letters_of_the_font() -> None:
    from PIL import ImageFont

    for script in trainable_scripts(False):
        path = family_fonts(script, False)[0]
        font = ImageFont.truetype(str(path), 16)
        missing = bytes(font.getmask("\U0010ffff"))
        for seed in range(5):
            line = random_line(np.random.default_rng(seed), script, path)
            assert line
            assert all(bytes(font.getmask(c)) != missing for c in line if not c.isspace()), (script, line)


@needs_fonts
def test_the_same_seed_draws_the_same() -> None:
    first, second, other = scene(1), scene(1), scene(2)
    assert all(np.array_equal(a, b) for a, b in zip(first.planes, second.planes, strict=True))
    assert not np.array_equal(first.planes[0], other.planes[0])


@needs_fonts
@pytest.mark.parametrize("seed", range(4))
def test_labels_cover_what_was_drawn(seed: int) -> None:
    drawn, clean = scene(seed), ground()
    assert drawn.lines
    for n in range(LENGTH):
        strokes, box = draw_labels(drawn.lines, n, (HEIGHT, WIDTH))
        changed = drawn.planes[0][n] != clean[0][n]
        assert not (changed & (strokes == 0) & (box == 0)).any()
        solid = strokes > 200
        assert changed[solid].mean() > 0.9 if solid.any() else True


@needs_fonts
def test_harder_looks_are_drawn_and_labelled() -> None:
    decorations, shown = set(), 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        look = harder_look(rng, random_look(rng, WIDTH, HEIGHT, script="latin"))
        decorations.add((look.decoration, sum(look.style.fill) < 1.3))
        drawn = draw_scene(rng, ground(), content="lines", look=look, hold=(10, 14))
        strokes = [draw_labels(drawn.lines, n, (HEIGHT, WIDTH))[0] for n in range(LENGTH)]
        shown += max(int(s.max()) for s in strokes) > 60
    assert shown >= 20  # a schedule may leave 24 frames empty
    assert ("plain", True) in decorations
    assert ("plain", False) in decorations


@needs_fonts
@pytest.mark.parametrize("ground", [0.02, 0.5, 0.97])
def test_tonal_looks_are_close_to_their_ground_on_either_side(ground: float) -> None:
    steps = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        look = tonal_look(rng, random_look(rng, WIDTH, HEIGHT, script="latin"), ground)
        for colour in (look.style.fill, look.style.outline_colour):
            assert 0 <= min(colour) <= max(colour) <= 1
            assert np.abs(np.array(colour) - ground).max() < 0.27
        steps.append(np.mean(look.style.fill) - ground)
        assert look.box_alpha == 0
        assert look.karaoke is None
    assert max(steps) > 0.02 or ground > 0.9
    assert min(steps) < -0.02 or ground < 0.1
    assert min(np.abs(steps)) > 0.01  # there is something to see


@needs_fonts
def test_signs_and_credits_are_no_labels() -> None:
    for content in ("signs", "credits"):
        drawn = scene(5, content)
        assert not drawn.lines
        assert (drawn.planes[0] != ground()[0]).any()
    assert np.array_equal(scene(5, "clean").planes[0], ground()[0])


def test_a_sign_goes_with_the_scene() -> None:
    path = sign_path(np.random.default_rng(0), ground()[0], 160.0, 90.0)
    step = np.diff(path[:, 0]).mean()
    assert step == pytest.approx(-2.0, abs=0.3)  # the ground moves two pixels to the left in each frame
    assert np.abs(path[:, 1]).max() < 2


@pytest.mark.parametrize("seed", range(4))
def test_drawn_scenes_have_texture_and_repeat(seed: int) -> None:
    luma, blue, red = drawn_scene(np.random.default_rng(seed), 3)
    assert luma.shape[:2] == (3, 360)
    assert blue.shape == red.shape == (3, luma.shape[1] // 2, luma.shape[2] // 2)
    detail = cv2.absdiff(luma[1], cv2.GaussianBlur(luma[1], (0, 0), 3))
    assert (detail > 3).mean() > 0.02
    assert np.array_equal(drawn_scene(np.random.default_rng(seed), 3)[0], luma)


def test_schedule() -> None:
    for seed in range(20):
        spans = schedule(np.random.default_rng(seed), 100, hold=(10, 40))
        assert all(9 <= stop - first <= 41 for first, stop in spans)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


@needs_fonts
def test_the_pool_gives_back_what_was_saved(tmp_path: Path) -> None:
    drawn = scene(7)
    save(drawn, tmp_path / "p00000", "h264", 18, "ultrafast")
    back = load(tmp_path / "p00000")
    assert back.planes[0].shape == drawn.planes[0].shape
    assert np.abs(back.planes[0].astype(int) - drawn.planes[0]).mean() < 4
    for n in (0, LENGTH // 2):
        assert np.array_equal(back.labels(n)[0], draw_labels(drawn.lines, n, (HEIGHT, WIDTH))[0])
