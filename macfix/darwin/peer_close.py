"""The errnos with which XNU reports that the peer of a connection has gone.

Linux says `EPIPE` to a write whose reader has closed. So does XNU, and three things more:

- `ENOTCONN`: the peer of a Unix socket closed between the kernel's two looks at its state
  (`sosendcheck` in `bsd/kern/uipc_socket.c`, `uipc_send` in `bsd/kern/uipc_usrreq.c`).
- `ECONNRESET`: reported by others for a peer that closed before the write got there.
- `EPROTOTYPE`: reported by others for a socket that is being torn down while the write gets
  there. Nothing can be sent any more: a write that is tried again meets it again, or `EPIPE`.
  libuv retried for ever once, and maps it to `ECONNRESET` since (libuv pull request 3413).
"""

from __future__ import annotations

import errno

PEER_CLOSED = frozenset({errno.EPIPE, errno.ENOTCONN, errno.ECONNRESET, errno.EPROTOTYPE})
"""What a failed write may say when the peer has gone."""


def as_broken_pipe(error: OSError) -> BrokenPipeError:
    """Return what Linux would have raised in place of `error`, with `error` as its cause."""
    broken = BrokenPipeError(errno.EPIPE, "Broken pipe")
    broken.__cause__ = error
    return broken
