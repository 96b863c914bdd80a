"""The finder: first on ``sys.meta_path``, silent about everything but targets.

While the import system asks a finder it holds a lock that the imports of all other threads wait
for, and one of them may be importing the very module that the finder would import: it would never
end. So a finder imports nothing when it is asked; it only puts a loader before the one that was
found. What has to be imported is imported by that loader.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from threading import get_ident
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import PatchFailedError, describe, warn
from .loader import Loader

if TYPE_CHECKING:
    from .engine import Engine


class Finder:
    """Finds targets through the finders behind it, and puts macfix's loader before theirs."""

    is_macfix = True
    """How the autoload knows that macfix is active already."""

    def __init__(self, packages: Iterable[str], make_engine: Callable[[], Engine]) -> None:
        """
        Args:
            packages: top-level packages of the upstreams: importing one of them loads the plugins,
                which name all targets.
            make_engine: called once, then.
        """
        self._packages = frozenset(packages)
        self._make_engine = make_engine
        self._asked: set[tuple[int, str]] = set()
        self._building: set[int] = set()
        self.gave_up = False
        """Whether macfix cannot work here, which a warning has said."""
        self.engine: Engine | None = None
        """The engine, once a watched module was imported."""

    def go_first(self) -> None:
        """Go before all others: some hooks (typeguard's, pytest's) ask nobody behind them."""
        # a new list, because another thread's import may be going through the old one
        sys.meta_path = [self, *(each for each in sys.meta_path if not hasattr(each, "is_macfix"))]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not self._watches(fullname):
            return None
        # Another hook may ask the whole import system from inside its find_spec (wrapt does):
        # it must then find what is behind us, or the module would be patched twice.
        call = (get_ident(), fullname)
        if call in self._asked:
            return None
        self._asked.add(call)
        try:
            spec = self._find_behind(fullname, path, target)
        finally:
            self._asked.discard(call)
        if spec is not None:
            self.put_loader_into(spec)
        return spec

    def _watches(self, name: str) -> bool:
        if self.engine is None:
            return not self.gave_up and name.partition(".")[0] in self._packages
        return name in self.engine.plugins.targets

    def _find_behind(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        """Ask the finders behind this one, as the import system would."""
        finders: list[Any] = list(sys.meta_path)
        behind = finders[finders.index(self) + 1 :] if self in finders else finders
        for finder in behind:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find_spec is None else find_spec(name, path, target)
            if spec is not None:
                return spec
        return None

    def put_loader_into(self, spec: ModuleSpec) -> None:
        """Have the module of *spec* loaded patched; a namespace package stays as it is."""
        if hasattr(spec.loader, "exec_module"):
            try:
                spec.loader = Loader(spec.loader, spec, self)  # type: ignore[assignment]
            except Exception as error:  # an importer with specs of its own: it runs as it is
                warn(f"{spec.name} is left as it is, as its spec cannot be changed: {error}")

    def start_engine(self) -> Engine | None:
        """The engine, built if need be, or None where there is none.

        Fails open: if macfix itself cannot work here, the program runs without it. Nor is there an
        engine for what a plugin imports while the plugins are loaded.

        Raises:
            PatchFailedError: if a plugin fails and ``MACFIX_STRICT`` is set.
        """
        thread = get_ident()
        if self.engine is None and not self.gave_up and thread not in self._building:
            # No lock is held while plugins are imported: a plugin that another thread is importing
            # could never finish. Of two engines built at once the first one counts.
            self._building.add(thread)
            try:
                engine = self._make_engine()
                if self.engine is None:
                    self.engine = engine
                    if self in sys.meta_path:  # a hook for a part of an upstream may have come
                        self.go_first()
                    engine.start()
            except PatchFailedError:
                raise  # the user asked for it: MACFIX_STRICT
            except Exception as error:
                self.gave_up = True
                warn(f"macfix cannot work here and changes nothing: {describe(error)}")
            finally:
                self._building.discard(thread)
        return self.engine

    def __repr__(self) -> str:
        return f"<macfix finder for {', '.join(sorted(self._packages))}>"
