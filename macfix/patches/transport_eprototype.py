"""tractor takes a peer that is going for a failure, where macOS says `EPROTOTYPE`.

Problem:
    A write that meets a socket while it is torn down can report `EPROTOTYPE` ("Protocol wrong
    type for socket") on macOS, where Linux says `EPIPE`. `MsgpackTransport.send()` knows `EPIPE`,
    and from 2026-08-13 `ECONNRESET`, but not this one, and raises it as it is.

Fix:
    A write that fails with `EPROTOTYPE` is told to `send()` as the `EPIPE` that it expects, and
    becomes upstream's own `TransportClosed`. It is never tried again: libuv retried for ever.

Repro:
    `send()` into a stream whose writes fail with `EPROTOTYPE`.

Upstream:
    Not reported to tractor; https://github.com/libuv/libuv/pull/3413 is the same defect there.

Remove when:
    Upstream's `send()` takes `EPROTOTYPE` for a closed peer.
"""

from __future__ import annotations

import errno

from macfix.engine import Patch, hookimpl

from ._peer_close import TARGET, install, needed_for, repro

PATCH = Patch(
    name="transport-eprototype",
    targets=(TARGET,),
    summary="send() takes EPROTOTYPE, macOS's word for a socket being torn down, for a failure",
    upstream="https://github.com/libuv/libuv/pull/3413",
    remove_when="upstream's send() takes EPROTOTYPE for a closed peer",
    needed=needed_for("EPROTOTYPE"),
    install=install(errno.EPROTOTYPE),
    repro=repro(errno.EPROTOTYPE),
)


@hookimpl
def macfix_patches() -> list[Patch]:
    return [PATCH]
