import cv2
import numpy as np
import pytest

from vswipe.ops import metrics


def frames(value, shape=(2, 32, 40, 3)):
    return np.full(shape, value, np.uint8)


def box_mask(t=2, h=32, w=40, rows=slice(10, 20), columns=slice(12, 24)):
    mask = np.zeros((t, h, w), np.uint8)
    mask[:, rows, columns] = 1
    return mask


def test_psnr_by_hand():
    truth, mask = frames(100), box_mask()
    result = truth.copy()
    result[mask != 0] += 5
    result[0, 0, 0] = 255  # outside: not counted
    assert metrics.psnr(result, truth, mask) == pytest.approx(10 * np.log10(255**2 / 25))


def test_psnr_pools_frames_and_is_capped():
    truth, mask = frames(100), box_mask()
    result = truth.copy()
    assert metrics.psnr(result, truth, mask) == metrics.MAX_PSNR
    result[0][mask[0] != 0] += 10  # error 100 in one of two frames: mean square 50
    assert metrics.psnr(result, truth, mask) == pytest.approx(10 * np.log10(255**2 / 50))


def test_empty_mask_has_no_score():
    truth, mask = frames(100), np.zeros((2, 32, 40), np.uint8)
    assert np.isnan(metrics.psnr(truth, truth, mask))
    assert np.isnan(metrics.ssim(truth, truth, mask))
    assert np.isnan(metrics.cast(truth, truth, mask))
    assert np.isnan(metrics.e_warp(truth, truth, mask))


def test_ssim_by_hand():
    rng = np.random.default_rng(1)
    truth, mask = rng.integers(0, 256, (2, 32, 40, 3), dtype=np.uint8), box_mask()
    assert metrics.ssim(truth, truth, mask) == pytest.approx(1.0)
    # Two flat pictures: variance and covariance are 0, what is left is the brightness term.
    a, b, c1 = 100.0, 120.0, (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert metrics.ssim(frames(120), frames(100), mask) == pytest.approx(expected, abs=1e-4)


def test_ssim_of_the_crop_is_that_of_the_frame():
    rng = np.random.default_rng(2)
    truth, mask = rng.integers(0, 256, (1, 48, 64, 3), dtype=np.uint8), box_mask(1, 48, 64)
    result = rng.integers(0, 256, truth.shape, dtype=np.uint8)
    whole = metrics.ssim_map(result[0], truth[0])[mask[0] != 0].mean()
    assert metrics.ssim(result, truth, mask) == pytest.approx(float(whole), abs=1e-5)


def test_colour_error_is_signed_and_per_channel():
    truth, mask = frames(100), box_mask()
    result = truth.copy()
    result[0][mask[0] != 0] = (104, 100, 98)
    result[1][mask[1] != 0] = (96, 100, 102)
    assert metrics.colour_error(result, truth, mask).tolist() == [[4, 0, -2], [-4, 0, 2]]
    # Averaged over time it would be nothing; per frame it is seen.
    assert metrics.cast(result, truth, mask) == pytest.approx(2.0)


def test_ring_touches_the_mask_and_leaves_it_out():
    mask = np.zeros((1, 33, 33), np.uint8)
    mask[0, 16, 16] = 1
    ring = metrics.ring(mask, 6)
    assert ring[0, 16, 16] == 0
    assert ring[0, 16, 17:23].all()
    assert not ring[0, 16, 23]
    assert not ring[0, 10, 10]


def test_bounding_box():
    mask = box_mask()[0]
    assert metrics.bounding_box(mask) == (slice(10, 20), slice(12, 24))
    assert metrics.bounding_box(mask, 15) == (slice(0, 35), slice(0, 39))
    assert metrics.bounding_box(np.zeros((4, 4), np.uint8)) is None


def moving_texture(num_frames=4, height=64, width=96, step=2):
    rng = np.random.default_rng(3)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (height, width + step * num_frames, 3), dtype=np.uint8), (0, 0), 2)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    return np.stack([wide[:, step * t : step * t + width] for t in range(num_frames)])


def test_e_warp_is_zero_for_the_truth_and_counts_flicker():
    truth = moving_texture()
    mask = box_mask(4, 64, 96, slice(24, 40), slice(30, 60))
    motion = metrics.clean_motion(truth, mask)
    assert motion.reliable.mean() > 0.8
    assert metrics.e_warp(truth, truth, mask, motion) == pytest.approx(0.0, abs=1e-6)
    # A grey hole that is 10 levels brighter in every other frame flickers by 10; the truth by what sampling costs.
    result = truth.copy()
    result[mask != 0] = 100
    result[1][mask[1] != 0] = 110
    result[3][mask[3] != 0] = 110
    steady = truth.copy()
    steady[mask != 0] = 100
    difference = metrics.e_warp(result, truth, mask, motion) - metrics.e_warp(steady, truth, mask, motion)
    assert difference == pytest.approx(10.0, abs=0.2)
    assert metrics.e_warp(steady, truth, mask, motion) < 0


def test_e_warp_looks_only_where_both_frames_are_masked():
    truth = moving_texture(3)
    mask = box_mask(3, 64, 96, slice(24, 40), slice(30, 60))
    mask[1] = 0
    result = truth.copy()
    result[0] = 0
    assert np.isnan(metrics.e_warp(result, truth, mask))


def test_e_warp_of_a_tiny_mark():
    truth = frames(90, (3, 12, 12, 3))
    assert np.isnan(metrics.e_warp(truth, truth, box_mask(3, 12, 12, slice(4, 6), slice(4, 6))))


def test_mask_scores_by_hand():
    truth = np.zeros((2, 4, 4), np.uint8)
    truth[0, 0] = 1  # four pixels
    found = np.zeros_like(truth)
    found[0, :2, :3] = 1  # three of them, and three wrong ones
    found[1, 3, 3] = 1  # something in a frame without anything
    scores = metrics.mask_scores(found, truth)
    assert scores.precision == pytest.approx(3 / 7)
    assert scores.recall == pytest.approx(3 / 4)
    assert scores.iou == pytest.approx(3 / 8)
    assert scores.wrong_frames == pytest.approx(0.5)


def test_mask_scores_of_nothing():
    empty = np.zeros((2, 4, 4), np.uint8)
    assert metrics.mask_scores(empty, empty) == metrics.MaskScores(1.0, 1.0, 1.0, 0.0)


def test_chroma_footprint_of_odd_sizes():
    mask = np.zeros((1, 5, 7), np.uint8)
    mask[0, 4, 6] = mask[0, 1, 2] = 1
    small = metrics.chroma_footprint(mask, 1, 1)
    assert small.shape == (1, 3, 4)
    assert sorted(zip(*np.nonzero(small[0]), strict=True)) == [(0, 1), (2, 3)]
    assert metrics.chroma_footprint(mask, 1, 0).shape == (1, 5, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_max_difference_outside(dtype):
    mask = np.zeros((1, 4, 4), np.uint8)
    mask[0, 1, 1] = 1
    source = [np.full(s, 8, dtype) for s in ((1, 4, 4), (1, 2, 2), (1, 2, 2))]
    result = [p.copy() for p in source]
    result[0][0, 1, 1] = result[1][0, 0, 0] = 1  # inside the mask and its footprint
    assert metrics.max_difference_outside(result, source, mask, 1, 1) == 0
    result[2][0, 1, 1] = 5
    assert metrics.max_difference_outside(result, source, mask, 1, 1) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.psnr(frames(0), frames(0)[:1], box_mask()), "psnr: result and truth must both be"),
        (lambda: metrics.ssim(frames(0), frames(0), box_mask(1)), r"ssim: mask must be \(2, 32, 40\), got \(1, 32, "),
        (lambda: metrics.mask_scores(box_mask(), box_mask(1)), "mask_scores: found and truth must both be"),
        (
            lambda: metrics.max_difference_outside([frames(0)[..., 0]], [frames(0)[..., 0]], box_mask(1)),
            "max_difference_outside: plane 0 must be",
        ),
    ],
)
def test_errors_say_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()
