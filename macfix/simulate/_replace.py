"""Put a Python function in a built-in one's place so that nobody notices."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SETS = ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks")


class _BuiltIn:
    """Like a built-in function, and unlike a Python one, this does not bind as a method.

    ``class Accessor: stat = os.stat`` works with built-ins only, and pathlib has such classes. It
    pickles by name, too.
    """

    def __init__(self, call: Callable[..., Any], truth: Callable[..., Any], module: str) -> None:
        self.__wrapped__ = truth
        self.__name__ = self.__qualname__ = truth.__name__
        self.__doc__ = truth.__doc__
        self.__module__ = module
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<simulated built-in function {self.__name__}>"

    def __reduce__(self) -> str:
        return self.__name__


def replace(module: ModuleType, name: str, call: Callable[..., Any]) -> None:
    """Put `call` in the place of ``module.name``, and keep ``os.supports_*`` true of it."""
    before = getattr(module, name)
    value = _BuiltIn(call, getattr(before, "__wrapped__", before), module.__name__)
    setattr(module, name, value)
    if module is os:
        for which in _SETS:
            functions = getattr(os, which)
            if before in functions:
                functions.add(value)
