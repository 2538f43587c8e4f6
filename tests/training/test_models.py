"""Every shipped weight file: small, described, and what its card says it is."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from vswipe import nets
from vswipe.nets.registry import REGISTRY

MODELS = Path(__file__).resolve().parents[2] / "models"
OURS = sorted(name for name, entry in REGISTRY.items() if (MODELS / entry.weights).is_file())
# Others than these: wipe corrects weights (tests/nets/test_wipe.py), flow motion, autosttn is told no hole.
FILLING = [name for name in OURS if name not in ("wipe", "flow", "autosttn")]


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


def test_the_mask_free_network_takes_text_away_and_leaves_the_rest():
    pytest.importorskip("PIL")
    from PIL import Image, ImageDraw, ImageFont

    size = (192, 128)
    shade = np.linspace(60, 150, size[0])[None].repeat(size[1], 0)
    clean = np.stack([shade, shade.clip(80, 130), 200 - shade], -1).astype(np.uint8)
    picture = Image.fromarray(clean)
    given = {"font": ImageFont.load_default(26), "fill": "white", "stroke_width": 2, "stroke_fill": "black"}
    ImageDraw.Draw(picture).text((12, 84), "Nobody knew", **given)
    drawn = np.asarray(picture)
    frames = torch.from_numpy(drawn.copy()).permute(2, 0, 1)[None, None].float().expand(1, 3, -1, -1, -1) / 255
    with torch.inference_mode():
        result = nets.create("autosttn", weights="auto")(frames)[0, 1].permute(1, 2, 0).numpy() * 255
    text = (drawn != clean).any(-1)
    before, after = (np.abs(shown.astype(float) - clean).mean(-1) for shown in (drawn, result))
    assert after[text].mean() < 0.2 * before[text].mean()
    assert after[: size[1] // 2].mean() < 1.5
