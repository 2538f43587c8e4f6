import runpy
import sys
from pathlib import Path

import pytest

from vswipe import nets
from vswipe.nets import weights
from vswipe.training import command
from vswipe.training.footage import NoiseFootage
from vswipe.training.validation import make_validation

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


def test_table_of_a_weight_file(monkeypatch, capsys, tmp_path):
    path = weights.save(nets.create("opn", own=True, width=0.125), tmp_path / "opn_v1.safetensors")
    monkeypatch.setattr(command, "open_footage", lambda part, pack: NoiseFootage(1))
    monkeypatch.setattr(command, "make_validation", lambda footage: make_validation(footage, 1, 64, 2))
    script = str(ROOT / "scripts" / "train_opn.py")
    monkeypatch.setattr(sys, "argv", [script, "--weights", str(path)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(script, run_name="__main__")
    assert done.value.code == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + 4 * 3
    # Untrained, it gives the base fill: the two rows are the same.
    base, net = rows[3].split("|"), rows[4].split("|")
    assert (base[2].strip(), net[2].strip()) == ("base", "net")
    assert base[3] == net[3]
