"""How messages travel: writes to a peer that has closed the connection, and ring buffers.

macOS reports the former by errnos of its own. `MsgpackTransport.send()` serves Unix sockets and TCP
alike, has one way to tell its callers that the peer is gone, and takes it for Linux's errno.
"""

from __future__ import annotations

from macfix.patches._modules import hooks

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.ipc._transport": ("eafnosupport", "enotconn", "eprototype", "reset"),
    "tractor.ipc._linux": ("eventfd",),
    "tractor.linux.eventfd": ("eventfd",),
}

macfix_targets, macfix_patches = hooks(__name__, PATCHES)
