"""Train RNoT, the region-normalised memory network: `models/rnot_v1.safetensors`.

    python scripts/train_rnot.py --run runs/rnot --minutes 30      # goes on where it was
    python scripts/train_rnot.py --run runs/rnot --measure         # validation table
    python scripts/train_rnot.py --run runs/rnot --export models
    python scripts/train_rnot.py --weights models/rnot_v1.safetensors    # validation table of a file
    python scripts/train_rnot.py --pack train.pack --device cuda --workers 16 --width 1 --batch 32 --half bf16

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
    name="rnot",
    options={"own": True, "width": 0.25, "depth": 4},
    shape=WindowShape(size=96, num_frames=3, shares=(0.6, 0.34, 0.03, 0.03)),
    # The temporal term works against jitter, the known fault of the architecture: frames are filled one by one.
    weights=Weights(hole=1.0, valid=0.0, gradient=0.3, temporal=0.1),
    batch=2,
    pool=192,
    peak_rate=2.5e-3,
)

if __name__ == "__main__":
    raise SystemExit(main(SETTINGS, __doc__))
