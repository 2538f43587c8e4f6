"""The picture of what models give and cost."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import pytest

SCRIPT = str(Path(__file__).resolve().parents[1] / "scripts" / "quality_speed.py")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [SCRIPT, *arguments])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(SCRIPT, run_name="__main__")
    return done.value.code  # type: ignore[return-value]


def test_gains_are_means_over_shared_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speed = {"cases": [{"case": {"use": "inpaint", "width": 640, "model": m}, "fps": f} for m, f in
                       (("copy", 20.0), ("wipe", 14.0), ("opn", 2.0))]}  # fmt: skip
    psnr = {("a", "telea"): 20, ("a", "copy"): 26, ("a", "wipe"): 27, ("b", "telea"): 30, ("b", "copy"): 31}
    rows = [{"clip": clip, "kind": "sub", "method": method, "psnr": p} for (clip, method), p in psnr.items()]
    (tmp_path / "speed.json").write_text(json.dumps(speed))
    (tmp_path / "quality.json").write_text(json.dumps({"rows": rows}))
    picture = tmp_path / "models.png"
    assert run(monkeypatch, str(tmp_path / "speed.json"), str(tmp_path / "quality.json"), "--to", str(picture)) == 0
    # Clip b was not measured with every method; opn with none.
    assert capsys.readouterr().out == "1 cases\ncopy: 20.00 frames/s, +6.00 dB\nwipe: 14.00 frames/s, +7.00 dB\n"
    sheet = cv2.imread(str(picture))
    assert (sheet == (180, 90, 30)).all(2).sum() > 100  # the dots


def test_a_missing_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none.json")
    assert run(monkeypatch, missing, missing, "--to", str(tmp_path / "x.png")) == 1
    assert "none.json" in capsys.readouterr().err
