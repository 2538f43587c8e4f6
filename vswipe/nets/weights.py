"""Weight files: where they are looked for, what may be in them, and how our own are written.

Our files are safetensors with a header that says network and options. Published checkpoints are PyTorch files; they are
read by `torch.load(weights_only=True)`, which builds tensors and plain containers only and executes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vswipe.nets.registry import build, entry

FORMAT = "vswipe"
VERSION = "1"
SUFFIX = ".safetensors"

_WRAPPERS = ("netG", "generator", "state_dict", "model", "params")  # {"netG": state_dict, ...}
_PREFIXES = ("generator.", "module.")  # a training wrapper's part, DataParallel
_OTHERS = ("discriminator.", "adversarial_loss.", "netD.")  # parts of a training wrapper that no network here has


def places() -> list[Path]:
    """Folders that installed weights are looked for in, in this order."""
    package = Path(__file__).resolve().parent.parent
    chosen = os.environ.get("VSWIPE_MODELS")
    return ([Path(chosen)] if chosen else []) + [package / "models", package.parent / "models"]


def find(name: str) -> Path | None:
    """The installed weights of a network, or None."""
    file = entry(name).weights
    return next((p / file for p in places() if (p / file).is_file()), None)


def load(name: str, weights: str | Path, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A network with weights from a file.

    Args:
        name: registry name.
        weights: "auto" or a path.
        options: must agree with those that a file of our own states.

    Raises:
        ValueError: see `create`.
    """
    options = dict(options or {})
    path = Path(weights)
    if weights == "auto":
        found = find(name)
        if found is None:
            raise ValueError(_what_to_give(name))
        path = found
        _check_hash(path, entry(name).sha256)
    if not path.is_file():
        raise ValueError(f"create: weights must be a file, got {path}")
    state, header = read(path)
    if header.get("format") == FORMAT:
        options = _stated_options(path, name, header, options)
    net = build(name, options)
    _fill(net, state, path)
    return net


def _what_to_give(name: str) -> str:
    """The line for whoever asks for installed weights that are not there."""
    known, where = entry(name), ", ".join(str(p) for p in places())
    files = " or ".join((*known.published, "a file trained with vswipe"))
    return (f"create: weights must be the path of a file for {name} ({files}), or {known.weights} must be in "
            f"$VSWIPE_MODELS; got neither, and none in {where}")  # fmt: skip


def save(net: nn.Module, path: str | Path, half: bool = True, settings: Mapping[str, Any] | None = None) -> Path:
    """Writes a network's weights as one of our files.

    Args:
        net: from `create`; its name and options go into the header.
        path: ends in .safetensors.
        half: store fp16, which costs nothing visible and halves the file.
        settings: of the script that trained it; the header holds the sha256 of their JSON form.

    Returns:
        The path. The file appears at once or not at all.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"save: path must end in {SUFFIX}, got {path}")
    dtype = torch.float16 if half else torch.float32
    state = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()
        for key, value in net.state_dict().items()
    }
    listed = json.dumps(dict(settings or {}), sort_keys=True, default=str)
    spec: Any = net.spec
    header = {
        "format": FORMAT,
        "version": VERSION,
        "name": str(spec.name),
        "options": json.dumps(net.options, sort_keys=True),
        "settings_sha256": hashlib.sha256(listed.encode()).hexdigest(),
    }
    partial = path.with_name(path.name + ".part")
    save_file(state, str(partial), metadata=header)
    os.replace(partial, path)
    return path


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors of a file under the names the network uses, and its header (empty for foreign files).

    Raises:
        ValueError: not a weight file, damaged, or one that would have to execute code.
    """
    if path.suffix == SUFFIX:
        try:
            with safe_open(str(path), framework="pt", device="cpu") as file:
                header = dict(file.metadata() or {})
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        except (SafetensorError, OSError, ValueError) as error:
            raise ValueError(f"create: {path} is not a whole safetensors file ({_first_line(error)})") from error
        return (state if header.get("format") == FORMAT else _unwrap(state, path)), header
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile pickle raises is anybody's guess
        raise ValueError(
            f"create: {path} is not a whole PyTorch weight file, or holds more than tensors and was not executed "
            f"({_first_line(error)})"
        ) from error
    return _unwrap(content, path), {}


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160] if str(error).strip() else ''}"


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict inside whatever a training script put around it, without DataParallel's prefixes."""
    if isinstance(content, Mapping):
        content = next((content[w] for w in _WRAPPERS if isinstance(content.get(w), Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"create: {path} must hold a dictionary of tensors, got {type(content).__name__}")
    state: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ValueError(f"create: {path} must hold tensors by name, got {type(value).__name__} at {key}")
        if key.startswith(_OTHERS):
            continue
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
        state[key] = value
    return state


def _stated_options(path: Path, name: str, header: Mapping[str, str], options: dict[str, Any]) -> dict[str, Any]:
    """Options of the network that a file of our own was made from."""
    if header.get("version") != VERSION:
        raise ValueError(f"create: {path} must be of version {VERSION}, got {header.get('version')}")
    if header.get("name") != name:
        raise ValueError(f"create: {path} must hold {name}, got {header.get('name')}")
    try:
        stated = json.loads(header.get("options", ""))
        if not isinstance(stated, dict):
            raise ValueError("not a dictionary")
    except ValueError as error:
        raise ValueError(f"create: {path} has a damaged header (options: {error})") from error
    for option, value in options.items():
        if option not in stated or stated[option] != value:
            raise ValueError(f"create: {path} was trained with {option}={stated.get(option)}, got {option}={value}")
    return stated


def _check_hash(path: Path, expected: str) -> None:
    if not expected:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ValueError(f"create: {path} must have the sha256 {expected}, got {found}")


def begin_with(net: nn.Module, path: Path) -> None:
    """Loads the weights of a smaller network of the same kind; layers that the file lacks begin at zero, and so do the
    weights for planes that a layer of the file did not see.

    For residual and last layers only, which say nothing so, and for planes that come last: the network does what the
    smaller one did.

    Raises:
        ValueError: the file is missing, damaged, or holds what does not fit.
    """
    if not path.is_file():
        raise ValueError(f"begin_with: weights must be a file, got {path}")
    state, _ = read(path)
    for key, value in net.state_dict().items():
        given = state.setdefault(key, torch.zeros_like(value))
        more = value.shape[1] - given.shape[1] if value.ndim == given.ndim == 4 else 0
        if more > 0:
            state[key] = F.pad(given, (0, 0, 0, 0, 0, more))
    _fill(net, state, path)


def _fill(net: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Loads strictly; constants of three numbers may have any shape."""
    wanted = net.state_dict()
    ready: dict[str, Tensor] = {}
    for key, own in wanted.items():
        if key not in state:
            raise ValueError(f"create: {path} must hold {key} {tuple(own.shape)}, got no such key")
        value = state[key]
        if own.numel() == value.numel() == 3 and own.ndim != value.ndim:
            value = value.reshape(own.shape)
        if value.shape != own.shape:
            raise ValueError(f"create: {path} must hold {key} {tuple(own.shape)}, got {tuple(value.shape)}")
        if not torch.isfinite(value).all():
            raise ValueError(f"create: {path} must hold finite numbers, got others in {key}")
        ready[key] = value.to(own.dtype)
    for key in state:
        if key not in wanted:
            raise ValueError(f"create: {path} must hold the {len(wanted)} keys of the network, got also {key}")
    net.load_state_dict(ready, strict=True)
