"""asyncio beside trio: what is left undone when one of the two sides ends before the other.

tractor runs asyncio in an actor ("infected") for libraries that need it, piker's brokers above all.
None of this is about macOS; but whoever stops piker by Ctrl-C meets it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from macfix import hookimpl

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.to_asyncio": (
        "abandoned_task",
        "guest_abandoned",
        "piker_targets",
        "unsuppressed_exit",
    ),
    "tractor._runtime": ("root_interrupt",),
    "tractor.runtime._runtime": ("root_interrupt",),
    "piker.brokers.deribit.api": ("deribit_feeds",),
    "piker.brokers.ib.api": ("ib_clients",),
}
"""The patches of each target, in the order in which they are applied."""


@hookimpl
def macfix_targets() -> Iterable[str]:
    return PATCHES


@hookimpl
def macfix_patches(target: str) -> list[ModuleType]:
    return [import_module(f"{__name__}.{name}") for name in PATCHES.get(target, ())]
