"""The runtime directory, where tractor puts the sockets of its actors.

macOS has neither `XDG_RUNTIME_DIR` nor another directory for that which is short enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from macfix import hookimpl

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor._state": ("dir", "dir_env"),
    "tractor.runtime._state": ("dir", "dir_env"),
}
"""The patches of each target, in the order in which they are applied."""


@hookimpl
def macfix_targets() -> Iterable[str]:
    return PATCHES


@hookimpl
def macfix_patches(target: str) -> list[ModuleType]:
    return [import_module(f"{__name__}.{name}") for name in PATCHES.get(target, ())]
