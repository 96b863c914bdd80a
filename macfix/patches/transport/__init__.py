"""Writes to a peer that has closed the connection, which macOS reports by errnos of its own.

`MsgpackTransport.send()` serves Unix sockets and TCP alike. It has one way to tell its callers that
the peer is gone, and takes it for the errno that Linux reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from macfix import hookimpl

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.ipc._transport": ("enotconn", "eprototype", "reset"),
}
"""The patches of each target, in the order in which they are applied."""


@hookimpl
def macfix_targets() -> Iterable[str]:
    return PATCHES


@hookimpl
def macfix_patches(target: str) -> list[ModuleType]:
    return [import_module(f"{__name__}.{name}") for name in PATCHES.get(target, ())]
