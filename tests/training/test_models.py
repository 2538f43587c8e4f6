"""Every shipped weight file: small, described, and what its card says it is."""

import hashlib
from pathlib import Path

import pytest
import torch

from vswipe import nets
from vswipe.nets.registry import REGISTRY

MODELS = Path(__file__).resolve().parents[2] / "models"
OURS = sorted(name for name, entry in REGISTRY.items() if (MODELS / entry.weights).is_file())
FILLING = [name for name in OURS if name != "wipe"]  # that one corrects weights instead: tests/nets/test_wipe.py


@pytest.mark.parametrize("name", OURS)
def test_file_card_and_registry_agree(name):
    entry = REGISTRY[name]
    path = MODELS / entry.weights
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size <= 40e6
    assert entry.sha256 == digest
    assert digest in path.with_suffix(".md").read_text()
    assert digest in (MODELS / "README.md").read_text()


@pytest.mark.parametrize("name", FILLING)
def test_trained_weights_change_the_base_fill_inside_the_hole_only(name):
    net = nets.create(name, weights="auto")
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(1, 2, 3, 64, 64, generator=generator)
    masks = torch.zeros(1, 2, 1, 64, 64)
    masks[..., 24:40, 16:48] = 1
    base = torch.where(masks > 0, frames.mean(), frames)
    with torch.inference_mode():
        out = net(frames, masks, base if net.spec.base else None)
    inside = masks.expand_as(out) > 0
    assert torch.isfinite(out).all()
    assert torch.equal(out[~inside], frames[~inside])
    assert (out - base)[inside].abs().mean() > 1e-4
