"""The loader of a target: executes it mended.

Whatever has to be imported for that is imported here and not in a finder: while the import system
asks a finder it holds a lock which the imports of all other threads wait for, and one of them may
be importing the same module.
"""

from __future__ import annotations

import _frozen_importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from ._engine import Engine
    from ._finder import Finder


class Loader:
    """Stands before the loader that really loads a target, while it executes.

    When the module executes, its ``__loader__`` and ``__spec__.loader`` are the real ones again:
    ``inspect``, ``pkgutil``, ``importlib.resources`` and reloading see what they would without
    macfix. Everything that is not about executing goes to the real loader.
    """

    def __init__(self, inner: Any, spec: ModuleSpec, finder: Finder) -> None:
        self._inner = inner
        self._spec = spec
        self._finder = finder
        self._was_there = spec.name in sys.modules
        self._existing: tuple[ModuleType, ModuleSpec] | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        self._finder.load_or_give_up()
        module = None if self._was_there else sys.modules.get(self._spec.name)
        its_spec = getattr(module, "__spec__", None)
        if module is not None and its_spec is not None:
            # a plugin that was loaded just now has imported it, at its top
            self._existing = (module, its_spec)
            return module
        create = getattr(self._inner, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: ModuleType) -> None:
        if self._existing is not None and self._existing[0] is module:
            module.__spec__ = self._existing[1]
            return  # it has executed
        self._step_aside(module)
        engine = self._engine()
        plan = None if engine is None else engine.plan(self._spec, self._inner)
        undone = [] if engine is None else engine.before_execution(self._spec.name)
        try:
            if plan is None or plan.code is None:
                self._inner.exec_module(module)
            else:
                _call_with_frames_removed(exec, plan.code, module.__dict__)
        except BaseException as error:
            if engine is not None and plan is not None:
                engine.execution_failed(plan, self._spec.name, undone, error)
            # upstream's traceback, as it would be without macfix: drop the frame of this function
            # (from Python 3.11 on a re-raise takes the traceback from the exception)
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            raise
        if engine is not None and plan is not None:
            # a module may put another object in its place in sys.modules
            module = sys.modules.get(self._spec.name, module)
            engine.after_execution(plan, self._spec.name, module)

    def get_code(self, fullname: str) -> CodeType | None:
        """The rewritten code; what ``python -m`` executes when the target is the main program."""
        engine = self._engine()
        code = None if engine is None else engine.plan(self._spec, self._inner).code
        given: CodeType | None = code or self._inner.get_code(fullname)
        return given

    def _engine(self) -> Engine | None:
        """The engine, if there is something that it would do to this module."""
        engine = self._finder.load_or_give_up()
        return engine if engine is not None and engine.applicable(self._spec.name) else None

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


# importlib's own: tracebacks of imports are cut where a frame of this name is on top
_call_with_frames_removed = getattr(
    _frozen_importlib,
    "_call_with_frames_removed",
    lambda function, *arguments: function(*arguments),
)

if sys.version_info < (3, 11):
    # There, a re-raise restores the whole traceback. Importlib's own frames are cut from the
    # tracebacks of imports by their file name.
    Loader.exec_module.__code__ = Loader.exec_module.__code__.replace(
        co_filename="<frozen importlib._bootstrap_external>"
    )
