"""The record of what an install changed, so that it can be undone."""

from __future__ import annotations

from ._errors import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ABSENT: Any = object()


class Changes:
    """What one patch changed in live objects.

    A patch changes modules and classes only through this, for two reasons: an install that fails
    half-way leaves nothing behind, and ``macfix.deactivate()`` can put everything back.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], str | None]] = []

    def set(self, owner: Any, name: str, value: object) -> None:
        """Set attribute *name* of *owner* (a module or a class) to *value*."""
        self._replace(owner, name, value)

    def wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        """Wrap the function, method, classmethod or staticmethod *name* of *owner*.

        *wrapper* is called as ``wrapper(wrapped, instance, args, kwargs)``, as wrapt does.

        Raises:
            AttributeError: if *owner* has no such attribute.
        """
        from ._wrapt import function_wrapper

        original = vars(owner).get(name, _ABSENT)
        if original is _ABSENT:
            original = getattr(owner, name)  # inherited: the wrapper goes on this class only
        self._replace(owner, name, function_wrapper()(original, wrapper))

    def on_revert(self, undo: Callable[[], object]) -> None:
        """Have *undo* called, without arguments, when the changes are reverted.

        A text that it returns says what could not be undone.
        """

        def call() -> str | None:
            left = undo()
            return left if isinstance(left, str) else None

        self._undo.append(call)

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
            if problem:
                left.append(problem)
        return left

    def _replace(self, owner: Any, name: str, value: object) -> None:
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
