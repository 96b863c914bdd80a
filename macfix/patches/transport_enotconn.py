"""tractor takes a peer that is going for a failure, where macOS says `ENOTCONN`.

Problem:
    A write to a Unix socket that gets past XNU's first look at its state while the peer closes
    reports `ENOTCONN` ("Socket is not connected"), where Linux says `EPIPE`
    (`bsd/kern/uipc_usrreq.c`, `uipc_send`). `MsgpackTransport.send()` knows `EPIPE`, and from
    2026-08-13 `ECONNRESET`, but not this one, and raises it as it is.

Fix:
    A write that fails with `ENOTCONN` is told to `send()` as the `EPIPE` that it expects, and
    becomes upstream's own `TransportClosed`.

Repro:
    `send()` into a stream whose writes fail with `ENOTCONN`.

Upstream:
    Not reported.

Remove when:
    Upstream's `send()` takes `ENOTCONN` for a closed peer.
"""

from __future__ import annotations

import errno

from macfix.engine import Patch, hookimpl

from ._peer_close import TARGET, install, needed_for, repro

PATCH = Patch(
    name="transport-enotconn",
    targets=(TARGET,),
    summary="send() takes ENOTCONN, macOS's word for a peer that closes just then, for a failure",
    upstream="not reported",
    remove_when="upstream's send() takes ENOTCONN for a closed peer",
    needed=needed_for("ENOTCONN"),
    install=install(errno.ENOTCONN),
    repro=repro(errno.ENOTCONN),
)


@hookimpl
def macfix_patches() -> list[Patch]:
    return [PATCH]
