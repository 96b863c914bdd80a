"""Functions that are somebody else's but for the globals that they see."""

from __future__ import annotations

from types import FunctionType
from typing import Any


def with_globals(function: Any, **names: Any) -> FunctionType:
    """The same function, for which *names* stand in the place of globals or built-ins."""
    same = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    same.__kwdefaults__ = function.__kwdefaults__
    return same
