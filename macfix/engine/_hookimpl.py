"""The marker of plugin hooks, without pluggy.

pluggy is loaded only in processes that have other plugins than the built-in ones. What was marked
until then is handed to pluggy's own marker when it comes.
"""

from __future__ import annotations

import sys
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_waiting: list[tuple[Callable[..., Any], dict[str, Any]]] = []


def hookimpl(function: Any = None, **options: Any) -> Any:
    """Mark *function* as the implementation of the hook that it is named after.

    Takes the options of :class:`pluggy.HookimplMarker`, and does what ``HookimplMarker("macfix")``
    does.
    """
    if function is None:
        return partial(hookimpl, **options)
    specs = sys.modules.get("macfix.engine._hookspecs")
    if specs is None:
        _waiting.append((function, options))
    else:
        specs.mark(function, **options)
    return function


def hand_over(mark: Callable[..., object]) -> None:
    """Have *mark* mark what was marked so far."""
    while _waiting:
        function, options = _waiting.pop()
        mark(function, **options)
