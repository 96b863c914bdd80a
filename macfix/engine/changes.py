"""The record of what an install changed, so that it can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import wrapt

from .errors import describe

Wrapped: TypeAlias = Callable[..., Any]
Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]
"""What wrapt calls a wrapper with: ``wrapper(wrapped, instance, args, kwargs)``."""

_ABSENT: Any = object()


class Changes:
    """What one patch changed in live objects.

    A patch changes modules and classes only through this, for two reasons: an install that fails
    half-way leaves nothing behind, and ``macfix.deactivate()`` can put everything back.
    """

    def __init__(self, notes: dict[str, str] | None = None) -> None:
        """
        Args:
            notes: facts about this process that ``macfix.status()`` shows, by name.
        """
        self._notes = {} if notes is None else notes
        self._undo: list[Callable[[], object]] = []

    def set(self, owner: Any, name: str, value: object) -> None:
        """Set attribute *name* of *owner* (a module or a class) to *value*."""
        before = vars(owner).get(name, _ABSENT)
        setattr(owner, name, value)

        def put_back() -> str | None:
            if vars(owner).get(name, _ABSENT) is not value:
                place = getattr(owner, "__qualname__", None) or getattr(owner, "__name__", owner)
                return f"{place}.{name} was changed again by somebody else after macfix"
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
            return None

        self._undo.append(put_back)

    def wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Wrap the function, method, classmethod or staticmethod *name* of *owner*.

        *wrapper* is called as ``wrapper(wrapped, instance, args, kwargs)``, as wrapt does.

        Raises:
            AttributeError: if *owner* has no such attribute.
        """
        # where it is inherited, the wrapper goes on this class only
        original = vars(owner)[name] if name in vars(owner) else getattr(owner, name)
        self.set(owner, name, wrapt.FunctionWrapper(original, wrapper))

    def note(self, name: str, text: str) -> None:
        """Leave a fact about this process for ``macfix.status()``, in place of one by this name."""
        self._notes[name] = text

    def on_revert(self, undo: Callable[[], object]) -> None:
        """Have *undo* called, without arguments, when the changes are reverted.

        A text that it returns says what could not be undone.
        """
        self._undo.append(undo)

    def revert(self) -> list[str]:
        """Undo everything, last change first; the answer says what could not be undone."""
        left: list[str] = []
        while self._undo:
            try:
                problem = self._undo.pop()()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                problem = f"undoing a change raised {describe(error)}"
            if isinstance(problem, str):
                left.append(problem)
        return left
