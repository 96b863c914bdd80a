"""Writes to a peer that has closed the connection, which macOS reports by errnos of its own.

`MsgpackTransport.send()` serves Unix sockets and TCP alike. It has one way to tell its callers that
the peer is gone, and takes it for the errno that Linux reports.
"""

from __future__ import annotations

from macfix.patches._modules import hooks

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.ipc._transport": ("enotconn", "eprototype", "reset"),
}

macfix_targets, macfix_patches = hooks(__name__, PATCHES)
