"""Functions in place of the targets that are handed to `tractor.to_asyncio`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any


def with_runner(
    target: Callable[..., Any], run: Callable[[Awaitable[Any]], Awaitable[Any]]
) -> Callable[..., Any]:
    """Return a function with the parameters of `target` whose awaitable is run by `run`.

    tractor looks at the parameters to see which channels the target wants. What cannot be looked at
    is returned as it is: tractor refuses it.
    """
    try:
        signature = inspect.signature(target, follow_wrapped=False)
    except (TypeError, ValueError):
        return target

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        awaitable = target(*args, **kwargs)
        return run(awaitable) if inspect.isawaitable(awaitable) else awaitable

    functools.update_wrapper(stand_in, target, assigned=())  # a partial has no name
    stand_in.__dict__["__signature__"] = signature
    return stand_in


def name_of(target: Any) -> str:
    """Return the dotted name of the function behind `target`, for messages."""
    function = _innermost(target)
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{module}.{name}" if module else str(name)


def comes_from(target: Any, package: str) -> bool:
    """Say whether the function behind `target` is defined in `package`."""
    module = getattr(_innermost(target), "__module__", None) or ""
    return module == package or module.startswith(package + ".")


def _innermost(target: Any) -> Any:
    while isinstance(target, functools.partial) or hasattr(target, "__wrapped__"):
        target = target.func if isinstance(target, functools.partial) else target.__wrapped__
    return target
