"""What several patches share: the pid of a connection's peer, and the addresses of both ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from macfix import Diagnosis, Source, not_needed, unknown
from macfix.darwin.sockets.credentials import PeerGoneError, peer_pid
from macfix.engine.syntax import Function, contains, function, mentions

METHOD = "MsgpackUDSStream.get_stream_addrs"

_ADDRESS = "UDSAddress(filedir=filedir, filename=filename, maybe_pid=peer_pid)"
"""How upstream makes the far address, and so how these patches may make one."""


def get_stream_addrs_in(source: Source) -> Function | Diagnosis:
    """Return the `get_stream_addrs()` that makes addresses as `addresses` does.

    Where there is none, return what both patches have to say of that.
    """
    method = function(source.tree, METHOD)
    if method is None:
        return not_needed(f"it has no {METHOD}()")
    if contains(method, _ADDRESS):
        return method
    if mentions(method, "UDSAddress"):
        return unknown(f"how {METHOD}() makes addresses is not known")
    return not_needed(f"{METHOD}() gives names, not addresses")


def pid_or_unknown(sock: Any) -> int | None:
    """Return the pid of the peer of `sock` as the kernel knows it, or None if that has gone."""
    try:
        return peer_pid(sock)
    except PeerGoneError:
        return None


def addresses(address: Callable[..., Any], path: str, peer_pid: int | None) -> tuple[Any, Any]:
    """Return the near and the far address of a connection through the socket at `path`."""
    filedir, filename = Path(path).parent, Path(path).name
    return (
        address(filedir=filedir, filename=filename, maybe_pid=os.getpid()),
        address(filedir=filedir, filename=filename, maybe_pid=peer_pid),
    )
