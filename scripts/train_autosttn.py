"""Train auto-STTN, which takes no mask: `models/autosttn_v1.safetensors`.

    python scripts/train_autosttn.py --run runs/autosttn --minutes 30      # goes on where it was
    python scripts/train_autosttn.py --run runs/autosttn --measure         # validation table
    python scripts/train_autosttn.py --run runs/autosttn --export models
    python scripts/train_autosttn.py --weights models/autosttn_v1.safetensors    # validation table of a file
    python scripts/train_autosttn.py --pack train.pack --device cuda --workers 16 --width 1 --batch 32 --half bf16

The clips come from $VSWIPE_DATA, else from ../shared/data.
It is told no mask: in its validation table "base" is the fill of somebody who knows it.
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
    name="autosttn",
    options={"own": True, "width": 0.25, "depth": 4},
    shape=WindowShape(size=128, num_frames=3, kinds=("text",), shares=(1.0,)),
    # It must find the text itself: the surroundings count, and an edit that comes and goes is a mistake (logo loss).
    weights=Weights(hole=1.0, valid=1.0, gradient=0.3, logo=1.0),
    batch=2,
    pool=96,
    peak_rate=2e-3,
)

if __name__ == "__main__":
    raise SystemExit(main(SETTINGS, __doc__))
