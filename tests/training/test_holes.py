import numpy as np
import pytest

from vswipe.training import holes
from vswipe.training.composite import ALPHA_FLOOR, Mark
from vswipe.training.degrade import degrade, intra, predicted
from vswipe.training.footage import NoiseFootage


@pytest.fixture
def bank() -> holes.MarkBank:
    return holes.MarkBank.drawn(np.random.default_rng(0), count=4, fresh=0.0)


@pytest.mark.parametrize("kind", holes.KINDS)
def test_hole_covers_what_was_drawn_and_a_pixel_more(bank, kind):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        front = holes.draw_foreground(rng, bank, kind, 96, 4, stride=2)
        drawn = front.pixels[..., 3] > ALPHA_FLOOR
        assert front.mask.shape == (4, 96, 96)
        assert front.mask.dtype == np.uint8
        assert 0 < front.mask.mean((1, 2)).max() <= holes.MAX_COVER
        for t in range(4):
            grown = drawn[t].copy()
            grown[1:] |= drawn[t, :-1]
            grown[:-1] |= drawn[t, 1:]
            grown[:, 1:] |= drawn[t, :, :-1]
            grown[:, :-1] |= drawn[t, :, 1:]
            assert not (grown & (front.mask[t] == 0)).any()


def test_same_seed_same_hole(bank):
    first, second = (holes.draw_foreground(np.random.default_rng(5), bank, "text", 64, 3) for _ in range(2))
    assert (first.mask == second.mask).all()
    assert (first.pixels == second.pixels).all()


def test_objects_and_strokes_move(bank):
    moved = 0
    for kind in ("object", "free"):
        for seed in range(5):
            front = holes.draw_foreground(np.random.default_rng(seed), bank, kind, 96, 3, stride=3)
            moved += bool((front.mask[0] != front.mask[2]).any())
    assert moved >= 7


def test_a_bank_of_huge_marks_still_gives_a_hole():
    full = Mark(np.ones((300, 300, 4), np.float32))
    front = holes.draw_foreground(np.random.default_rng(0), holes.MarkBank([full], [full]), "logo", 64, 2)
    assert 0 < front.mask.mean() < holes.MAX_COVER


def test_wrong_arguments(bank):
    with pytest.raises(ValueError, match="draw_foreground: kind must be one of text, logo, free, object, got box"):
        holes.draw_foreground(np.random.default_rng(0), bank, "box", 64, 2)
    with pytest.raises(ValueError, match="MarkBank: text and logo must hold a mark each, got 0 and 1"):
        holes.MarkBank([], [Mark(np.ones((4, 4, 4), np.float32))])


def test_colours_are_laid_over_by_opacity():
    frames = np.full((1, 2, 2, 3), 100, np.uint8)
    pixels = np.zeros((1, 2, 2, 4), np.float32)
    pixels[0, 0, 0] = (0.5, 0.0, 0.0, 0.5)  # half opaque, blue at full
    out = holes.lay_over(frames, pixels)
    assert out[0, 0, 0].tolist() == [178, 50, 50]
    assert (out[0, 1] == 100).all()


def test_coding_changes_pixels_beside_a_mark_and_predicted_frames_keep_their_errors():
    rng = np.random.default_rng(0)
    frames = np.full((3, 64, 64, 3), 90, np.uint8)
    frames[:, 20:40, 20:44] = 250
    coded = intra(frames, 60)
    beside = np.abs(coded[0, 18:20, 20:44].astype(int) - 90)
    assert beside.max() > 2
    still = np.repeat(NoiseFootage(side=64).clip(0)[:1], 3, axis=0)
    inter = predicted(still, 60).astype(int)
    assert np.abs(inter[2] - inter[1]).mean() < 0.7 * np.abs(inter[0] - still[0]).mean()
    assert np.abs(inter[2] - still[2]).mean() < 1.5 * np.abs(inter[0] - still[0]).mean()
    assert degrade(rng, frames).shape == frames.shape
