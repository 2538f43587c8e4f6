"""Train the Onion-Peel Network: `models/opn_v1.safetensors`.

    python scripts/train_opn.py --run runs/opn --minutes 30      # goes on where it was
    python scripts/train_opn.py --run runs/opn --measure         # validation table
    python scripts/train_opn.py --run runs/opn --export models
    python scripts/train_opn.py --weights models/opn_v1.safetensors    # validation table of a file
    python scripts/train_opn.py --pack train.pack --device cuda --workers 16 --width 1 --batch 32 --half bf16

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
    name="opn",
    options={"own": True, "width": 0.25},
    shape=WindowShape(size=96, num_frames=3, shares=(0.6, 0.34, 0.03, 0.03)),
    weights=Weights(hole=1.0, valid=0.0, gradient=0.3, temporal=0.1),
    batch=2,
    pool=96,
    peak_rate=2.5e-3,
)

if __name__ == "__main__":
    raise SystemExit(main(SETTINGS, __doc__))
