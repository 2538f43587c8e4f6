"""`vswipe models`, `vswipe doctor`, `vswipe completion`: about the installation."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")


def add_models(commands: Any) -> None:
    """The parser."""
    parser = commands.add_parser(
        "models",
        help="which models are installed",
        description="List the models: name, size, where the weights are, their SHA-256 and what is known of them.",
        epilog="examples:\n  vswipe models\n  vswipe models --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one model per line on stdout, for programs")
    parser.set_defaults(run=_models)


def _models(arguments: argparse.Namespace) -> int:
    from vswipe.jobs.models import list_models

    for model in list_models():
        if arguments.json:
            print(json.dumps({
                "name": model.name, "installed": bool(model.file) or not model.needs, "file": str(model.file or ""),
                "needs": model.needs, "bytes": model.size, "sha256": model.sha256, "card": model.card,
                "page": str(model.page or ""), "genuine": model.genuine, "auto": model.auto,
            }))  # fmt: skip
            continue
        if model.file:
            print(f"{model.name:<12} {model.size / 1e6:8.2f} MB  {model.file}\n{'':<12} sha256 {model.sha256}")
            if model.genuine is not None:
                print(f"{'':<12} {'the registered hash' if model.genuine else 'NOT the registered hash'}")
            if model.page:
                print(f"{'':<12} {model.page}")
            if model.card:
                print(f"{'':<12} {model.card}")
        elif model.needs:
            print(f"{model.name:<12} not installed ({model.needs})")
        else:
            print(f"{model.name:<12} {model.card}")
        if model.auto:
            print(f'{"":<12} what model="auto" means here')
    return 0


def add_doctor(commands: Any) -> None:
    """The parser."""
    parser = commands.add_parser(
        "doctor",
        help="is everything there, and does it work?",
        description="Versions, plugins, devices, ffmpeg, and a short self test. Exit code 1 when something is amiss.",
        epilog="example:\n  vswipe doctor",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from vswipe.jobs.doctor import examine

    well = True
    for name, fine, text in examine():
        well &= fine
        print(f"{'ok  ' if fine else 'FAIL'} {name}: {text}", flush=True)
    return 0 if well else 1


def add_completion(commands: Any) -> None:
    """The parser."""
    parser = commands.add_parser(
        "completion",
        help="completion of commands and options for a shell",
        description="Print a completion script for a shell.",
        epilog="examples:\n  vswipe completion bash > ~/.local/share/bash-completion/completions/vswipe\n"
        "  vswipe completion zsh > ~/.zfunc/_vswipe",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS), help="the shell")
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    from . import build_parser

    sys.stdout.write(shtab.complete(build_parser(), arguments.shell))
    return 0
