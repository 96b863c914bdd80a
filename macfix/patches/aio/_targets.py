"""Functions in place of the targets that are handed to `tractor.to_asyncio`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary


def with_runner(
    target: Callable[..., Any], run: Callable[[Awaitable[Any]], Awaitable[Any]]
) -> Callable[..., Any]:
    """Return a function with the parameters of `target` whose awaitable is run by `run`.

    tractor looks at the parameters to see which channels the target wants. What cannot be looked at
    is returned as it is: tractor refuses it.
    """
    signature = _signature_of(target)
    if signature is None:
        return target

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        awaitable = target(*args, **kwargs)
        return run(awaitable) if inspect.isawaitable(awaitable) else awaitable

    # functools.wraps() would do more than is looked at, and take longer than all the rest
    stand_in.__dict__.update(getattr(target, "__dict__", {}))
    stand_in.__dict__.update(__wrapped__=target, __signature__=signature)
    return stand_in


_signatures: WeakKeyDictionary[Any, inspect.Signature] = WeakKeyDictionary()
"""The signatures of targets that have been used: taking one takes as long as all the rest."""


def _signature_of(target: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return _signatures[target]
    except (KeyError, TypeError):
        pass  # a new one, or one that cannot be remembered
    try:
        signature = inspect.signature(target, follow_wrapped=False)
    except (TypeError, ValueError):
        return None
    with suppress(TypeError):
        _signatures[target] = signature
    return signature


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
    while True:
        inner = target.func if isinstance(target, functools.partial) else None
        inner = inner or getattr(target, "__wrapped__", None)
        if inner is None:
            return target
        target = inner
