"""A write to a Unix socket that its peer is just closing is a failure: `ENOTCONN` on macOS.

Problem:
    XNU looks twice at the state of a Unix socket that is written to. If the peer closes it between
    the two looks, the write is `ENOTCONN` ("Socket is not connected"), where Linux says `EPIPE`
    (`uipc_send` in `bsd/kern/uipc_usrreq.c`). `MsgpackTransport.send()` knows `EPIPE`, and from
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

from ._peer_close import diagnose_for, install_for, repro_for

diagnose = diagnose_for("ENOTCONN")
install = install_for(errno.ENOTCONN)
repro = repro_for(errno.ENOTCONN)
