"""How Unix sockets end and what they say then: shutdown, writing, reading as XNU has them.

Methods for ``socket.socket``; file names are those of xnu's ``bsd/kern``.
"""

from __future__ import annotations

import _socket
import errno
from collections.abc import Callable

from . import _peers
from ._errors import error
from ._unix import BASE, SOL_SOCKET, check_path, is_stream, is_unix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def shutdown(self: Any, how: int, /) -> None:
    if how in _HOWS and is_unix(self):
        if not _peers.has_peer(self):
            raise error(errno.ENOTCONN)  # soshutdown
        if is_stream(self):
            _shut_stream(self, how)
            return
    BASE.shutdown(self, how)


_HOWS = (_socket.SHUT_RD, _socket.SHUT_WR, _socket.SHUT_RDWR)


def _shut_stream(sock: Any, how: int) -> None:
    """Shut down as soshutdownlock_final does: what is shut already is ENOTCONN, and ends it."""
    if _peers.peer_is_closed(sock):
        raise error(errno.ENOTCONN)
    if how != _socket.SHUT_WR and _peers.shut_for_reading(sock):
        raise error(errno.ENOTCONN)
    if how != _socket.SHUT_RD and _peers.shut_for_writing(sock):
        if how == _socket.SHUT_RDWR:
            BASE.shutdown(sock, _socket.SHUT_RD)
        raise error(errno.ENOTCONN)
    BASE.shutdown(sock, how)


def writing(closed: int) -> dict[str, Callable[..., Any]]:
    """A write to a closed peer is `closed`, whether Linux says EPIPE or ECONNRESET."""

    def guard(name: str) -> Callable[..., Any]:
        real = getattr(BASE, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return real(self, *args, **kwargs)
            except (BrokenPipeError, ConnectionResetError) as failed:
                if failed.errno == closed or not is_stream(self):
                    raise
            raise error(closed)

        return call

    methods = {name: guard(name) for name in ("send", "sendall")}
    guarded_to, guarded_message = guard("sendto"), guard("sendmsg")

    def sendto(self: Any, data: Any, /, *args: Any) -> Any:
        if args and is_unix(self):
            check_path(args[-1])
        return guarded_to(self, data, *args)

    def sendmsg(
        self: Any, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /
    ) -> Any:
        if is_unix(self):
            ancdata = [*ancdata]
            if any(item[:2] != (SOL_SOCKET, _socket.SCM_RIGHTS) for item in ancdata):
                raise error(errno.EINVAL)  # unp_internalize
            if address is not None:
                check_path(address)
        return guarded_message(self, buffers, ancdata, flags, address)

    return {**methods, "sendto": sendto, "sendmsg": sendmsg}


def reading() -> dict[str, Callable[..., Any]]:
    """XNU reads to the end of what a closed peer has sent, then says so: soreceive.

    Linux says ECONNRESET once if the peer closed without reading everything, and EINVAL where XNU
    says ENOTCONN. And the sender of a datagram that has no name is ``''``, not None.
    """

    def guard(name: str, end: Any) -> Callable[..., Any]:
        real = getattr(BASE, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return real(self, *args, **kwargs)
            except ConnectionResetError:
                if not is_stream(self):
                    raise
                return end
            except OSError as failed:
                if failed.errno == errno.EINVAL and is_stream(self) and not _peers.has_peer(self):
                    raise error(errno.ENOTCONN) from None
                raise

        return call

    def with_sender(name: str, end: Any, place: int) -> Callable[..., Any]:
        guarded = guard(name, end)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            got = guarded(self, *args, **kwargs)
            if (got[place] is None or got[place].__class__ is bytes) and is_unix(self):
                sender = None if is_stream(self) else ""
                return (*got[:place], sender, *got[place + 1 :])
            return got

        return call

    return {
        "recv": guard("recv", b""),
        "recv_into": guard("recv_into", 0),
        "recvfrom": with_sender("recvfrom", (b"", None), 1),
        "recvfrom_into": with_sender("recvfrom_into", (0, None), 1),
        "recvmsg": with_sender("recvmsg", (b"", [], 0, None), 3),
        "recvmsg_into": with_sender("recvmsg_into", (0, [], 0, None), 3),
    }
