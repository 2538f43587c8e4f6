"""A stand-in for an accelerator: tensors that say they are on "cuda" and lie on the CPU.

As on a real one, what is there must be fetched by `.cpu()` before NumPy may read it, and nothing mixes tensors of both
places but copies and numbers; as on Apple's, there is no float64. So code for accelerators runs, and breaks where it
would, without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda")
_MADE = ("arange", "empty", "full", "linspace", "ones", "tensor", "zeros", "as_tensor", "eye")
_READ = (Tensor.numpy, Tensor.__array__, Tensor.data_ptr)
_COPIES = (Tensor.copy_, Tensor.__setitem__, Tensor.__getitem__)  # indices may come from the CPU


class Away(Tensor):
    """A tensor on the accelerator."""

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function == Tensor.device.__get__:  # type: ignore[attr-defined]
            return DEVICE
        if function in _READ:
            raise TypeError(f"{function.__name__}: the tensor is on {DEVICE}: fetch it by .cpu() first")
        here = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and _is_here(leaf)]
        if here and function not in _COPIES:
            raise RuntimeError(f"{function.__name__}: expected all tensors to be on {DEVICE}, but one is on the CPU")
        fetched = function is Tensor.cpu or (function is Tensor.to and _wants(args[1:], kwargs) == "cpu")
        args, kwargs = tree_map(_local, (args, kwargs))
        with torch._C.DisableTorchFunctionSubclass():
            result = function(*args, **kwargs)
        return result.clone() if fetched else tree_map(sent, result)  # a copy, as over a bus


def _is_here(value: Tensor) -> bool:
    return not isinstance(value, Away) and value.dim() > 0


def _local(value: Any) -> Any:
    """What CPU code is told in its place."""
    if isinstance(value, Away):
        with torch._C.DisableTorchFunctionSubclass():
            return value.as_subclass(Tensor)
    return torch.device("cpu") if _is_away(value) else value


def _is_away(value: Any) -> bool:
    return isinstance(value, torch.device | str) and str(value).startswith(DEVICE.type)


def _wants(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The device that `.to` is asked for, or ""."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.device | str):
            return str(value)
    return ""


def sent(value: Any) -> Any:
    """To the accelerator, if it is a tensor."""
    if not isinstance(value, Tensor) or isinstance(value, Away):
        return value
    if value.dtype == torch.float64:
        raise TypeError("Apple's accelerators know no float64")
    return value.as_subclass(Away)


@contextmanager
def accelerator() -> Iterator[torch.device]:
    """While it lasts, tensors made on or moved to the returned device are `Away`, in all threads."""
    to, module_to = Tensor.to, nn.Module.to

    def moved(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self, Away):
            return to(self, *args, **kwargs)
        away = any(_is_away(value) for value in (*args, *kwargs.values()))
        args, kwargs = tree_map(_local, (args, kwargs))
        result = to(self, *args, **kwargs)
        return sent(result.clone()) if away else result

    def moved_module(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        away = any(_is_away(value) for value in (*args, *kwargs.values()))
        args, kwargs = tree_map(_local, (args, kwargs))
        module_to(self, *args, **kwargs)
        for module in self.modules() if away else ():
            for values in (module._parameters, module._buffers):  # a parameter's data cannot be of another class
                for name, value in values.items():
                    if value is not None:
                        values[name] = sent(value.detach())  # type: ignore[assignment]
        return self

    def making(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def made(*args: Any, **kwargs: Any) -> Tensor:
            away = _is_away(kwargs.get("device"))
            args, kwargs = tree_map(_local, (args, kwargs))
            return sent(function(*args, **kwargs)) if away else function(*args, **kwargs)

        return made

    with (
        mock.patch.multiple(torch, **{name: making(getattr(torch, name)) for name in _MADE}),
        mock.patch.object(Tensor, "to", moved),
        mock.patch.object(nn.Module, "to", moved_module),
        mock.patch("torch.cuda.is_bf16_supported", return_value=False),
    ):
        yield DEVICE
