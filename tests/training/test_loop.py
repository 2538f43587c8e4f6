import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from vswipe.training import curve, loop, run
from vswipe.training.dataset import WindowShape
from vswipe.training.export import export
from vswipe.training.footage import NoiseFootage
from vswipe.training.losses import Weights
from vswipe.training.schedule import Average, Clock, learning_rate
from vswipe.training.validation import ValidationSet, make_validation


class Tiny(nn.Module):
    """Base plus a residual inside the hole, the last layer zero: as our own networks begin."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.options = {"width": width}
        self.spec = SimpleNamespace(name="tiny", base=True, mask_free=False)
        self.enter = nn.Conv2d(4, int(8 * width), 3, padding=1)
        self.last = nn.Conv2d(int(8 * width), 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, frames, masks, base=None):
        x = torch.cat([base, masks], 2).flatten(0, 1)
        residual = self.last(torch.relu(self.enter(x))).unflatten(0, frames.shape[:2])
        return torch.where(masks > 0.5, base + residual, frames)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    def create(name, weights=None, **options):
        net = Tiny(**options)
        if weights is not None:
            net.load_state_dict({key: value.float() for key, value in load_file(weights).items()})
        return net.eval()

    monkeypatch.setattr(loop.nets, "create", create)


@pytest.fixture(scope="module")
def held_out() -> ValidationSet:
    return make_validation(NoiseFootage(1), each=1, size=64, num_frames=3)


@pytest.fixture
def settings() -> loop.Settings:
    base = loop.Settings("tiny", {"width": 1.0}, WindowShape(size=64, num_frames=2, flow=False), half="no")
    return replace(base.smoke(), steps=4, minutes=1.0)


def test_untrained_network_gives_the_base_fill(settings, tmp_path, held_out):
    trainer = loop.Trainer(settings, tmp_path, NoiseFootage(), held_out)
    for row in trainer.measure(held_out).values():
        assert row["net"]["psnr"] == row["base"]["psnr"]
        assert row["net"]["better"] == 0


def test_training_lowers_the_loss(settings, tmp_path):
    # A base that is a fifth too dark: something to learn in a second.
    def darker(net, batch):
        return net(batch["source"], batch["mask"], 0.8 * batch["truth"])

    chosen = replace(settings, steps=40, peak_rate=1e-2, reuse=1000, weights=Weights(gradient=0, valid=0))
    trainer = loop.Trainer(chosen, tmp_path, NoiseFootage(), call=darker)
    trainer.run(print_every=0.0)
    values = [entry["losses"]["hole"] for entry in trainer.curve]
    assert sum(values[-5:]) < 0.6 * sum(values[:5])


def test_a_run_goes_on_where_it_was(settings, tmp_path, held_out):
    first = loop.Trainer(settings, tmp_path, NoiseFootage(), held_out)
    first.run(print_every=0.0)
    assert first.step == 4
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["settings"]["name"] == "tiny"
    assert state["settings"]["shape"]["size"] == 64
    assert state["revisions"] == [run.revision()]

    second = loop.Trainer(replace(settings, steps=7), tmp_path, NoiseFootage(), held_out)
    assert second.step == 4
    assert second.clock.seconds == pytest.approx(first.clock.seconds)
    assert second.parts == first.parts + 1  # draws other windows than the first part
    for name, value in second.net.state_dict().items():
        assert torch.equal(value, first.net.state_dict()[name])
    for name, value in second.average.state.items():
        assert torch.equal(value, first.average.state[name])
    moments = second.optimizer.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(moments, first.optimizer.state_dict()["state"][0]["exp_avg"])
    second.run(print_every=0.0)
    assert second.step == 7
    assert second.shown == 7 * settings.batch
    assert [entry["step"] for entry in second.curve if "losses" in entry] == [1, 2, 3, 4, 5, 6, 7]

    spent = loop.Trainer(replace(settings, steps=7), tmp_path, NoiseFootage())
    spent.run()
    assert spent.step == 7


def test_minutes_are_counted_over_all_parts(settings, tmp_path):
    trainer = loop.Trainer(settings, tmp_path, NoiseFootage())
    trainer.clock.seconds = 59.0
    trainer.save()
    again = loop.Trainer(replace(settings, steps=0, minutes=59 / 60), tmp_path, NoiseFootage())
    again.run()
    assert again.step == 0


def test_a_budget_of_processor_time_does_not_count_waiting(settings, tmp_path):
    waited = loop.Trainer(replace(settings, steps=0, minutes=1.0, processor_time=True), tmp_path, NoiseFootage())
    waited.clock.seconds = 3600.0  # others used the machine
    assert waited.progress < 0.01
    waited.clock.cpu_seconds = 60.0
    assert waited.progress == pytest.approx(1.0)


def test_named_parameters_learn_slower(settings, tmp_path):
    trainer = loop.Trainer(replace(settings, steps=1, slower={"last.": 0.01}), tmp_path, NoiseFootage(), call=lambda
                           net, batch: batch["source"] + sum(p.sum() for p in net.parameters()))  # fmt: skip
    before = {name: p.detach().clone() for name, p in trainer.net.named_parameters()}
    trainer.run()
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in trainer.net.named_parameters()}
    slow = [v for name, v in moved.items() if name.startswith("last.")]
    fast = [v for name, v in moved.items() if not name.startswith("last.")]
    assert 0 < max(slow) < 0.05 * min(fast)
    with pytest.raises(ValueError, match=r"Trainer: slower must name parameters of the network, got nothing\."):
        loop.Trainer(replace(settings, slower={"nothing.": 0.1}), tmp_path / "other", NoiseFootage())


def test_another_networks_checkpoint_is_refused(settings, tmp_path):
    loop.Trainer(settings, tmp_path, NoiseFootage()).save()
    wider = replace(settings, options={"width": 2.0})
    with pytest.raises(ValueError, match=r"training: options must be the checkpoint's \{'width': 1.0\}, got"):
        loop.Trainer(wider, tmp_path, NoiseFootage())


def test_a_step_into_infinity_is_left_out(settings, tmp_path):
    trainer = loop.Trainer(settings, tmp_path, NoiseFootage(), call=lambda net, batch: net(
        batch["source"], batch["mask"], batch["base"] * float("nan")))  # fmt: skip
    before = {name: value.clone() for name, value in trainer.net.state_dict().items()}
    trainer.run()
    for name, value in trainer.net.state_dict().items():
        assert torch.equal(value, before[name])


def test_adversarial_term(settings, tmp_path):
    chosen = replace(settings, steps=1, weights=Weights(adversarial=0.01))
    trainer = loop.Trainer(chosen, tmp_path, NoiseFootage())
    trainer.run(print_every=0.0)
    assert trainer.curve[-1]["losses"]["critic"] > 0
    loop.Trainer(chosen, tmp_path, NoiseFootage())  # its state is part of the checkpoint


def test_curve_files(settings, tmp_path, held_out):
    trainer = loop.Trainer(settings, tmp_path, NoiseFootage(), held_out)
    trainer.run(print_every=0.0)
    written = json.loads((tmp_path / "curve.json").read_text())
    assert written["revisions"]
    assert len(written["entries"]) == len(trainer.curve)
    assert "text coded" in written["entries"][-1]["validation"]
    picture = cv2.imread(str(tmp_path / "curve.png"))
    assert picture.shape == (640, 900, 3)
    assert (picture == 255).mean() > 0.5
    assert curve.draw([]).shape == (640, 900, 3)


def test_export_writes_fp16_weights_and_a_card_with_what_was_measured(settings, tmp_path, held_out):
    trainer = loop.Trainer(settings, tmp_path / "run", NoiseFootage(), held_out)
    with pytest.raises(ValueError, match="export: tiny must have been trained"):
        export(trainer, tmp_path, "train_tiny.py")
    trainer.run(print_every=0.0)
    path = export(trainer, tmp_path / "models", "train_tiny.py")
    assert path.name == "tiny_v1.safetensors"
    state = load_file(path)
    assert {value.dtype for value in state.values()} == {torch.float16}
    for name, value in state.items():
        assert torch.allclose(value.float(), trainer.average.state[name], atol=1e-3, rtol=1e-3)
    text = path.with_suffix(".md").read_text()
    net = Tiny()
    net.load_state_dict({name: value.float() for name, value in state.items()})
    measured = held_out.measure(lambda batch: loop.call_inpaint(net, batch))
    assert f"| text | net | {measured['text']['net']['psnr']:.2f} |" in text
    assert "train_tiny.py" in text
    assert (tmp_path / "models" / "tiny_v1_curve.png").is_file()


def test_a_new_run_may_begin_with_weights(settings, tmp_path, held_out):
    first = loop.Trainer(settings, tmp_path / "first", NoiseFootage(), held_out)
    first.run(print_every=0.0)
    path = export(first, tmp_path / "models", "train_tiny.py")
    second = loop.Trainer(settings, tmp_path / "second", NoiseFootage(), held_out, start=path)
    for name, value in load_file(path).items():
        assert torch.equal(second.net.state_dict()[name], value.float())
        assert torch.equal(second.average.state[name], value.float())
    assert second.step == 0
    second.run(print_every=0.0)
    export(second, tmp_path / "again", "train_tiny.py")
    assert "- began with: tiny_v1.safetensors, sha256 " in (tmp_path / "again" / "tiny_v1.md").read_text()


def test_clock_leaves_interruptions_out():
    now = [0.0]
    clock = Clock(seconds=10.0, now=lambda: now[0])
    now[0] = 2.0
    assert clock.tick() == 12.0
    now[0] = 600.0  # stopped for ten minutes
    assert clock.tick() == 17.0
    now[0] = 700.0
    clock.skip()
    now[0] = 701.0
    assert clock.tick() == 18.0


def test_learning_rate():
    assert learning_rate(0.03, 1.0, warm_up=0.03) == pytest.approx(1.0)
    assert learning_rate(0.015, 1.0, warm_up=0.03) == pytest.approx(0.5)
    assert learning_rate(0.0, 1.0) > 0
    assert learning_rate(1.0, 1.0, floor=0.01) == pytest.approx(0.01)
    assert learning_rate(7.0, 1.0) == learning_rate(1.0, 1.0)
    assert learning_rate(0.515, 1.0, warm_up=0.03, floor=0.0) == pytest.approx(0.5)


def test_average_by_hand():
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    average = Average(net, 0.5)
    nn.init.ones_(net.weight)
    average.update(net)  # decay is 1/11 at first, not 0.5
    assert average.state["weight"].item() == pytest.approx(10 / 11)
    average.update(net)
    assert average.state["weight"].item() == pytest.approx(1 - 1 / 11 * 2 / 12)


@pytest.mark.parametrize("fast", [True, False])
def test_half_precision_only_where_it_is_fast(monkeypatch, fast):
    monkeypatch.setattr(loop, "has_fast_bf16", lambda device: fast)
    with loop.autocast(torch.device("cpu"), "bf16"):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == (torch.bfloat16 if fast else torch.float32)


def test_unknown_precision():
    with pytest.raises(ValueError, match="autocast: half must be no, bf16 or fp16, got int8"):
        loop.autocast(torch.device("cpu"), "int8")
