"""Where tractor opens the Unix sockets that its actors listen at."""

from __future__ import annotations

import ast

from macfix.engine.syntax import Function, function

ENOUGH = 128
"""The connections that may wait: upstream's own later number, and all that XNU admits."""

_NAMES = ("start_listener", "UDSAddress.open_listener")


def listeners(tree: ast.Module) -> list[Function]:
    """Return the functions that open a listener; each version has one, by either name."""
    return [found for name in _NAMES if (found := function(tree, name)) is not None]
