"""What the patches for shared memory have in common: the modules, their names, a few questions."""

from __future__ import annotations

import ast
import logging
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix.engine import Source

from ._repro import first_module
from ._shapes import Function, function

TARGETS = ("tractor.ipc._shm", "tractor._shm", "piker.data._sharedmem")
"""Every module that shares arrays, whatever the vintage: two of tractor's times and piker's."""

TOKENS = ("NDToken", "_Token")
OPENERS = ("open_shm_ndarray", "open_shm_array")
ATTACHERS = ("attach_shm_ndarray", "attach_shm_array")


def first_function(source: Source, names: tuple[str, ...]) -> Function | None:
    """Return the first of the functions `names` that the source defines, or None."""
    return next((f for name in names if (f := function(source.tree, name)) is not None), None)


def first_name(module: ModuleType, names: tuple[str, ...]) -> str | None:
    """Return the first of `names` that the module has, or None."""
    return next((name for name in names if hasattr(module, name)), None)


def token_class(module: ModuleType) -> Any:
    """Return the module's class of tokens.

    Raises `AttributeError` when it has none.
    """
    name = first_name(module, TOKENS)
    return getattr(module, name or TOKENS[0])


def warn(module: ModuleType, text: str) -> None:
    """Say `text` as the module itself would: through its own logger where it has one."""
    log = getattr(module, "log", None) or logging.getLogger(module.__name__)
    log.warning(text)


def normal_dtype(description: Any) -> Any:
    """Return a numpy dtype's description the same whether it travelled as lists or as tuples."""
    if isinstance(description, (list, tuple)):
        return tuple(normal_dtype(part) for part in description)
    return description


def stock_import(tree: ast.Module) -> ast.AST | None:
    """Return where the module takes `SharedMemory` straight from the standard library, or None.

    Directly, or (tractor since 2025-08) through its function that switches the tracker off.
    """
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "multiprocessing.shared_memory":
            if any(alias.name == "SharedMemory" and alias.asname is None for alias in node.names):
                return node
        elif (
            isinstance(node, ast.Assign)
            and ast.unparse(node) == "SharedMemory = disable_mantracker()"
        ):
            return node
    return None


def upstream() -> ModuleType:
    """Import the target that this environment has: tractor's of either time, else piker's."""
    try:
        return first_module(*TARGETS[:2])
    except ModuleNotFoundError:
        return import_module(TARGETS[2])
