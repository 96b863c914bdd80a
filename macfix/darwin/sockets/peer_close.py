"""The errnos with which XNU reports that the peer of a connection has closed it.

On Linux a write to a closed peer is `EPIPE`. On XNU it depends on the kind of socket:

- A **Unix** socket: `EPIPE`, or `ENOTCONN` where the peer closed between the kernel's two looks at
  its state, and nothing else (`sosendcheck` in `bsd/kern/uipc_socket.c`, `uipc_send` in
  `bsd/kern/uipc_usrreq.c`; xnu-6153 to 11417).
- **TCP**: `EPIPE`, and where the connection's control block is dead (`tcp_usr_send` in
  `bsd/netinet/tcp_usrreq.c`) `EPROTOTYPE` up to xnu-7195, `ECONNRESET` from xnu-8019 (macOS 12),
  from xnu-10063 also `EAFNOSUPPORT`. Later `EPROTOTYPE` comes only with NECP's flow divert. Nothing
  can be sent any more: a write that is tried again meets the same, or `EPIPE`.
"""

from __future__ import annotations

import errno

PEER_CLOSED = frozenset(
    {errno.EPIPE, errno.ENOTCONN, errno.ECONNRESET, errno.EPROTOTYPE, errno.EAFNOSUPPORT}
)
"""What a failed write may report when the peer has closed the connection, on either kind."""


def as_broken_pipe(error: OSError) -> BrokenPipeError:
    """Return what Linux would have raised in place of `error`, with `error` as its cause."""
    broken = BrokenPipeError(errno.EPIPE, "Broken pipe")
    broken.__cause__ = error
    return broken
