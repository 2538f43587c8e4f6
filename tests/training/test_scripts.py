import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["rnot", "opn", "sttn", "autosttn"])
def test_smoke(name, monkeypatch, capsys):
    script = str(ROOT / "scripts" / f"train_{name}.py")
    monkeypatch.setattr(sys, "argv", [script, "--smoke"])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(script, run_name="__main__")
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith(f"{name}: 3 steps in")


def test_no_footage_is_one_line(monkeypatch, capsys, tmp_path):
    script = str(ROOT / "scripts" / "train_opn.py")
    monkeypatch.setenv("VSWIPE_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [script, "--run", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(script, run_name="__main__")
    assert done.value.code == 1
    assert "open_footage: no validation footage" in capsys.readouterr().err
