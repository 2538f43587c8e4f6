"""The networks by name: where the code is, and what the installed weights are called."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

_MAX_WIDTH = 4
_MAX_DEPTH = 64
_MAX_BOTTOM = 512


@dataclass(frozen=True)
class Entry:
    """One network.

    Args:
        target: "module:Class" inside `vswipe.nets`.
        weights: file name of the installed weights, looked for by `weights="auto"`.
        sha256: of that file; empty = not checked.
        published: names of the files that others published for it.
    """

    target: str
    weights: str
    sha256: str = ""
    published: tuple[str, ...] = ()


REGISTRY: dict[str, Entry] = {
    "opn": Entry(
        "opn:OPN",
        weights="opn_v1.safetensors",
        sha256="25fa4a389b9affc982202d1f1cb95478c78e80f47b4124a7baa82ba02419c2c3",
        published=("OPN.pth",),
    ),
    "tcn": Entry("tcn:TCN", weights="tcn_v1.safetensors", published=("TCN.pth",)),
    "rnot": Entry(
        "rnot:RNoT",
        weights="rnot_v1.safetensors",
        sha256="79fdbb123b248118b7917151650938cb6ec962620fdf5ede6cb7b9cc520bd128",
    ),
    "rnnet": Entry("rnnet:RNNet", weights="rnnet_v1.safetensors", published=("*_gen.pth",)),
    "sttn": Entry(
        "sttn:STTN",
        weights="sttn_v1.safetensors",
        sha256="8b3ffba99d3e0567df18f42ce4821572173d69b379458f9dd403e6e51ded8df6",
        published=("sttn.pth",),
    ),
    "autosttn": Entry(
        "autosttn:AutoSTTN",
        weights="autosttn_v1.safetensors",
        sha256="c652e64f961fd4c913bcd2e93a443feb7537ea036a1e6e6a7872ba6c515379b1",
        published=("detext_trial.pth", "infer_model.pth"),
    ),
    "flow": Entry(
        "flow:Flow",
        weights="flow_v1.safetensors",
        sha256="f2a9cd4082f572d57925372095a66497a7743a9d51278682ab686dfb51fe6aba",
    ),
    "wipe": Entry(
        "wipe:Wipe",
        weights="wipe_v1.safetensors",
        sha256="baa521d73353c0303733e089827126c3fd027d4d8e8e101d538c444f890ddc15",
    ),
}


def entry(name: str) -> Entry:
    """The registry's entry.

    Raises:
        ValueError: there is no network of this name.
    """
    if name not in REGISTRY:
        raise ValueError(f"create: name must be one of {', '.join(sorted(REGISTRY))}, got {name}")
    return REGISTRY[name]


def build(name: str, options: dict[str, Any]) -> nn.Module:
    """An untrained network.

    Raises:
        ValueError: no such network, or an option it does not have.
    """
    module, _, class_name = entry(name).target.partition(":")
    target = getattr(importlib.import_module(f"vswipe.nets.{module}"), class_name)
    known = [p for p in inspect.signature(target).parameters]
    for option in options:
        if option not in known:
            raise ValueError(f"create: {name} has the options {', '.join(known) or 'none'}, got {option}")
    for option, value in options.items():
        _check_option(option, value)
    return target(**options)


def _check_option(option: str, value: Any) -> None:
    """Options also come from the header of a file: a wrong one must not ask for all the memory there is."""
    if option in ("own", "generate") and not isinstance(value, bool):
        raise ValueError(f"create: {option} must be a bool, got {value!r}")
    if option == "width" and not (isinstance(value, (int, float)) and 0 < value <= _MAX_WIDTH):
        raise ValueError(f"create: width must be above 0 and at most {_MAX_WIDTH}, got {value!r}")
    if option == "bottom" and not (isinstance(value, int) and 0 < value <= _MAX_BOTTOM):
        raise ValueError(f"create: bottom must be 1 to {_MAX_BOTTOM}, got {value!r}")
    if option == "depth" and not (isinstance(value, int) and 0 < value <= _MAX_DEPTH):
        raise ValueError(f"create: depth must be 1 to {_MAX_DEPTH}, got {value!r}")


def create(name: str, weights: str | Path | None = None, **options: Any) -> nn.Module:
    """A network, in evaluation mode.

    Args:
        name: "opn", "tcn", "rnot", "rnnet", "sttn" or "autosttn".
        weights: None: untrained. A path: a file of our own (safetensors), which also says the options the network was
            trained with, or a published checkpoint. "auto": the installed file, looked for in $VSWIPE_MODELS, the
            installed package's `models` and the checkout's `models/`.
        options: of the network, e.g. `own=True, width=0.5, depth=4`. The defaults are the published network.

    Returns:
        A module with `spec: Spec` and `options: dict`, called as `net(frames, masks, base=None)`: frames and base
        (B, T, 3, H, W) RGB 0..1, masks (B, T, 1, H, W) with 1 = hole. It gives all T frames, (B, T, 3, H, W), 0..1.
        Outside the hole they are the input itself, except from a network whose `spec.mask_free` is set.

    Raises:
        ValueError: no such network or option; the file is missing, damaged or does not fit. Nothing in it is executed.
    """
    entry(name)
    if weights is None:
        return build(name, options).eval()
    from vswipe.nets.weights import load  # reading files is not needed for an untrained network

    return load(name, weights, options).eval()
