"""Act on a module right after it was executed, without importing it now: starting stays cheap."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Answers for the few awaited modules only, with what the finders behind it find."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        action = _actions.get(name)
        if action is None:
            return None
        for finder in self._behind():
            spec: ModuleSpec | None = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, action)  # type: ignore[assignment]
                return spec
        return None

    def _behind(self) -> list[Any]:
        """Return the finders after this one: those before had their turn, or sent us here."""
        finders: list[Any] = list(sys.meta_path)
        if self in finders:
            del finders[: finders.index(self) + 1]
        return [finder for finder in finders if hasattr(finder, "find_spec")]


class _Loader:
    """Executes with the true loader, puts that back where it belongs, and acts."""

    def __init__(self, loader: Any, action: Action) -> None:
        self._loader = loader
        self._action = action

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        spec.loader = self._loader
        made: ModuleType | None = self._loader.create_module(spec)
        spec.loader = self  # type: ignore[assignment]
        return made

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
