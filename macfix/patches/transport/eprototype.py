"""A write to a TCP peer that has closed is a failure: `EPROTOTYPE` up to macOS 11.

Problem:
    A write to a TCP connection that is being torn down fails so ("Protocol wrong type for socket";
    `tcp_usr_send` in `bsd/netinet/tcp_usrreq.c`), and later where a network filter diverts it.
    `MsgpackTransport.send()` knows `EPIPE`, as Linux says, and from 2026-08-13 `ECONNRESET`, and
    raises this one as it is.

Fix:
    `send()` is told `EPIPE`, and raises upstream's own `TransportClosed`. The write is never tried
    again: libuv retried for ever.

Repro:
    `send()` into a stream whose writes fail with `EPROTOTYPE`.

Upstream:
    Not reported to tractor; https://github.com/libuv/libuv/pull/3413 is the same defect there.

Remove when:
    Upstream's `send()` takes `EPROTOTYPE` for a closed peer.
"""

from __future__ import annotations

import errno

from ._peer_close import diagnose_for, install_for, repro_for

diagnose = diagnose_for("EPROTOTYPE")
install = install_for(errno.EPROTOTYPE)
repro = repro_for(errno.EPROTOTYPE)
