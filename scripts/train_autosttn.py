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
    # Two frames: what marks look like needs many windows rather than long ones.
    shape=WindowShape(size=128, num_frames=2, kinds=("text", "logo"), shares=(0.5, 0.5), flow=False),
    # It must find the mark itself: it is told where it was (perception), its surroundings count, and an edit that comes
    # and goes where the mark does not is a mistake (logo).
    weights=Weights(hole=1.0, valid=0.3, gradient=0.3, logo=0.5, perception=1.0),
    batch=2,
    pool=96,
    peak_rate=2e-3,
    slower={"transformer.": 0.1},  # see train_sttn.py
)

if __name__ == "__main__":
    raise SystemExit(main(SETTINGS, __doc__))
