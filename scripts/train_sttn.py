"""Train the Spatial-Temporal Transformer Network: `models/sttn_v1.safetensors`.

    python scripts/train_sttn.py --run runs/sttn --minutes 30      # goes on where it was
    python scripts/train_sttn.py --run runs/sttn --measure         # validation table
    python scripts/train_sttn.py --run runs/sttn --export models
    python scripts/train_sttn.py --weights models/sttn_v1.safetensors    # validation table of a file
    python scripts/train_sttn.py --pack train.pack --device cuda --workers 16 --width 1 --batch 32 --half bf16

The clips come from $VSWIPE_DATA, else from ../shared/data.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe.training.command import main
from vswipe.training.dataset import WindowShape
from vswipe.training.loop import Settings
from vswipe.training.losses import Weights

# Sized for half an hour of one processor core; a larger width and more frames are for a GPU.
SETTINGS = Settings(
    name="sttn",
    options={"own": True, "width": 0.25, "depth": 4},
    # Patches of 4 x 16 cells of 4 pixels: 64 pixels are one patch, 128 the least in which patches find each other.
    # Two frames: a third one costs half as much again, and shows little that the second does not.
    shape=WindowShape(size=128, num_frames=2, shares=(0.6, 0.34, 0.03, 0.03)),
    weights=Weights(hole=1.0, valid=0.0, gradient=0.3, temporal=0.1),
    batch=2,
    pool=96,
    peak_rate=2e-3,
    slower={"transformer.": 0.1},  # their last layers start small, and without normalisation a full step blows them up
)

if __name__ == "__main__":
    raise SystemExit(main(SETTINGS, __doc__))
