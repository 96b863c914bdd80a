"""A target's own source: what ``needed()`` looks at."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


class Source:
    """The source of one target, before it executes.

    Attributes:
        module: the target's dotted name.
        path: where the source came from, for messages; not necessarily a file (zip imports).
        data: the source as it lies on disk.
        text: the decoded source.
        tree: the parsed source. Read only: ``rewrite`` gets a tree of its own.
        parts: what patches have parsed alone of it, by qualified name. Read only as well.
    """

    def __init__(self, module: str, path: str, data: bytes) -> None:
        self.module = module
        self.path = path
        self.data = data
        self.parts: dict[str, Any] = {}

    @classmethod
    def of(cls, spec: ModuleSpec, loader: Any) -> Source | None:
        """The source behind *spec*, or None where there is none to be had.

        The loader is asked first (it may read from a zip file); a loader that executes modules
        but does not tell their source, such as pytest's, has it in the file ``spec.origin``.
        """
        data, path = _read(spec, loader)
        return None if data is None else cls(spec.name, path, data)

    @cached_property
    def text(self) -> str:
        from importlib.util import decode_source

        return decode_source(self.data)

    @cached_property
    def tree(self) -> ast.Module:
        return self.parse()

    def parse(self) -> ast.Module:
        """A new tree, for somebody who will change it."""
        # bytes, not text: the file's own encoding declaration then counts, as it does on import
        return ast.parse(self.data, self.path)

    def __repr__(self) -> str:
        return f"<Source of {self.module} at {self.path}>"


def _read(spec: ModuleSpec, loader: Any) -> tuple[bytes | None, str]:
    path = spec.origin or f"<{spec.name}>"
    try:
        if hasattr(loader, "get_filename") and hasattr(loader, "get_data"):
            path = loader.get_filename(spec.name)
            if not path.endswith(".pyc"):
                return loader.get_data(path), path
        elif spec.has_location and path.endswith(".py"):
            with open(path, "rb") as file:
                return file.read(), path
    except (OSError, ImportError):
        pass
    return None, path
