"""What a socket is, and what may be its address: shared by all that simulates Unix sockets."""

from __future__ import annotations

import _socket
import errno
import os

from ._constants import SUN_PATH_SIZE
from ._errors import error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BASE = _socket.socket
"""The class of the extension module, whose methods are Linux's."""

SOL_SOCKET = _socket.SOL_SOCKET

_family_of = BASE.family.__get__
_type_of = BASE.type.__get__


def is_unix(sock: Any) -> bool:
    """Say whether `sock` is a Unix socket."""
    return bool(_family_of(sock) == _socket.AF_UNIX)


def is_stream(sock: Any) -> bool:
    """Say whether `sock` is a Unix stream socket."""
    return bool(_family_of(sock) == _socket.AF_UNIX and _type_of(sock) & 0xF == _socket.SOCK_STREAM)


def check_path(address: Any) -> Any:
    """Refuse what a Mac's ``sockaddr_un`` cannot hold, and the abstract names it does not have."""
    if isinstance(address, str):
        raw = os.fsencode(address)
    elif isinstance(address, (bytes, bytearray, memoryview)):
        raw = bytes(address)
    else:
        return address  # the real call says what is wrong with it
    if len(raw) >= SUN_PATH_SIZE:
        raise OSError("AF_UNIX path too long")
    if raw[:1] in (b"", b"\0"):
        raise error(errno.ENOENT)  # namei() of an empty path
    return address
