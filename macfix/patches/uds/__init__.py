"""Unix domain sockets between actors: options, credentials, names and the queue of a listener.

tractor's module for them was written for Linux: it imports names that macOS lacks, asks the kernel
in Linux's way who is at the other end, and relies on names and on patience that XNU does not have.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from macfix import hookimpl

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.ipc._uds": (
        "backlog",
        "passcred",
        "peer_credentials",
        "socket_constants",
        "socket_names",
        "unbound_names",
        "vanished_peer",
    ),
    "tractor.ipc._chan": ("connected_pid",),
    "tractor.spawn._reap": ("socket_names",),
}
"""The patches of each target, in the order in which they are applied."""


@hookimpl
def macfix_targets() -> Iterable[str]:
    return PATCHES


@hookimpl
def macfix_patches(target: str) -> list[ModuleType]:
    return [import_module(f"{__name__}.{name}") for name in PATCHES.get(target, ())]
