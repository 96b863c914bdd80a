"""Finding a module without importing it, or anything that it belongs to."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


def locate(name: str, first: Sequence[str] = ()) -> ModuleSpec | None:
    """Find the module *name* without importing it or any of its packages.

    Args:
        name: its dotted name.
        first: folders to look in before those of ``sys.path``.
    """
    top, *rest = name.split(".")
    try:
        spec = PathFinder.find_spec(top, [*first, *sys.path]) or importlib.util.find_spec(top)
    except Exception:
        return None  # an importer that misbehaves, or a module without a spec
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # by its last part alone: for a dotted name, namespace packages ask for an imported parent
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    if spec is not None and rest:
        spec.name = name
        loader: Any = spec.loader
        if hasattr(loader, "name"):
            loader.name = name
    return spec
