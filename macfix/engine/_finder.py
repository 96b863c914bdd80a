"""The finder: first on ``sys.meta_path``, silent about everything but targets.

This module is loaded at every interpreter start of a Mac: it imports nothing that is not loaded
by then, and builds the engine, with pluggy and all plugins, when the first watched name is
imported.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from ._safe_imports import SafeImports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from ._engine import Engine


class Finder:
    """Finds targets through the finders behind it, and puts macfix's loader before theirs."""

    is_macfix = True
    """How the file that an interpreter executes at its start knows that macfix is active."""

    def __init__(self, roots: Iterable[str], make_engine: Callable[[], Engine]) -> None:
        """
        Args:
            roots: top-level packages of the upstreams: importing one of them loads the plugins,
                which tell all targets.
            make_engine: called once, then.
        """
        self._watched = set(roots)
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._busy: set[tuple[int, str]] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._watched:
            return None
        # Another hook may ask the whole import system from inside its find_spec (wrapt does):
        # it must then find what is behind us, or the module would be mended twice.
        call = (get_ident(), fullname)
        if call in self._busy:
            return None
        self._busy.add(call)
        try:
            return self._find(fullname, path, target)
        finally:
            self._busy.discard(call)

    @property
    def engine(self) -> Engine | None:
        """The engine, if a watched name was imported already."""
        return self._engine

    def load(self) -> Engine:
        """The engine; built, and all targets watched, if that has not happened yet."""
        if self._engine is None:
            # No lock is held while plugins are imported: a plugin that another thread is
            # importing could never finish. Of two engines built at once the first one counts.
            before = set(sys.modules)
            with SafeImports():
                engine = self._make_engine()
            if self._engine is None:
                self._engine = engine
                self._watched.update(engine.targets())
                _report_early(engine, before)
        return self._engine

    def load_or_give_up(self) -> Engine | None:
        """Fail open: if macfix itself cannot work here, the program runs without it."""
        try:
            return self.load()
        except Exception as error:
            from ._errors import PatchFailedError, warn

            if isinstance(error, PatchFailedError):
                raise  # the user asked for it: MACFIX_STRICT
            self._watched.clear()
            warn(f"macfix cannot work here and changes nothing: {type(error).__name__}: {error}")
            return None

    def _find(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        imported_before = fullname in sys.modules
        engine = self.load_or_give_up()
        if engine is None:
            return None
        with SafeImports():
            from ._loader import ExistingModule, Loader

        spec = _find_behind(self, fullname, path, target)
        if spec is None or not hasattr(spec.loader, "exec_module"):
            return spec
        existing = None if imported_before else sys.modules.get(fullname)
        if existing is not None and existing.__spec__ is not None:
            spec = existing.__spec__
            spec.loader = ExistingModule(existing, spec)  # type: ignore[assignment]
        elif engine.applicable(fullname):
            try:
                spec.loader = Loader(spec.loader, spec, engine)  # type: ignore[assignment]
            except Exception as error:  # an importer with specs of its own: it runs as it is
                engine.leave_alone(fullname, f"its spec cannot be changed: {error}")
        return spec

    def __repr__(self) -> str:
        return f"<macfix finder of {len(self._watched)} targets>"


def _report_early(engine: Engine, before: set[str]) -> None:
    """Enter in the ledger the targets that plugins imported before all patches were known."""
    early = [target for target in engine.targets() if target in sys.modules.keys() - before]
    late = engine.mark_late(early, "a plugin imported it before all patches were known")
    if late:
        from ._errors import warn

        warn(
            f"{', '.join(late)} imported by a plugin before all patches were known, and left as "
            f"they are: a plugin must not import a target at its top"
        )


def _find_behind(
    finder: Finder, fullname: str, path: Sequence[str] | None, target: ModuleType | None
) -> ModuleSpec | None:
    """Ask the finders behind *finder*, as the import system would."""
    finders: list[Any] = list(sys.meta_path)
    behind = finders[finders.index(finder) + 1 :] if finder in finders else finders
    for other in behind:
        find_spec = getattr(other, "find_spec", None)
        if find_spec is not None:
            spec: ModuleSpec | None = find_spec(fullname, path, target)
            if spec is not None:
                return spec
    return None
