"""Act on a module right after it was executed, without importing it now: starting stays cheap."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import PathFinder
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

Action = Callable[[ModuleType], None]

_actions: dict[str, Action] = {}


def after_import(name: str, action: Action) -> None:
    """Run `action` on module `name`: now if it is imported already, else once it is."""
    if name in sys.modules:
        action(sys.modules[name])
    _actions[name] = action
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


class _Finder:
    """Answers for the few awaited modules only: all are of the standard library, in files."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in _actions else None
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader

            def exec_module(module: ModuleType) -> None:
                del loader.exec_module
                loader.exec_module(module)
                _actions[name](module)

            loader.exec_module = exec_module
        return spec
