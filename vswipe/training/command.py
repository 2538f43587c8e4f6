"""The command line that all training scripts share."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from vswipe import nets

from . import validation
from .export import export
from .footage import NoiseFootage, open_footage
from .loop import Settings, Trainer, call_inpaint, call_mask_free, spec
from .validation import ValidationSet, make_validation


def measure_file(name: str, weights: Path, held_out: ValidationSet) -> dict[str, dict[str, Any]]:
    """Validation table of a weight file."""
    net = nets.create(name, weights=weights)
    call = call_mask_free if spec(net).mask_free else call_inpaint
    return held_out.measure(lambda batch: call(net, batch))


def main(settings: Settings, description: str) -> int:
    """Train as the command line says; returns the exit status.

    Args:
        settings: the script's own; the command line changes some of them.
        description: the script's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of checkpoint and curve; goes on where it was (default: "
                        f"runs/{settings.name})")  # fmt: skip
    parser.add_argument("--pack", type=Path, help="file of scripts/pack_clips.py; without it the data folder is read")
    parser.add_argument("--minutes", type=float, default=settings.minutes, help="budget, over all parts of the run")
    parser.add_argument("--processor-time", action="store_true", help="the budget is of processor time")
    parser.add_argument("--steps", type=int, default=settings.steps, help="stop after so many steps, too (0: no)")
    parser.add_argument("--batch", type=int, default=settings.batch)
    parser.add_argument("--size", type=int, default=settings.shape.size, help="pixels per side of a window")
    parser.add_argument("--frames", type=int, default=settings.shape.num_frames, help="of a window")
    parser.add_argument("--pool", type=int, default=settings.pool, help="windows to choose from")
    parser.add_argument("--reuse", type=int, default=settings.reuse, help="how often a window is shown")
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights that a new run begins with")
    parser.add_argument("--rate", type=float, default=settings.peak_rate, help="largest learning rate")
    parser.add_argument("--seed", type=int, default=settings.seed)
    parser.add_argument("--threads", type=int, default=settings.threads)
    parser.add_argument("--workers", type=int, default=settings.workers, help="processes that make windows")
    parser.add_argument("--device", default=settings.device)
    parser.add_argument("--half", choices=("no", "bf16", "fp16"), default=settings.half, help="mixed precision")
    parser.add_argument("--width", type=float, help="multiplier of the channels")
    parser.add_argument("--depth", type=int, help="blocks in the middle of the network, where it can be chosen")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--smoke", action="store_true", help="a few tiny steps on noise, in a temporary folder")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write weights and card of the run; trains no more")
    parser.add_argument("--measure", action="store_true", help="print the validation table of the run; trains no more")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="print the validation table of a weight file")
    args = parser.parse_args()
    options = dict(settings.options)
    if args.width is not None:
        options["width"] = args.width
    if args.depth is not None:
        options["depth"] = args.depth
    shape = replace(settings.shape, size=args.size, num_frames=args.frames)
    chosen = replace(settings, options=options, shape=shape, pool=args.pool, reuse=args.reuse,
                     minutes=args.minutes, steps=args.steps, batch=args.batch, processor_time=args.processor_time,
                     peak_rate=args.rate, seed=args.seed, threads=args.threads, workers=args.workers,
                     device=args.device, half=args.half, compile=args.compile)  # fmt: skip
    if args.smoke:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(chosen.smoke(), Path(folder), NoiseFootage(), make_validation(NoiseFootage(1), 1, 64, 3))
            trainer.run()
            print(f"{settings.name}: {trainer.step} steps in {trainer.clock.seconds:.1f} s")
        return 0
    run = args.run or Path("runs") / settings.name
    try:
        held_out = make_validation(open_footage("validation", args.pack))
        if args.weights:
            print(validation.table(measure_file(settings.name, args.weights, held_out)))
            return 0
        trainer = Trainer(chosen, run, open_footage("train", args.pack), held_out, start=args.start)
        if args.export:
            export(trainer, args.export, script=Path(sys.argv[0]).name)
        elif args.measure:
            print(validation.table(trainer.measure(held_out)))
        else:
            trainer.run()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
