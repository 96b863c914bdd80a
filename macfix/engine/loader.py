"""The loader of a target: executes it, patched."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .finder import Finder


class Loader:
    """Stands before the loader that really loads a target, until that executes it.

    While the module executes, its ``__loader__`` and ``__spec__.loader`` are the real ones again:
    ``inspect``, ``pkgutil``, ``importlib.resources`` and reloading see what they would without
    macfix. Everything that is not about executing goes to the real loader.
    """

    def __init__(self, inner: Any, spec: ModuleSpec, finder: Finder) -> None:
        self._inner = inner
        self._spec = spec
        self._finder = finder
        self._existing: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        before = sys.modules.get(self._spec.name)
        self._finder.start_engine()
        module = sys.modules.get(self._spec.name)
        its_spec = getattr(module, "__spec__", None)
        if module is not None and module is not before and its_spec is not None:
            # a plugin that was loaded just now has imported it, at its top
            self._existing = its_spec
            return module
        create = getattr(self._inner, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: ModuleType) -> None:
        if self._existing is not None:
            module.__spec__ = self._existing
            return  # it has executed
        self._step_aside(module)
        engine = self._finder.start_engine()
        if engine is None or not (patches := engine.chosen(self._spec.name)):
            self._inner.exec_module(module)
            return
        plan = engine.plan(self._spec, self._inner, patches)
        undone = engine.undo_installs(self._spec.name)
        try:
            loader = self._inner if plan.code is None else _CodeLoader(plan.code, plan.path)
            loader.exec_module(module)
        except BaseException as error:
            engine.reload_failed(plan.target, undone, error)
            raise
        # a module may put another object in its place in sys.modules
        engine.executed(plan, sys.modules.get(self._spec.name, module))

    # Python cuts importlib's own frames, known by their file, from the tracebacks of imports. The
    # frame of this function is in their midst: counted among them, it is cut with them.
    exec_module.__code__ = exec_module.__code__.replace(
        co_filename="<frozen importlib._bootstrap_external>"
    )

    def _step_aside(self, module: ModuleType) -> None:
        self._spec.loader = self._inner
        try:
            module.__loader__ = self._inner
            if module.__spec__ is not None:
                module.__spec__.loader = self._inner
        except AttributeError:
            pass  # some loaders make modules that take no attributes; importlib lets them, too

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # a copy is asked for its attributes before it has any
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return f"<macfix loader before {self._inner!r}>"


class _CodeLoader(SourceFileLoader):
    """Executes code that is there already, in the way in which importlib executes any."""

    def __init__(self, code: CodeType, path: str) -> None:
        super().__init__("", path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code
