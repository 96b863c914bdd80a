"""Options of Unix sockets as XNU has them, and those of Linux that it has not.

Methods for ``socket.socket``; file names are those of xnu's ``bsd/kern``.
"""

from __future__ import annotations

import _socket
import errno
import sys

from . import _peers
from ._errors import error
from ._unix import BASE, SOL_SOCKET, is_stream, is_unix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LINUX_OPTIONS = frozenset(
    {
        _peers.SO_PEERCRED,
        _peers.SO_PEERSEC,
        _peers.SO_PASSSEC,
        _peers.SO_PEERGROUPS,
        _peers.SO_PASSPIDFD,
        _peers.SO_PEERPIDFD,
    }
)


def getsockopt(self: Any, level: int, optname: int, buflen: int = 0, /) -> int | bytes:
    if level == SOL_SOCKET:
        if optname in _LINUX_OPTIONS:
            raise error(errno.ENOPROTOOPT)
        if optname == _peers.SO_PASSCRED:  # XNU's SO_DONTROUTE
            return bytes(4)[:buflen] if buflen else 0
        if optname == _socket.SO_ERROR and is_stream(self):
            return _get_error(self, buflen)
    elif is_unix(self):
        return _get_local(self, optname, buflen)
    return BASE.getsockopt(self, level, optname, *((buflen,) if buflen else ()))


def setsockopt(self: Any, level: int, optname: int, /, *value: Any) -> None:
    if is_unix(self):
        if is_stream(self) and _peers.has_peer(self) and _peers.shut_both_ways(self):
            raise error(errno.EINVAL)  # sosetoptlock
        if level != SOL_SOCKET:
            raise error(errno.EOPNOTSUPP)  # uipc_ctloutput
    if level == SOL_SOCKET:
        if optname in _LINUX_OPTIONS:
            raise error(errno.ENOPROTOOPT)
        if optname == _peers.SO_PASSCRED:  # XNU's SO_DONTROUTE: accepted, of no effect here
            return
    BASE.setsockopt(self, level, optname, *value)


def _get_error(sock: Any, buflen: int) -> int | bytes:
    """Return SO_ERROR without ECONNRESET: unp_disconnect leaves no error with the peer."""
    found = int(BASE.getsockopt(sock, SOL_SOCKET, _socket.SO_ERROR))
    number = 0 if found == errno.ECONNRESET else found
    return number.to_bytes(4, sys.byteorder)[:buflen] if buflen else number


def _get_local(sock: Any, optname: int, buflen: int) -> int | bytes:
    """Answer like ``getsockopt``: an int without a buffer's length, else at most that many bytes.

    A buffer that is too short gets the beginning, without an error: sooptcopyout.
    """
    if buflen < 0 or buflen > 1024:
        raise OSError("getsockopt buflen out of range")
    answer = _peers.local_option(sock, optname)
    if buflen:
        return answer[:buflen]
    return int.from_bytes(answer[:4], sys.byteorder, signed=True)


METHODS = (getsockopt, setsockopt)
