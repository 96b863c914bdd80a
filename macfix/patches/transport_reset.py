"""tractor takes a peer that has gone for a failure, where macOS says `ECONNRESET`.

Problem:
    `MsgpackTransport.send()` knows a peer that has closed by the text `[Errno 32] Broken pipe`.
    A write to a closed peer can report `ECONNRESET` on macOS instead, and is raised as it is: a
    probe that hangs up early then takes down the server of the actor that it probed.

Fix:
    A write that fails with `ECONNRESET` is told to `send()` as the `EPIPE` that it expects, and
    becomes upstream's own `TransportClosed`. The receiving side knows both.

Repro:
    `send()` into a stream whose writes fail with `ECONNRESET`.

Upstream:
    https://github.com/goodboy/tractor/pull/480 (commit 64e820e1, 2026-08-13)

Remove when:
    No tractor before 2026-08-13 is in use any more.
"""

from __future__ import annotations

import errno

from macfix.engine import Patch, hookimpl

from ._peer_close import TARGET, install, needed_for, repro

PATCH = Patch(
    name="transport-reset",
    targets=(TARGET,),
    summary="send() takes ECONNRESET, macOS's word for a closed peer, for a failure",
    upstream="https://github.com/goodboy/tractor/pull/480",
    remove_when="no tractor before 2026-08-13 is in use",
    needed=needed_for("ECONNRESET"),
    install=install(errno.ECONNRESET),
    repro=repro(errno.ECONNRESET),
)


@hookimpl
def macfix_patches() -> list[Patch]:
    return [PATCH]
