"""The modules of a built-in plugin, and those that upstream has moved in the course of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType

from macfix import hookimpl


def hooks(
    package: str, patches: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[], Iterable[str]], Callable[[str], list[ModuleType]]]:
    """Implement the hooks of the plugin `package`, with the `patches` of each target in order."""

    @hookimpl
    def macfix_targets() -> Iterable[str]:
        return patches

    @hookimpl
    def macfix_patches(target: str) -> list[ModuleType]:
        return [import_module(f"{package}.{name}") for name in patches.get(target, ())]

    return macfix_targets, macfix_patches


def first_module(*names: str) -> ModuleType:
    """Import the first of the modules `names` that this version of the upstream has."""
    *others, last = names
    for name in others:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise  # something that the module imports is missing, not the module
    return import_module(last)
