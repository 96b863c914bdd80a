"""A write to a TCP peer that has closed is a failure: `ECONNRESET` from macOS 12 on.

Problem:
    `MsgpackTransport.send()` knows a peer that has closed by the text `[Errno 32] Broken pipe`, and
    raises this errno (`tcp_usr_send` in `bsd/netinet/tcp_usrreq.c`) as it is: a probe that hangs up
    early takes down the server of the actor that it probed.

Fix:
    `send()` is told `EPIPE`, and raises upstream's own `TransportClosed`. The receiving side knows
    both.

Repro:
    `send()` into a stream whose writes fail with `ECONNRESET`.

Upstream:
    https://github.com/goodboy/tractor/pull/480 (commit 64e820e1, 2026-08-13)

Remove when:
    No tractor before 2026-08-13 is in use any more.
"""

from __future__ import annotations

import errno

from ._peer_close import diagnose_for, install_for, repro_for

diagnose = diagnose_for("ECONNRESET")
install = install_for(errno.ECONNRESET)
repro = repro_for(errno.ECONNRESET)
