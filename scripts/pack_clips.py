"""Pack training data into one file of at most 55 MiB, for a machine that has only torch, NumPy and OpenCV.

    python scripts/pack_clips.py train.pack
    python scripts/train_rnot.py --pack train.pack ...

Clips are shortened to 48 frames and scaled to 270 lines, photographs to 448 pixels, and coded again; both coarser
until they fit. Text and logos are drawn here, where the fonts are. The file holds footage of others: it is not to be
published.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout that is not installed

from vswipe.training.pack import MAX_BYTES, PackSettings, write_pack


def main() -> int:
    """Parse, pack; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--max-mib", type=float, default=MAX_BYTES / (1 << 20))
    parser.add_argument("--rate-factor", type=int, default=PackSettings.rate_factor, help="of x264, to begin with")
    args = parser.parse_args()
    settings = PackSettings(rate_factor=args.rate_factor)
    for _ in range(6):
        size = write_pack(args.out, settings, note=lambda text: print(text, file=sys.stderr))
        print(f"{args.out}: {size / (1 << 20):.1f} MiB at rate factor {settings.rate_factor}")
        if size <= args.max_mib * (1 << 20):
            return 0
        settings = settings.coarser()
    args.out.unlink()
    print("pack_clips: did not fit", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
