"""What the patches for shared memory ask of modules of every version."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from macfix import Source
from macfix.engine.syntax import Function, function

TOKENS = ("NDToken", "_Token")
OPENERS = ("open_shm_ndarray", "open_shm_array")
ATTACHERS = ("attach_shm_ndarray", "attach_shm_array")


def first_function(source: Source, names: tuple[str, ...]) -> Function | None:
    """Return the first of the functions `names` that the source defines, or None."""
    return next((f for name in names if (f := function(source.tree, name)) is not None), None)


def first_name(module: ModuleType, names: tuple[str, ...]) -> str:
    """Return the first of `names` that the module has; raises `AttributeError` without one."""
    for name in names:
        if hasattr(module, name):
            return name
    raise AttributeError(f"{module.__name__} has none of {', '.join(names)}")


def token_class(module: ModuleType) -> Any:
    """Return the module's class of tokens."""
    return getattr(module, first_name(module, TOKENS))


def normal_dtype(description: Any) -> Any:
    """Return a numpy dtype's description the same whether it travelled as lists or as tuples."""
    if isinstance(description, (list, tuple)):
        return tuple(normal_dtype(part) for part in description)
    return description
