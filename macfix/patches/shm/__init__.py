"""Shared memory: arrays of tractor and piker, their names, sizes, indexes, tokens and their end.

XNU has 30 bytes for a segment's name, rounds its size up to a page and lists segments nowhere. Most
of that is fixed by `names`, where a key meets the kernel; the others fix what is left, and what
upstream gets wrong on Linux as well but survives there.
"""

from __future__ import annotations

from macfix.patches._modules import hooks

_EVERYWHERE = (
    "half_open",
    "index",
    "names",
    "open_files",
    "resource_tracker",
    "teardown",
    "token_check",
    "token_key",
)

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.ipc._shm": (*_EVERYWHERE, "maybe_open", "shortening"),
    "tractor._shm": (*_EVERYWHERE, "maybe_open"),
    "tractor.ipc._mp_bs": ("resource_tracker",),
    "piker.data._sharedmem": _EVERYWHERE,
    "tractor._state": ("open_files",),
    "tractor.runtime._state": ("open_files",),
    "piker.tsp": ("dev_shm",),
    "piker.data.history": ("dev_shm",),
    "piker.storage.cli": ("dev_shm",),
}

macfix_targets, macfix_patches = hooks(__name__, PATCHES)
