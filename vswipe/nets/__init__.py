"""Networks that fill holes. Code only: the weights are in `models/`, memories and windows are the engine's."""

from vswipe.nets.registry import REGISTRY, create
from vswipe.nets.spec import Spec

__all__ = ["REGISTRY", "Spec", "create"]
