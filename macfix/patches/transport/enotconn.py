"""A write to a Unix socket that its peer is just closing is a failure: `ENOTCONN` on macOS.

Problem:
    XNU looks twice at the state of a Unix socket that is written to, and the peer may close it
    between the two ("Socket is not connected"; `uipc_send` in `bsd/kern/uipc_usrreq.c`).
    `MsgpackTransport.send()` knows `EPIPE`, as Linux says, and from 2026-08-13 `ECONNRESET`, and
    raises this one as it is.

Fix:
    `send()` is told `EPIPE`, and raises upstream's own `TransportClosed`.

Repro:
    `send()` into a stream whose writes fail with `ENOTCONN`.

Upstream:
    Not reported.

Remove when:
    Upstream's `send()` takes `ENOTCONN` for a closed peer.
"""

from __future__ import annotations

import errno

from ._peer_close import diagnose_for, install_for, repro_for

diagnose = diagnose_for("ENOTCONN")
install = install_for(errno.ENOTCONN)
repro = repro_for(errno.ENOTCONN)
