"""What XNU says of a closed peer, as Linux says it."""

from __future__ import annotations

import errno
import os

from macfix.darwin.sockets.peer_close import PEER_CLOSED, as_broken_pipe


def test_the_errnos_of_a_closed_peer_on_unix_and_tcp() -> None:
    names = {errno.errorcode[number] for number in PEER_CLOSED}
    assert names == {"EPIPE", "ENOTCONN", "ECONNRESET", "EPROTOTYPE", "EAFNOSUPPORT"}


def test_a_broken_pipe_reads_as_the_systems_own_and_keeps_the_kernels_errno() -> None:
    error = OSError(errno.EPROTOTYPE, os.strerror(errno.EPROTOTYPE))
    broken = as_broken_pipe(error)
    assert str(broken) == str(OSError(errno.EPIPE, os.strerror(errno.EPIPE)))
    assert broken.errno == errno.EPIPE
    assert broken.__cause__ is error
