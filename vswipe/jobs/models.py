"""`vswipe models`: which models there are, and what their files are."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

HASH = re.compile(r"[0-9a-f]{64}$")


@dataclass(frozen=True)
class Model:
    """One model.

    Args:
        name: as the filters know it.
        file: its weights; None: it has none, or they are not installed.
        needs: file name of the weights, "" when it needs none.
        size: bytes.
        sha256: of the file.
        card: what `models/README.md` says of it, else what its header says.
        page: the page about it, None when there is none.
        genuine: the hash is the registered one; None: none is registered.
        auto: it is the one that model="auto" stands for.
    """

    name: str
    file: Path | None
    needs: str
    size: int
    sha256: str
    card: str
    page: Path | None = None
    genuine: bool | None = None
    auto: bool = False


def list_models() -> Iterator[Model]:
    """All models by name: the one without a network first, then networks, then files nobody claims."""
    from vswipe.engine.settings import COPY, best_model

    chosen = best_model()
    text = "no network: pixels from other frames, the rest from around"
    yield Model(COPY, None, "", 0, "", text, auto=chosen == COPY)
    claimed = set()
    for name, file, digest in _registered():
        claimed.add(file)
        found = next((folder / file for folder in _places() if (folder / file).is_file()), None)
        model = _describe(name, found, file, digest) if found else Model(name, None, file, 0, "", "")
        yield replace(model, auto=name == chosen)
    for folder in _places():
        for path in sorted(folder.glob("*.safetensors")):
            if path.name not in claimed:
                claimed.add(path.name)
                yield _describe(path.stem, path, path.name, "")


def _registered() -> list[tuple[str, str, str]]:
    """(name, file, hash) of the networks this version knows."""
    from vswipe.nets.registry import REGISTRY
    from vswipe.nets.textseg import WEIGHTS

    names = [(name, entry.weights, entry.sha256) for name, entry in sorted(REGISTRY.items())]
    return names if "textseg" in REGISTRY else [*names, ("textseg", WEIGHTS, "")]


def _places() -> list[Path]:
    from vswipe.nets.weights import places

    return [folder for folder in places() if folder.is_dir()]


def _describe(name: str, path: Path, needs: str, expected: str) -> Model:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    found, page = digest.hexdigest(), path.with_suffix(".md")
    return Model(
        name,
        path,
        needs,
        path.stat().st_size,
        found,
        _card(path),
        page if page.is_file() else None,
        found == expected if expected else None,
    )


def _card(path: Path) -> str:
    """The row of the file in the README beside it, else the metadata in its header."""
    readme = path.with_name("README.md")
    if readme.is_file():
        for line in readme.read_text(encoding="utf-8").splitlines():
            if path.name in line and line.lstrip().startswith("|"):
                cells = [re.sub(r"[`*]", "", cell).strip() for cell in line.strip().strip("|").split("|")]
                return "; ".join(
                    cell
                    for cell in cells
                    if cell and path.name not in cell and len(cell) < 200 and not HASH.match(cell)
                )
    return "; ".join(f"{key} {value}" for key, value in _header(path).items() if len(value) < 80)


def _header(path: Path) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            values = json.loads(file.read(min(length, 1 << 20))).get("__metadata__", {})
    except (OSError, ValueError, struct.error):
        return {}
    return {str(key): str(value) for key, value in values.items()}
