"""The finder: first on ``sys.meta_path``, silent about everything but targets.

This module is loaded at every interpreter start of a runner's children: it imports nothing that is
not loaded by then. The engine, with all plugins, is built when the first watched name is loaded.

A finder must import nothing when it is asked: see ``_loader``.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from ._loader import Loader
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
        self._building: set[int] = set()
        self._gave_up = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._watched and (
            self._engine is not None or fullname.partition(".")[0] not in self._watched
        ):  # of an upstream that somebody has put into `sys.modules` by hand, all is watched
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
            thread = get_ident()
            self._building.add(thread)
            try:
                with SafeImports():
                    engine = self._make_engine()
            finally:
                self._building.discard(thread)
            if self._engine is None:
                self._engine = engine
                self._watched.update(engine.targets())
                _report_early(engine, before)
        return self._engine

    def load_or_give_up(self) -> Engine | None:
        """Fail open: if macfix itself cannot work here, the program runs without it.

        Nor is there an engine for what a plugin imports while the plugins are loaded.

        Raises:
            PatchFailedError: if a plugin or patch fails and ``MACFIX_STRICT`` is set.
        """
        if self._gave_up or get_ident() in self._building:
            return None
        try:
            return self.load()
        except Exception as error:
            from ._errors import PatchFailedError, warn

            if isinstance(error, PatchFailedError):
                raise  # the user asked for it: MACFIX_STRICT
            self._gave_up = True
            self._watched.clear()
            warn(f"macfix cannot work here and changes nothing: {type(error).__name__}: {error}")
            return None

    def _find(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        spec = _find_behind(self, fullname, path, target)
        if spec is None or (self._engine is not None and not self._engine.applicable(fullname)):
            return spec
        if not hasattr(spec.loader, "exec_module"):  # a namespace: it is for what is in it
            self.load_or_give_up()
            return spec
        try:
            spec.loader = self.loader_before(spec.loader, spec)
        except Exception as error:  # an importer with specs of its own: it runs as it is
            engine = self.load_or_give_up()
            if engine is not None:
                engine.leave_alone(fullname, f"its spec cannot be changed: {error}")
        return spec

    def loader_before(self, inner: Any, spec: ModuleSpec) -> Any:
        """What loads the module of *spec*, mended, in the place of *inner*."""
        return Loader(inner, spec, self)

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
