"""Weight files: every published layout loads strictly; damaged, wrong and hostile ones are refused, nothing runs."""

import hashlib
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vswipe.nets import REGISTRY, create
from vswipe.nets import weights as module
from vswipe.nets.registry import Entry
from vswipe.nets.weights import save


def random_state(name: str) -> OrderedDict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    state = create(name).state_dict()
    return OrderedDict((k, torch.rand(v.shape, generator=generator) * 0.1) for k, v in state.items())


def published(name: str) -> Any:
    """Content of a file of the published layout."""
    state = random_state(name)
    if name in ("opn", "tcn"):
        return OrderedDict((f"module.{k}", v) for k, v in state.items())
    if name == "rnnet":
        content = OrderedDict((f"generator.module.{k}", v) for k, v in state.items())
        content["discriminator.module.features.0.weight_orig"] = torch.zeros(3)
        content["adversarial_loss.real_label"] = torch.tensor(1.0)
        return content
    return {"netG": state}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("opn", "OPN.pth"),
        ("tcn", "TCN.pth"),
        ("rnnet", "x_gen.pth"),
        ("sttn", "sttn.pth"),
        ("autosttn", "detext_trial.pth"),
        ("autosttn", "infer_model.pth"),
    ],
)
def test_published_layouts_load(tmp_path: Path, name: str, file: str, legacy: bool) -> None:
    content = published(name)
    torch.save(content, tmp_path / file, _use_new_zipfile_serialization=not legacy)
    net = create(name, tmp_path / file)
    for key, value in random_state(name).items():
        assert torch.equal(net.state_dict()[key], value), key
    assert not net.training


def test_published_key_names() -> None:
    """A sample of names and shapes as they are in the published files."""
    opn, tcn = create("opn").state_dict(), create("tcn").state_dict()
    assert (len(opn), len(tcn)) == (70, 82)
    assert opn["Encoder.conv12.input_conv.weight"].shape == (64, 5, 5, 5)
    assert opn["Decoder.conv21.gating_conv.bias"].shape == (3,)
    assert opn["mean3d"].numel() == 3
    assert tcn["GRU.convIH.weight"].shape == (768, 256, 3, 3)
    sttn = create("sttn").state_dict()
    assert set(sttn) == set(create("autosttn").state_dict())
    assert sttn["transformer.7.attention.output_linear.0.weight"].shape == (256, 256, 3, 3)
    assert sttn["transformer.0.attention.query_embedding.weight"].shape == (256, 256, 1, 1)
    assert sttn["transformer.3.feed_forward.conv.2.bias"].shape == (256,)
    assert sttn["decoder.4.conv.weight"].shape == (64, 64, 3, 3)
    rnnet = create("rnnet").state_dict()
    assert rnnet["middle.7.conv_block.5.weight"].shape == (256, 256, 3, 3)
    assert rnnet["middle.0.conv_block.2.sa.conv1.weight"].shape == (1, 2, 7, 7)
    assert rnnet["decoder.9.weight"].shape == (3, 64, 7, 7)
    assert rnnet["encoder_in3.background_beta"].shape == (256,)


def test_constants_may_have_another_shape(tmp_path: Path) -> None:
    content = published("opn")
    content["module.mean3d"] = content["module.mean3d"].flatten()
    torch.save(content, tmp_path / "OPN.pth")
    create("opn", tmp_path / "OPN.pth")


def test_our_own_file_rebuilds_the_network(tmp_path: Path) -> None:
    net = create("rnot", own=True, width=0.25, depth=2)
    path = save(net, tmp_path / "rnot.safetensors", settings={"steps": 3})
    again = create("rnot", path)
    assert again.options == net.options
    for key, value in net.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, atol=1e-3, rtol=1e-3)
        assert again.state_dict()[key].dtype == torch.float32
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(ValueError, match=r"rnot\.safetensors was trained with width=0\.25, got width=1"):
        create("rnot", path, width=1)
    with pytest.raises(ValueError, match="must hold opn, got rnot"):
        create("opn", path)
    with pytest.raises(ValueError, match=r"save: path must end in \.safetensors"):
        save(net, tmp_path / "rnot.pth")


def test_foreign_safetensors_load(tmp_path: Path) -> None:
    save_file({f"module.{k}": v for k, v in random_state("opn").items()}, str(tmp_path / "opn.safetensors"))
    create("opn", tmp_path / "opn.safetensors")


def test_auto_finds_and_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "places", lambda: [tmp_path / "a", tmp_path / "b"])
    monkeypatch.setitem(REGISTRY, "opn", Entry("opn:OPN", "opn_v1.safetensors", "", ("OPN.pth",)))
    with pytest.raises(ValueError, match=r"^create: weights must be the path of a file for opn \(OPN\.pth or a file "
                       r"trained with vswipe\), or opn_v1\.safetensors must be in \$VSWIPE_MODELS; got neither, and "
                       r"none in .*a, .*b$"):  # fmt: skip
        create("opn", "auto")
    (tmp_path / "b").mkdir()
    path = save(create("opn", width=0.25), tmp_path / "b" / "opn_v1.safetensors")
    assert create("opn", "auto").options["width"] == 0.25
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(REGISTRY, "opn", Entry("opn:OPN", "opn_v1.safetensors", digest))
    create("opn", "auto")
    monkeypatch.setitem(REGISTRY, "opn", Entry("opn:OPN", "opn_v1.safetensors", "0" * 64))
    with pytest.raises(ValueError, match="must have the sha256 0000"):
        create("opn", "auto")


def test_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSWIPE_MODELS", "/somewhere")
    assert [p.name for p in module.places()] == ["somewhere", "models", "models"]
    monkeypatch.delenv("VSWIPE_MODELS")
    assert len(module.places()) == 2


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_truncated_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"opn.{suffix}"
    if suffix == "pth":
        torch.save(published("opn"), path)
    else:
        save(create("opn", width=0.25), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"opn\.{suffix} is not a whole"):
        create("opn", path)


@pytest.mark.parametrize("content", [b"", b"not a weight file", b"PK\x03\x04" + bytes(100)])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_rubbish(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.{suffix} is not a whole"):
        create("opn", path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"create: weights must be a file, got .*nowhere"):
        create("opn", tmp_path / "nowhere.pth")


def test_wrong_keys_are_named(tmp_path: Path) -> None:
    path = tmp_path / "OPN.pth"
    content = published("opn")
    torch.save({k: v for k, v in content.items() if "conv3d.gating" not in k}, path)
    with pytest.raises(
        ValueError, match=r"OPN\.pth must hold Encoder\.conv3d\.gating_conv\.weight \(128, 128, 3, 3\), got no"
    ):
        create("opn", path)
    torch.save({**content, "module.Encoder.key3.input_conv.bias": torch.zeros(7)}, path)
    with pytest.raises(ValueError, match=r"must hold Encoder\.key3\.input_conv\.bias \(128,\), got \(7,\)"):
        create("opn", path)
    torch.save({**content, "module.Encoder.extra": torch.zeros(7)}, path)
    with pytest.raises(ValueError, match=r"must hold the 70 keys of the network, got also Encoder\.extra"):
        create("opn", path)
    torch.save({**content, "module.Encoder.key3.input_conv.bias": torch.full((128,), torch.nan)}, path)
    with pytest.raises(ValueError, match=r"finite numbers, got others in Encoder\.key3\.input_conv\.bias"):
        create("opn", path)
    torch.save(published("sttn"), path)
    with pytest.raises(ValueError, match="must hold mean "):
        create("opn", path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="must hold a dictionary of tensors, got list"):
        create("opn", path)
    torch.save({"module.mean": 3}, path)
    with pytest.raises(ValueError, match=r"must hold tensors by name, got int at module\.mean"):
        create("opn", path)


class Hostile:
    """Runs a command when unpickled."""

    def __init__(self, path: Path) -> None:
        self.command = f"touch {path}"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("name", ["OPN.pth", "OPN.pt", "OPN"])
def test_hostile_pickle_is_not_executed(tmp_path: Path, form: str, name: str) -> None:
    trace, path = tmp_path / "executed", tmp_path / name
    content = {**published("opn"), "module.extra": Hostile(trace)}
    if form == "pickle":
        path.write_bytes(pickle.dumps({"a": Hostile(trace)}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ValueError, match="holds more than tensors and was not executed"):
        create("opn", path)
    assert not trace.exists()


def test_hostile_header(tmp_path: Path) -> None:
    path = tmp_path / "opn.safetensors"
    header = {"format": "vswipe", "version": "1", "name": "opn"}
    for options, message in (
        ('{"width": 1e9}', "width must be above 0"),
        ('{"width": "x"}', "width must be above 0"),
        ('{"__class__": 1}', "opn has the options"),
        ("[]", "damaged header"),
        ("{", "damaged header"),
    ):
        save_file({"mean": torch.zeros(3)}, str(path), metadata={**header, "options": options})
        with pytest.raises(ValueError, match=message):
            create("opn", path)
    save_file({"mean": torch.zeros(3)}, str(path), metadata={**header, "version": "2", "options": "{}"})
    with pytest.raises(ValueError, match="must be of version 1, got 2"):
        create("opn", path)
