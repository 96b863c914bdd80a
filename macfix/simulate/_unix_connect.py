"""Unix sockets' addresses, connections and backlogs as XNU has them.

Methods for ``socket.socket``; file names are those of xnu's ``bsd/kern``.
"""

from __future__ import annotations

import _socket
import errno
import functools
import stat
from collections.abc import Callable

from . import _linux, _peers
from ._constants import SOMAXCONN
from ._errors import error
from ._unix import BASE, check_path, is_stream, is_unix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SEQPACKET = _socket.SOCK_SEQPACKET


def _is_other_file(address: Any) -> bool:
    try:
        return not stat.S_ISSOCK(_linux.stat(address).st_mode)
    except (OSError, TypeError, ValueError):
        return False


def refusing_seqpacket(real_init: Callable[..., None]) -> Callable[..., None]:
    def init(
        self: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
    ) -> None:
        if fileno is None and family == _socket.AF_UNIX and type == _SEQPACKET:
            raise error(errno.EPROTONOSUPPORT)  # uipc_proto.c has no such switch
        real_init(self, family, type, proto, fileno)

    return init


def bind(self: Any, address: Any, /) -> None:
    BASE.bind(self, check_path(address) if is_unix(self) else address)


def connect(self: Any, address: Any, /) -> None:
    if is_unix(self):
        check_path(address)
        if is_stream(self) and self.fileno() >= 0:
            _connect_stream(self, address)
            return
    BASE.connect(self, address)


def connect_ex(self: Any, address: Any, /) -> int:
    if not is_stream(self):
        if is_unix(self):
            check_path(address)
        return int(BASE.connect_ex(self, address))
    try:
        connect(self, address)
    except OSError as failed:
        if failed.errno is None:
            raise
        return failed.errno
    return 0


def listen(self: Any, backlog: int = SOMAXCONN, /) -> None:
    if is_stream(self):
        # solisten: nothing, and too much, are the limit. Linux admits one more than it is told.
        BASE.listen(self, (backlog if 0 < backlog <= SOMAXCONN else SOMAXCONN) - 1)
    else:
        BASE.listen(self, backlog)


def _accept(self: Any) -> tuple[int, Any]:
    fd, address = BASE._accept(self)  # type: ignore[attr-defined]
    if address and is_stream(self):
        address = _name_of_accepted(fd, address)
    return fd, address


def _connect_stream(sock: Any, address: Any) -> None:
    """Connect without waiting for a full backlog: unp_connect, sonewconn."""
    fd = sock.fileno()
    blocking = _linux.get_blocking(fd)
    if blocking:
        _linux.set_blocking(fd, False)
    try:
        BASE.connect(sock, address)
    except BlockingIOError:
        raise error(errno.ECONNREFUSED) from None
    except ConnectionRefusedError:
        if _is_other_file(address):
            raise error(errno.ENOTSOCK) from None
        raise
    finally:
        if blocking:
            _linux.set_blocking(fd, True)


def _name_of_accepted(fd: int, address: Any) -> Any:
    """Return the peer's address as uipc_accept has it: none if the peer closed meanwhile."""
    if isinstance(address, bytes):
        return ""
    accepted = BASE(fileno=fd)
    try:
        return "" if _peers.peer_is_closed(accepted) else address
    finally:
        accepted.detach()


def without_seqpacket(socketpair: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(socketpair)
    def call(family: int | None = None, type: int = _socket.SOCK_STREAM, proto: int = 0) -> Any:
        if type == _SEQPACKET:
            raise error(errno.EPROTONOSUPPORT)
        return socketpair(family, type, proto)

    return call


def getsockname(self: Any) -> Any:
    name = BASE.getsockname(self)
    return "" if isinstance(name, bytes) and is_unix(self) else name


def getpeername(self: Any) -> Any:
    name = BASE.getpeername(self)
    if is_stream(self):
        if _peers.shut_both_ways(self):
            raise error(errno.EINVAL)  # uipc_syscalls.c getpeername
        if isinstance(name, bytes):
            return ""
    return name


METHODS = (bind, connect, connect_ex, listen, _accept, getsockname, getpeername)
