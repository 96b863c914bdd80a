"""Imports that macfix makes for itself never come from where somebody else could have put them.

The current directory is on ``sys.path`` of ``python -c`` and ``python -m``, and whoever puts a
``wrapt.py`` there would be in the process because of macfix. So while macfix imports what upstream
did not ask for, this thread finds top-level modules on the :func:`safe_path` only.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from ._trust import is_everybodys

__all__ = ["PathFinder", "SafeImports", "safe_path"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec, PathFinder
    from types import ModuleType
    from typing import Any
else:
    from _frozen_importlib_external import PathFinder  # importlib itself may be a trap

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_DEPENDENCIES = ("wrapt", "pluggy")


def safe_path() -> list[str]:
    """``sys.path`` without the current directory and without what everybody can write to.

    Nor are there entries below a folder in which everybody could put another in their place.

    The current directory is left out where the interpreter put it there by itself. One that
    ``PYTHONPATH`` or a ``.pth`` file names was put there by the user, and stays.
    """
    entries = list(sys.path)
    if entries and _is_implicit(entries[0]):
        del entries[0]
    return [entry for entry in entries if os.path.isabs(entry) and not is_everybodys(entry)]


def _is_implicit(first: str) -> bool:
    if getattr(sys.flags, "safe_path", False):
        return False
    try:
        return os.path.samefile(first or os.curdir, os.curdir)
    except OSError:
        return False  # one of the two does not exist


class SafeImports:
    """While this is entered, top-level imports of this thread come from the safe path.

    It stands in the place of the finder of ``sys.path``, and is that finder for other threads:
    nothing is inserted into ``sys.meta_path`` or removed from it, where another thread's import
    would skip a finder.
    """

    _entered: dict[int, int] = {}  # noqa: RUF012  (by thread; one for all instances)
    _safe: tuple[list[str], list[str]] | None = None
    """A `sys.path` and its safe part: looked at once, not for each import."""

    def __enter__(self) -> None:
        thread = get_ident()
        self._entered[thread] = self._entered.get(thread, 0) + 1
        SafeImports._safe = None
        _replace(PathFinder, SafeImports)

    def __exit__(self, *_: object) -> None:
        thread = get_ident()
        self._entered[thread] -= 1
        if not self._entered[thread]:
            del self._entered[thread]
        if not self._entered:
            _replace(SafeImports, PathFinder)

    @classmethod
    def forget_other_threads(cls) -> None:
        """In the child of a fork: what other threads were about to import, nobody imports there."""
        depth = cls._entered.get(get_ident())
        cls._entered.clear()
        if depth is None:
            _replace(SafeImports, PathFinder)
        else:
            cls._entered[get_ident()] = depth

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or get_ident() not in cls._entered:
            return PathFinder.find_spec(name, path, target)
        safe = cls._safe
        if safe is None or safe[0] != sys.path:
            safe = cls._safe = (list(sys.path), safe_path())
        spec = PathFinder.find_spec(name, safe[1], target)
        if spec is None and name in _DEPENDENCIES:
            spec = PathFinder.find_spec(name, [_ROOT], target)  # a zipapp, or pip's --target
        return spec

    @staticmethod
    def invalidate_caches() -> None:
        PathFinder.invalidate_caches()

    @staticmethod
    def find_distributions(*args: Any, **kwargs: Any) -> Any:
        return PathFinder.find_distributions(*args, **kwargs)


def _replace(old: Any, new: Any) -> None:
    for place, finder in enumerate(sys.meta_path):
        if finder is old:
            sys.meta_path[place] = new
            return


os.register_at_fork(after_in_child=SafeImports.forget_other_threads)
