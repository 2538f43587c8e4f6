import json
from fractions import Fraction

import numpy as np
import pytest

from vswipe.ops import metrics
from vswipe.training import evaluation, results, sheets
from vswipe.training.composite import composite
from vswipe.training.overlays import draw_overlay


def burn_in(truth, kind, seed):
    drawn = composite(truth, draw_overlay(kind, np.random.default_rng(seed), 128, 96, 8))
    scored = metrics.grow(drawn.mask, evaluation.SCORED_DILATION)
    return evaluation.Case("pan", kind, truth, drawn.planes, drawn.mask, scored, Fraction(25))


@pytest.fixture
def case():
    """A smooth pan with a logo that bounces."""
    y, x = np.mgrid[:96, :128].astype(np.float32)
    luma = np.stack([120 + 50 * np.sin((x + 2 * t) / 17) * np.cos(y / 13) for t in range(8)])
    small = np.mgrid[:48, :64][0].astype(np.float32)
    planes = (luma, np.stack([110 + small / 4] * 8), np.full((8, 48, 64), 140))
    return burn_in(tuple(np.clip(plane, 16, 235).astype(np.uint8) for plane in planes), "dyn", 5)


def test_doing_nothing_is_bad_and_the_truth_is_perfect(case):
    judge = evaluation.Judge(case)
    nothing = judge.score(evaluation.run_method("nothing", case))
    perfect = judge.score(evaluation.Outcome(case.truth, 0.0))
    assert nothing.psnr < 25
    assert nothing.outside == perfect.outside == 0
    assert perfect.psnr == metrics.MAX_PSNR
    assert perfect.ssim == pytest.approx(1)
    assert perfect.e_warp == pytest.approx(0)
    assert perfect.cast == 0


def test_telea_writes_inside_the_mask_only(case):
    judge = evaluation.Judge(case)
    outcome = evaluation.run_method("telea", case)
    score = judge.score(outcome)
    assert score.outside == 0
    assert score.psnr > 30
    # The crop must not change what the whole frame gives.
    import cv2

    t = int(np.flatnonzero(case.scored.any(axis=(1, 2)))[0])
    whole = cv2.inpaint(evaluation.to_bgr(case.source)[t], case.scored[t], evaluation.TELEA_RADIUS, cv2.INPAINT_TELEA)
    inside = case.scored[t] != 0
    mine = evaluation.to_bgr(outcome.planes)[t]
    assert np.abs(whole[inside].astype(int) - mine[inside]).mean() < 4  # what 4:2:0 costs


def test_delogo_is_for_static_marks(case):
    assert evaluation.run_method("delogo", case) is None
    static = burn_in(case.truth, "logo", 1)
    outcome = evaluation.run_method("delogo", static)
    assert evaluation.Judge(static).score(outcome).psnr > 25


def test_engine_model(case):
    pytest.importorskip("vswipe.engine.pipeline")
    outcome = evaluation.run_method("copy", case, {"radius": 4})
    score = evaluation.Judge(case).score(outcome)
    assert score.outside == 0
    assert score.psnr > 25
    assert 0 <= score.copied <= 1


def test_sheets(case, tmp_path):
    outcomes = {"nothing": case.source, "telea": case.source}
    image = sheets.sheet(case, outcomes)
    assert image.ndim == 3
    assert sheets.worst_strip(case, outcomes).shape[2] == 3
    sheets.save(tmp_path / "a" / "sheet.png", image)
    assert (tmp_path / "a" / "sheet.png").stat().st_size > 100
    assert len(sheets.pick_moments(case.scored)) <= sheets.MOMENTS
    assert sheets.pick_moments(np.zeros_like(case.scored)) == []


def row(clip, method, psnr, kind="sub", **changes):
    return {"clip": clip, "kind": kind, "method": method, "frames": 60, "drawing": "0", "psnr": psnr, "ssim": 0.9,
            "ring_psnr": 40.0, "ring_ssim": 0.95, "e_warp": 0.1, "cast": 1.0, "copied": None, "outside": 0.0,
            "seconds": 0.1, "masked": 0.05, **changes}  # fmt: skip


ROWS = [
    row("a", "telea", 20.0),
    row("a", "copy", 26.0, copied=0.5),
    row("b", "telea", 30.0),
    row("b", "copy", 29.0, copied=1.0),
]


def test_summary_by_hand():
    telea, copy = results.summarize(ROWS)
    assert telea["psnr"] == 25
    assert telea["gain"] == 0
    assert copy["gain"] == pytest.approx(2.5)
    assert (copy["worst_clip"], copy["worst_gain"]) == ("b", -1.0)
    assert copy["copied"] == pytest.approx(0.75)
    assert np.isnan(telea["copied"])


def test_tables_are_complete():
    assert "| sub (2)" in results.summary_table(ROWS)
    assert "-1.0 (b)" in results.summary_table(ROWS)
    assert "+6.00" in results.clip_table(ROWS)


def test_compare_counts_wins_and_leaves_other_drawings_out(tmp_path):
    results.save(tmp_path / "a.json", {}, ROWS)
    later = [row("a", "copy", 27.0), row("b", "copy", 28.5), row("c", "copy", 50.0)]
    results.save(tmp_path / "b.json", {}, later)
    text = results.compare(str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert "1 / 1" in text
    assert "+0.250" in text
    assert "-0.50 (b)" in text
    later[1]["drawing"] = "1"
    results.save(tmp_path / "b.json", {}, later)
    text = results.compare(str(tmp_path / "a.json"), str(tmp_path / "b.json") + ":copy")
    assert "in 1 of 2 cases" in text
    assert "+1.000" in text
    with pytest.raises(ValueError, match="compare: method must be one of copy, got sttn"):
        results.compare(str(tmp_path / "a.json"), str(tmp_path / "b.json") + ":sttn")


def test_json_holds_no_nan(tmp_path):
    results.save(tmp_path / "a.json", {"frames": 60}, [row("a", "telea", float("nan"))])
    document = json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert document["rows"][0]["psnr"] is None
    assert {"revision", "versions", "summary", "settings"} <= set(document)
