"""A write to a TCP peer that has closed is a failure: `EPROTOTYPE` up to macOS 11.

Problem:
    A write to a TCP connection that is being torn down is `EPROTOTYPE` ("Protocol wrong type for
    socket") up to macOS 11, and later where a network filter diverts the connection; Linux says
    `EPIPE` (`tcp_usr_send` in `bsd/netinet/tcp_usrreq.c`). `MsgpackTransport.send()`, which serves
    TCP and Unix sockets alike, knows `EPIPE`, and from 2026-08-13 `ECONNRESET`, but not this one,
    and raises it as it is.

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

from ._peer_close import diagnose_for, install_for, repro_for

diagnose = diagnose_for("EPROTOTYPE")
install = install_for(errno.EPROTOTYPE)
repro = repro_for(errno.EPROTOTYPE)
