"""Unix domain sockets between actors: options, credentials, names and the queue of a listener.

tractor's module for them was written for Linux: it imports names that macOS lacks, asks the kernel
in Linux's way who is at the other end, and relies on names and on patience that XNU does not have.
"""

from __future__ import annotations

from macfix.patches._modules import hooks

PATCHES: dict[str, tuple[str, ...]] = {
    "tractor.ipc._uds": (
        "backlog",
        "passcred",
        "peer_credentials",
        "removed_socket",
        "socket_constants",
        "socket_names",
        "unbound_names",
        "vanished_peer",
    ),
    "tractor.ipc._chan": ("connected_pid",),
    "tractor.spawn._reap": ("socket_names",),
}

macfix_targets, macfix_patches = hooks(__name__, PATCHES)
