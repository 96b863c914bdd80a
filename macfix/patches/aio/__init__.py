"""asyncio beside trio: what is left undone when one of the two sides ends before the other.

tractor runs asyncio in an actor ("infected") for libraries that need it, piker's brokers above all.
Hardly any of this is specific to macOS; but whoever stops piker by Ctrl-C meets it there.
"""

from __future__ import annotations

from macfix.patches._modules import hooks

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.to_asyncio": (
        "abandoned_task",
        "guest_abandoned",
        "piker_targets",
        "unsuppressed_exit",
    ),
    "tractor._runtime": ("root_interrupt",),
    "tractor.runtime._runtime": ("root_interrupt",),
    "trio._core._io_kqueue": ("kqueue_events",),
    "piker.brokers.deribit.api": ("deribit_feeds",),
    "piker.brokers.ib.api": ("ib_clients",),
}

macfix_targets, macfix_patches = hooks(__name__, PATCHES)
