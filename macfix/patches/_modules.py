"""Modules that upstream has moved in the course of time."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def first_module(*names: str) -> ModuleType:
    """Import the first of the modules `names` that this vintage of the upstream has."""
    *others, last = names
    for name in others:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise  # something that the module imports is missing, not the module
    return import_module(last)
