"""piker itself: what the owner of a Mac meets in the first hour with a chart."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from macfix import hookimpl

PATCHES: dict[str, tuple[str, ...]] = {
    "piker.storage.nativedb": ("strange_files",),
}
"""The patches of each target, in the order in which they are applied."""


@hookimpl
def macfix_targets() -> Iterable[str]:
    return PATCHES


@hookimpl
def macfix_patches(target: str) -> list[ModuleType]:
    return [import_module(f"{__name__}.{name}") for name in PATCHES.get(target, ())]
