"""Type stubs with `core.wipe`, so that editors complete it: `python -m vswipe.stubs [FOLDER]`.

VapourSynth's own stubs cannot know which plugins are installed. This writes FOLDER/vapoursynth/__init__.pyi (FOLDER is
`typings` by default, where Pyright and Pylance look without being told; for mypy: `mypy_path = "typings"`): a copy of
the installed stubs in which cores and clips have the namespace, e.g. `core.wipe.Inpaint(clip, mask)` and
`clip.wipe.Inpaint(mask)`, with the documentation of the Python functions. To be run again after an update.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import re
import textwrap
from pathlib import Path

import vswipe

_TYPES = {"vnode": "VideoNode", "int": "int", "float": "float", "data": "str"}


def parameters(signature: str, bound: bool = False) -> str:
    """The Python parameters of a plugin function: "clip:vnode;radius:int:opt;" -> "clip: VideoNode, radius: ...".

    Args:
        signature: as VapourSynth gives it.
        bound: whether the first clip is the one the function is called on.
    """
    result = ["self"]
    for argument in list(filter(None, signature.split(";")))[int(bound) :]:
        name, kind, *flags = argument.split(":")
        python = _TYPES[kind.removesuffix("[]")]
        if kind.endswith("[]"):
            python = f"{python} | Sequence[{python}]"
        result.append(f"{name}: {python} | None = None" if "opt" in flags else f"{name}: {python}")
    return ", ".join(result)


def plugin_class(name: str, signatures: dict[str, str], bound: bool) -> str:
    """The stub of the namespace: one method for each function."""
    methods = []
    for function, signature in signatures.items():
        python_name = re.sub(r"(?<!^)(?=[A-Z])", "_", function).lower()
        document = inspect.getdoc(getattr(vswipe, python_name, None)) or ""
        methods.append(f"    def {function}({parameters(signature, bound)}) -> VideoNode:")
        methods.append(textwrap.indent(f'"""{document}\n"""\n...', " " * 8))
    return f"class {name}(Plugin):\n" + "\n".join(methods) + "\n"


def with_wipe(stubs: str, signatures: dict[str, str]) -> str:
    """VapourSynth's stubs with the namespace in `Core` and `VideoNode`.

    Raises:
        ValueError: the stubs are of an unknown shape.
    """
    for owner, name in (("Core", "_Wipe"), ("VideoNode", "_WipeBound")):
        attribute = f"    @property\n    def wipe(self) -> {name}: ...\n\n"
        stubs, found = re.subn(rf"(?m)^(class {owner}\b.*:\n)", rf"\g<1>{attribute}", stubs)
        if found != 1:
            raise ValueError(f"stubs: vapoursynth.pyi must have one class {owner}, got {found}")
    classes = [plugin_class("_Wipe", signatures, False), plugin_class("_WipeBound", signatures, True)]
    return "\n\n".join([stubs, *classes])


def write_stubs(folder: Path) -> Path:
    """Write the stubs under `folder`; the path of the file written."""
    import vapoursynth

    spec = importlib.util.find_spec("vapoursynth")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    installed = Path(spec.submodule_search_locations[0]) / "vapoursynth.pyi"
    functions = getattr(vapoursynth.core, "wipe").functions()  # noqa: B009
    signatures = {function.name: function.signature for function in functions}
    target = folder / "vapoursynth" / "__init__.pyi"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(with_wipe(installed.read_text(encoding="utf-8"), signatures), encoding="utf-8")
    return target


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m vswipe.stubs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("typings"), help="default: typings")
    print(f"written: {write_stubs(parser.parse_args(arguments).folder)}")


if __name__ == "__main__":
    main()
