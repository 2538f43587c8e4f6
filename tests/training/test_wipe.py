"""Data and training of vswipe's own network, on what the copy stage finds in drawn noise."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vswipe.engine.wipefill import _Crop
from vswipe.nets import create, weights
from vswipe.nets.wipe import NUM_COPIES
from vswipe.training import wipe_data, wipe_set
from vswipe.training.wipe_set import (
    SampleSet,
    apply,
    batch_of,
    choice_loss,
    crop_of,
    is_held_out,
    loss_of,
    squared_error,
    unpacked,
)

ROOT = Path(__file__).resolve().parents[2]
SIZE = (48, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wipe")
    torch.set_num_threads(1)
    wipe_data.make_noise(path)
    return path


def test_files_without_samples_are_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wipe_data.save(tmp_path / "00000_sub_noise.npz", [])
    monkeypatch.setattr(wipe_set, "PATIENCE", 0.0)
    with pytest.raises(ValueError, match="data must hold files with samples"):
        next(iter(wipe_set.CropStream(tmp_path, 2, (32, 32), 1)))


def test_held_out_samples_are_of_other_families(folder: Path) -> None:
    train, held = SampleSet(folder, False), SampleSet(folder, True)
    assert train.num_samples
    assert held.num_samples
    assert not set(train.windows) & set(held.windows)
    assert is_held_out("noise-d")
    assert is_held_out("noise-d-2")
    assert not is_held_out("noise")


def test_a_sample_holds_what_the_engine_mixed(folder: Path) -> None:
    """The mix of the stored candidates is near the truth, and the truth is what lies under the marks."""
    for sample in SampleSet(folder, False).windows["00000_sub_noise.npz"]:
        luma, chroma = crop_of(sample, None, (64, 96))
        hole = luma["hole"][0] > 0
        assert hole.sum() > 100
        assert (luma["image"][0][hole] < 230).all()  # the marks are white
        assert np.abs(luma["image"][0] - luma["truth"][0])[hole].mean() < 12
        assert np.abs(chroma["truth"][:, chroma["hole"][0] > 0] - 128).max() == 0
        # A chroma sample is hidden where any of its luma pixels is.
        assert np.array_equal(chroma["hole"][0], hole.reshape(32, 2, 48, 2).any((1, 3)))


def test_a_sample_shows_what_the_network_will_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the hole, too."""
    crops = {}

    class Both(wipe_data.Recorder):
        def correct(self, view, n, side, groups, beside):
            if self.wanted(n):
                crops[n, view.rect.top, view.rect.left] = _Crop(view, n, side, torch.device("cpu")).found(
                    groups, beside
                )
            return super().correct(view, n, side, groups, beside)

    monkeypatch.setattr(wipe_data, "Recorder", Both)
    window = wipe_data.noise_window(1)
    samples = wipe_data.record(window.source, window.truth, window.mask, np.random.default_rng(3))
    assert samples
    beside = 0
    for found, sample in zip([crops[key] for key in sorted(crops)], map(unpacked, samples), strict=True):
        other = batch_of([crop_of(sample, None, tuple(sample["size"] + sample["size"] % 2))]).found
        cuts = []
        for each in (found, other):
            rows, columns = np.nonzero(each.hole[0, 0].numpy())
            near = np.s_[..., max(0, rows.min() - 3) : rows.max() + 4, max(0, columns.min() - 3) : columns.max() + 4]
            cuts.append({key: value[near] for key, value in vars(each).items()})
        for key in ("hole", "rimmed"):
            assert torch.equal(cuts[0][key], cuts[1][key])
        there = cuts[0]["rimmed"] > 0
        assert not (there & (cuts[0]["hole"] > 0)).any()
        beside += int(there.sum())
        for key, where in (("rim", there), ("picture", cuts[0]["hole"].expand_as(cuts[0]["picture"]) == 0)):
            assert (cuts[0][key] - cuts[1][key])[where].abs().max() <= 0.51
    assert beside > 100


def test_without_corrections_nothing_changes(folder: Path) -> None:
    rng = np.random.default_rng(0)
    samples = SampleSet(folder, False)
    batch = batch_of([crop_of(samples.draw(rng), rng, SIZE) for _ in range(4)], transpose=True)
    assert batch.found.hole.shape == (4, 1, *SIZE[::-1])
    with torch.inference_mode():
        logits, residual = create("wipe")(batch.found)
        same = apply(batch, logits, residual)
    assert torch.allclose(same[0], batch.found.picture[:, :1] * batch.hole[0], atol=1e-3)
    _, terms = loss_of(batch, same, same)
    assert terms["hole"] == pytest.approx(terms["base"])
    assert terms["worse"] == 0


def test_the_score_is_that_of_the_colours(folder: Path) -> None:
    batch = batch_of([crop_of(s, None, SIZE) for s in SampleSet(folder, False).windows["00000_sub_noise.npz"][:1]])
    output = [truth + 3 for truth in batch.truth]
    error, number = squared_error(batch, output)
    blue, green, red = 3 * (1.164 + 2.017), 3 * (1.164 - 0.392 - 0.813), 3 * (1.164 + 1.596)
    assert float(error.sum() / number.sum()) == pytest.approx((blue**2 + green**2 + red**2) / 3, rel=1e-3)


def test_the_better_candidate_is_to_be_chosen(folder: Path) -> None:
    """Also where its weight is next to nothing, and no candidate that is not there."""
    batch = batch_of([crop_of(s, None, SIZE) for s in SampleSet(folder, False).windows["00000_sub_noise.npz"][:1]])
    truth = batch.truth[0]
    batch.values[0] = torch.stack([truth, truth + 20, truth + 20, truth + 20], 1)
    batch.logits[0] = torch.tensor([-9.0, 0.0, 0.0, -torch.inf])[None, :, None, None].expand(1, 4, *SIZE)
    logits = torch.zeros(1, 4, *SIZE, requires_grad=True)
    before = choice_loss(batch, logits)
    before.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    inside = batch.hole[0][0, 0] > 0
    pull = logits.grad[0][:, inside].sum(1)
    assert pull[0] < -0.5
    assert pull[3] == 0
    right = torch.zeros(1, 4, *SIZE)
    right[:, 0], right[:, 1:3] = 14, -14
    assert choice_loss(batch, right) < 0.2 * before


def test_some_steps_lower_the_loss(folder: Path) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    samples = SampleSet(folder, False)
    batch = batch_of([crop_of(samples.draw(rng), rng, SIZE) for _ in range(4)])
    net = create("wipe", width=0.5).train()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(16):
        logits, residual = net(batch.found)
        base = apply(batch, torch.zeros_like(logits), torch.zeros_like(residual))
        total, _ = loss_of(batch, apply(batch, logits, residual), base)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.97 * losses[0]


def test_damaged_files_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "00000_sub_noise.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ValueError, match=r"00000_sub_noise\.npz must be a file of wipe_data"):
        SampleSet(tmp_path, False)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    script = str(ROOT / "scripts" / "train_wipe.py")
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(script, run_name="__main__")
    return done.value.code  # type: ignore[return-value]


def test_a_run_goes_on_where_it_was_and_gives_a_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", str(folder), "--run", str(tmp_path), "--width", "0.34", "--batch", "2"]
    assert run(monkeypatch, "train", *given, "--minutes", "0.01") == 0
    first = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert run(monkeypatch, "train", *given, "--minutes", "0.02") == 0
    second = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert second["step"] > first["step"] > 0
    assert second["seconds"] > first["seconds"]
    assert (first["parts"], second["parts"]) == (1, 2)
    assert run(monkeypatch, "export", *given, "--to", str(tmp_path / "wipe.safetensors")) == 0
    net = create("wipe", tmp_path / "wipe.safetensors")
    assert torch.equal(net.last.bias, second["average"]["last.bias"].half().float())
    between = tmp_path / "between.safetensors"
    start = str(weights.save(create("wipe", width=0.34, rim=True), tmp_path / "start.safetensors"))
    assert run(monkeypatch, "export", *given, "--between", start, "--to", str(between)) == 0
    state = create("wipe", between).state_dict()
    for name, value in create("wipe", start).state_dict().items():
        assert torch.allclose(state[name], (value + second["average"][name]) / 2, atol=1e-3)
    assert run(monkeypatch, "train", "--data", str(folder), "--run", str(tmp_path), "--width", "0.5") == 1
    assert "options must be the checkpoint's {'width': 0.34," in capsys.readouterr().err


def test_a_new_run_may_begin_with_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(5)
    net = create("wipe", width=0.34)
    torch.nn.init.normal_(net.last.bias, std=0.1)
    start = str(weights.save(net, tmp_path / "wipe.safetensors"))
    given = ["--data", str(folder), "--run", str(tmp_path / "run"), "--minutes", "0.002", "--batch", "2"]
    assert run(monkeypatch, "train", *given, "--width", "0.34", "--rate", "1e-9", "--start", start) == 0
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert torch.allclose(state["net"]["last.bias"], net.last.bias, atol=1e-3)
    assert state["net"]["generated.weight"].abs().max() < 1e-6  # which the file lacks: it says nothing yet
    other = ["--data", str(folder), "--run", str(tmp_path / "other"), "--width", "0.5", "--start", start]
    assert run(monkeypatch, "train", *other) == 1
    assert "wipe.safetensors must hold enter.weight (16," in capsys.readouterr().err


def test_single_frames_have_marks_and_no_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wipe_data, "STILL_PHOTO_SHARE", 1.0)
    monkeypatch.setattr(wipe_data, "CODED_SHARE", 0.0)
    monkeypatch.setattr(wipe_data, "STILLS", 3)
    rng = np.random.default_rng(3)
    art = cv2.resize(rng.uniform(20, 230, (30, 40, 3)).astype(np.float32), (400, 300), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), np.clip(art, 0, 255).astype(np.uint8))
    name, samples = wipe_data.make_stills(4, [], [path])
    assert name == "still_photo"
    assert samples
    wipe_data.save(tmp_path / f"00000_{name}.npz", samples)
    wipe_data.save(tmp_path / "00001_sub_other.npz", samples)
    held = is_held_out("photo")
    for sample in SampleSet(tmp_path, held).windows[f"00000_{name}.npz"]:
        luma, _ = crop_of(sample, None, SIZE)
        hole = luma["hole"][0] > 0
        assert hole.any()
        assert np.isneginf(luma["logits"][:, hole]).all()
        assert np.abs(luma["image"][0] - luma["truth"][0])[hole].mean() < 40


def test_a_third_of_the_crops_are_single_frames(folder: Path) -> None:
    samples = SampleSet(folder, False)
    names = list(samples.windows)
    samples.windows = {"00000_still_a.npz": samples.windows[names[0]],
                       **{f"0000{i}_sub_b.npz": samples.windows[names[1]] for i in range(1, 9)}}  # fmt: skip
    stills = {id(sample) for sample in samples.windows["00000_still_a.npz"]}
    rng = np.random.default_rng(0)
    assert 0.27 < np.mean([id(samples.draw(rng)) in stills for _ in range(600)]) < 0.39
    samples.windows = {"00000_still_a.npz": samples.windows["00000_still_a.npz"]}
    assert id(samples.draw(rng)) in stills


def test_light_changes_and_black_stays_black() -> None:
    changed = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        luma = np.full((24, 40, 64), 120, np.uint8)
        luma[:, :8] = 16
        planes = wipe_data.change_exposure(
            rng, (luma, np.full((24, 20, 32), 90, np.uint8), np.full((24, 20, 32), 128, np.uint8))
        )
        assert [p.shape for p in planes] == [(24, 40, 64), (24, 20, 32), (24, 20, 32)]
        assert (planes[0][:, :8] == 16).all()
        assert (planes[2] == 128).all()
        changed += np.ptp(planes[0][:, 20:].mean((1, 2))) > 3
    assert changed >= 9


def test_weights_are_measured_beside_each_other(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Untrained gains nothing; what leads away from the truth loses."""
    files = []
    for name, push in (("silent", 0.0), ("bright", 0.5)):
        net = create("wipe", width=0.25, rim=True)
        with torch.no_grad():
            net.last.bias[NUM_COPIES] = push
        files.append(str(tmp_path / f"{name}.safetensors"))
        weights.save(net, files[-1])
    monkeypatch.setattr(sys, "argv", ["train_wipe.py", "measure", "--data", str(folder), "--weights", *files])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(ROOT / "scripts" / "train_wipe.py"), run_name="__main__")
    assert done.value.code == 0
    silent, bright = capsys.readouterr().out.splitlines()[2:]
    assert float(silent.split("|")[2]) == 0
    assert float(bright.split("|")[2]) < -0.01


def test_no_data_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "--data", str(tmp_path), "--run", str(tmp_path / "run")) == 1
    assert "data must hold files of `train_wipe.py data`" in capsys.readouterr().err


@torch.inference_mode()
def test_parts_are_switched_off_one_by_one(folder: Path) -> None:
    """`scripts/ablate_wipe.py`: what no part says is nothing, and every part says something of its own."""
    script = runpy.run_path(str(ROOT / "scripts" / "ablate_wipe.py"))
    samples = SampleSet(folder, False).windows.values()
    batch = batch_of([crop_of(next(iter(samples))[0], None, (48, 64))])

    def said(speaking: tuple[str, ...]) -> list[torch.Tensor]:
        torch.manual_seed(0)
        net = create("wipe", generate=True, rim=True)
        for layer in (net.last, net.mended, net.generated):
            torch.nn.init.normal_(layer.weight, std=0.05)
        return list(script["silenced"](net, speaking)(batch.found))

    assert not any(part.any() for part in said(()))
    before = said(())
    for _, speaking in script["PARTS"][1:]:
        now = said(speaking)
        assert any((a - b).abs().max() > 1e-3 for a, b in zip(before, now, strict=True))
        before = now
    everything = said((*script["OUTPUTS"], *script["LAYERS"]))
    assert all(torch.equal(a, b) for a, b in zip(before, everything, strict=True))
