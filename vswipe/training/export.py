"""Weights and card of a finished run: `models/<name>_v1.safetensors` (fp16) and `models/<name>_v1.md`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from vswipe import nets
from vswipe.nets import weights

from .run import copy_curve

if TYPE_CHECKING:
    from .loop import Trainer

VERSION = 1


def export(trainer: Trainer, folder: Path, script: str) -> Path:
    """Write the averaged weights and their card; the card's numbers are measured with the file that was written.

    Args:
        trainer: of the run, resumed; needs validation windows.
        folder: where the files go.
        script: file name of the training script.

    Returns:
        The weight file.

    Raises:
        ValueError: the run has not made a step, or has nothing to be measured on.
    """
    name = trainer.settings.name
    if trainer.step == 0 or trainer.validation is None:
        raise ValueError(f"export: {name} must have been trained and have validation windows, got neither or one")
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}_v{VERSION}"
    path = folder / f"{stem}.safetensors"
    net = trainer.averaged()
    made = torch.load(trainer.checkpoint, weights_only=True)
    weights.save(net, path, settings=made["settings"])
    copy_curve(trainer.folder, path)

    written = nets.create(name, weights=path).to(trainer.device)
    measured = trainer.validation.measure(lambda batch: trainer.call(written, batch), trainer.device)
    (folder / f"{stem}.md").write_text(card(trainer, made, measured, path, script))
    return path


def card(trainer: Trainer, made: dict[str, Any], measured: dict[str, Any], path: Path, script: str) -> str:
    """What a user must know of a weight file, as Markdown."""
    from .validation import table

    settings = made["settings"]
    count = sum(parameter.numel() for parameter in trainer.net.parameters())
    windows = max((entry.get("windows", 0) for entry in made["curve"]), default=0)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    footage = trainer.footage
    each = {name: len(windows) for name, windows in trainer.validation.groups.items()} if trainer.validation else {}
    given: Any = trainer.net.options
    options = ", ".join(f"{key}={value}" for key, value in given.items())
    lines = [
        f"# {path.stem}", "",
        f"Weights of the network `{settings['name']}` ({options}; {count:,} parameters), fp16, "
        f"{path.stat().st_size / 1e6:.2f} MB. Licence: that of the project.", "",
        f"- sha256: `{digest}`",
        f"- script: `scripts/{script}`, revision {', '.join(made['revisions'])}",
        f"- data: {footage.num_clips} clips and {footage.num_pictures} photographs of the training part "
        f"(`vswipe.training.clips`, `vswipe.training.pictures`); "
        f"marks drawn over them, holes of the kinds {', '.join(settings['shape']['kinds'])}",
        *([f"- began with: {made['began']}"] if made.get("began") else []),
        f"- trained: {made['seconds'] / 60:.1f} minutes on {made['device']} ({made['cpu_seconds'] / 60:.1f} of "
        f"processor time), {made['step']} steps, {made['shown']} windows of {settings['shape']['num_frames']} frames "
        f"of {settings['shape']['size']}x{settings['shape']['size']} pixels"
        + (f"; {windows} different windows in the last part of the run" if windows else ""),
        f"- curve: `{path.stem}_curve.json`, `{path.stem}_curve.png`", "",
        "## Validation", "",
        "Windows of clips and photographs that were not trained on "
        f"({', '.join(f'{n} {k}' for k, n in each.items())}),",
        "128x128 pixels, 4 frames. Inside the hole; mean over windows, PSNR of each cut at 50 dB. `base`: the",
        "diffusion fill that the network gets, `telea`: `cv2.inpaint`. Cast and E_warp in 8-bit levels. Measured with",
        "the file itself, in fp32.", "",
        table(measured), "",
        "## Settings", "", "```json", json.dumps(settings, indent=1), "```", "",
    ]  # fmt: skip
    return "\n".join(lines)
