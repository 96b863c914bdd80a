"""The loader of a target: executes it mended."""

from __future__ import annotations

import importlib
import sys
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from ._engine import Engine, Plan


class Loader:
    """Stands before the loader that really loads a target, while it executes.

    When the module executes, its ``__loader__`` and ``__spec__.loader`` are the real ones again:
    ``inspect``, ``pkgutil``, ``importlib.resources`` and reloading see what they would without
    macfix. Everything that is not about executing goes to the real loader.
    """

    def __init__(self, inner: Any, spec: ModuleSpec, engine: Engine) -> None:
        self._inner = inner
        self._spec = spec
        self._engine = engine

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._inner, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._step_aside(module)
        plan = self._plan()
        undone = self._engine.before_execution(self._spec.name)
        try:
            if plan.code is None:
                self._inner.exec_module(module)
            else:
                _call_with_frames_removed(exec, plan.code, module.__dict__)
        except BaseException as error:
            self._engine.execution_failed(plan, self._spec.name, undone, error)
            # upstream's traceback, as it would be without macfix: drop the frame of this function
            # (from Python 3.11 on a re-raise takes the traceback from the exception)
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise
        # a module may put another object in its place in sys.modules
        module = sys.modules.get(self._spec.name, module)
        self._engine.after_execution(plan, self._spec.name, module)

    def get_code(self, fullname: str) -> CodeType | None:
        """The rewritten code; what ``python -m`` executes when the target is the main program."""
        plan = self._plan()
        code: CodeType | None = plan.code or self._inner.get_code(fullname)
        return code

    def _plan(self) -> Plan:
        return self._engine.plan(self._spec, self._inner)

    def _step_aside(self, module: ModuleType) -> None:
        self._spec.loader = self._inner
        try:
            module.__loader__ = self._inner
            if module.__spec__ is not None:
                module.__spec__.loader = self._inner
        except AttributeError:
            pass  # some loaders make modules that take no attributes; importlib lets them, too

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return f"<macfix loader before {self._inner!r}>"


class ExistingModule:
    """Stands before the loader of a module that was imported while its import was looked at.

    A plugin that imports a target at its top does that. The import system then takes the spec of
    the module that is there, and would execute it a second time.
    """

    def __init__(self, module: ModuleType, spec: ModuleSpec) -> None:
        self._module = module
        self._spec = spec
        self._inner = spec.loader

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        self._spec.loader = self._inner
        module.__loader__ = self._inner


# importlib's own: tracebacks of imports are cut where a frame of this name is on top
_call_with_frames_removed = getattr(
    getattr(importlib, "_bootstrap", None),
    "_call_with_frames_removed",
    lambda function, *arguments: function(*arguments),
)

if sys.version_info < (3, 11):
    # There, a re-raise restores the whole traceback. Importlib's own frames are cut from the
    # tracebacks of imports by their file name.
    Loader.exec_module.__code__ = Loader.exec_module.__code__.replace(
        co_filename="<frozen importlib._bootstrap_external>"
    )
