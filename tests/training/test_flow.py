"""Training of the learned motion, on pairs of drawn noise."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vswipe.nets import create
from vswipe.training import flow_data
from vswipe.training.flow_set import PairSet, batch_of, crop_of, errors, loss_of
from vswipe.training.wipe_data import load, save

SCRIPT = str(Path(__file__).resolve().parents[2] / "scripts" / "train_flow.py")
SIZE = (32, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow")
    torch.set_num_threads(1)
    flow_data.make_noise(path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [SCRIPT, *arguments])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(SCRIPT, run_name="__main__")
    return done.value.code  # type: ignore[return-value]


def test_the_true_motion_has_no_error_and_others_have(folder: Path) -> None:
    batch = PairSet(folder, False).batch(np.random.default_rng(1), 6, SIZE)
    length, seen = errors(batch, batch.truth)
    assert float(length.max()) < 0.02
    wrong, seen_wrong = errors(batch, batch.truth + 3)
    assert float(wrong.min()) > 2
    assert float(seen_wrong.mean()) > 2 * float(seen.mean())


def test_without_training_nothing_is_better_or_worse(folder: Path) -> None:
    batch = PairSet(folder, False).batch(np.random.default_rng(1), 4, SIZE)
    with torch.inference_mode():
        _, terms = loss_of(batch, create("flow", steps=True)(batch.planes, batch.measured, batch.affine))
    assert terms["worse"] == 0
    assert terms["hole"] == pytest.approx(terms["base"], rel=1e-4)


def test_some_steps_lower_the_loss(folder: Path) -> None:
    torch.manual_seed(0)
    pairs = PairSet(folder, False)
    rng = np.random.default_rng(2)
    name = next(iter(pairs.windows))
    batch = batch_of([crop_of(sample, rng, SIZE) for sample in pairs.windows[name][:4]])
    net = create("flow", steps=True).train()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(20):
        total, _ = loss_of(batch, net(batch.planes, batch.measured, batch.affine))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.95 * losses[0]


def test_a_run_goes_on_where_it_was_and_gives_a_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--data", str(folder), "--run", str(tmp_path), "--batch", "2"]
    assert run(monkeypatch, "train", *given, "--minutes", "0.01") == 0
    first = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert run(monkeypatch, "train", *given, "--minutes", "0.02") == 0
    second = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert second["step"] > first["step"] > 0
    assert (first["parts"], second["parts"]) == (1, 2)
    table = second["curve"][-1]["validation"]
    assert table["sub"]["net"]["cells"] > 0
    assert run(monkeypatch, "export", *given, "--to", str(tmp_path / "flow.safetensors")) == 0
    net = create("flow", tmp_path / "flow.safetensors")
    for name, value in net.state_dict().items():
        assert torch.equal(value, second["average"][name].half().float())
    assert (tmp_path / "flow_curve.png").is_file()


@pytest.mark.parametrize(("what", "message"), [("train", "data must hold files of `train_flow.py data`"),
                                               ("export", "run must be a folder with a checkpoint")])  # fmt: skip
def test_what_is_missing_is_one_line(
    what: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, what, "--data", str(tmp_path), "--run", str(tmp_path / "run")) == 1
    assert message in capsys.readouterr().err


def test_files_of_other_planes_are_refused(tmp_path: Path) -> None:
    flow_data.make_noise(tmp_path, 1)
    (path,) = tmp_path.glob("*.npz")  # the last one, which is held out
    samples = load(path)
    for sample in samples:
        sample["planes"] = sample["planes"][:16]
    save(path, samples)
    with pytest.raises(ValueError, match=rf"^flow_set: {path.name} must hold 21 planes, got 16: make it again$"):
        PairSet(tmp_path, True)
