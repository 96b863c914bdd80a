"""A target's own source: what ``diagnose()`` looks at."""

from __future__ import annotations

import ast
import importlib.util
from functools import cached_property
from importlib.machinery import ModuleSpec
from typing import Any


class Source:
    """The source of one target, before it executes.

    Attributes:
        module: the target's dotted name.
        path: where the source came from, for messages; not necessarily a file (zip imports).
        data: the source as it lies on disk.
        text: the decoded source.
        tree: the parsed source. Read only: ``rewrite()`` gets a tree of its own.
    """

    def __init__(self, module: str, path: str, data: bytes) -> None:
        self.module = module
        self.path = path
        self.data = data

    @classmethod
    def of(cls, spec: ModuleSpec, loader: Any) -> Source | None:
        """The source behind *spec*, or None where there is none to be had.

        The loader is asked first (it may read from a zip file); a loader that executes modules
        but does not tell their source, such as pytest's, has it in the file ``spec.origin``.
        """
        path = spec.origin or f"<{spec.name}>"
        try:
            if hasattr(loader, "get_filename") and hasattr(loader, "get_data"):
                path = loader.get_filename(spec.name)
                if not path.endswith(".pyc"):
                    return cls(spec.name, path, loader.get_data(path))
            elif spec.has_location and path.endswith(".py"):
                with open(path, "rb") as file:
                    return cls(spec.name, path, file.read())
        except (OSError, ImportError):
            pass
        return None

    @cached_property
    def text(self) -> str:
        return importlib.util.decode_source(self.data)

    @cached_property
    def tree(self) -> ast.Module:
        return self.parse()

    def parse(self) -> ast.Module:
        """A new tree, for somebody who will change it."""
        # bytes, not text: the file's own encoding declaration then counts, as it does on import
        return ast.parse(self.data, self.path)
