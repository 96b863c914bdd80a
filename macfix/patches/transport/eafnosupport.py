"""A write to a TCP peer that has closed is a failure: `EAFNOSUPPORT`, from macOS 14 on.

Problem:
    From xnu-10063 on, a write to a TCP connection that is dead may fail so, too ("Address family
    not supported by protocol family"; `tcp_usr_send` in `bsd/netinet/tcp_usrreq.c`).
    `MsgpackTransport.send()` knows none of its kind but `EPIPE` and, from 2026-08-13,
    `ECONNRESET`, and raises this one as it is.

Fix:
    `send()` is told `EPIPE`, and raises upstream's own `TransportClosed`.

Repro:
    `send()` into a stream whose writes fail with `EAFNOSUPPORT`.

Upstream:
    Not reported. Nobody has seen this on a Mac: it is read from the kernel's source.

Remove when:
    Upstream's `send()` takes `EAFNOSUPPORT` for a closed peer.
"""

from __future__ import annotations

import errno

from ._peer_close import diagnose_for, install_for, repro_for

diagnose = diagnose_for("EAFNOSUPPORT")
install = install_for(errno.EAFNOSUPPORT)
repro = repro_for(errno.EAFNOSUPPORT)
