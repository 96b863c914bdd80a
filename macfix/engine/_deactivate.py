"""Taking macfix out of this process again."""

from __future__ import annotations

import sys

from . import _activate


def deactivate() -> list[str]:
    """Undo what macfix did in this process: unwrap, and remove the finder.

    Returns:
        What cannot be undone, one line each: code that was rewritten before it executed stays
        as it is until the process ends.
    """
    finder, _activate._finder = _activate._finder, None
    _activate.give_up_waiting()
    from macfix.activation import environment

    environment.restore()
    if finder is None:
        return []
    environment.leave_out()
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)
    return finder.engine.revert() if finder.engine is not None else []
