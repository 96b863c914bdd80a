"""A client that hangs up right after connecting takes down the whole server of an actor.

Problem:
    `MsgpackUDSStream.get_stream_addrs()` asks for the peer's name as soon as a connection is
    accepted, and catches no error. When the client has closed it by then, as probes for a registrar
    do, XNU's `getpeername()` says `EINVAL` (or `ENOTCONN`), where Linux still gives a name.

Fix:
    The accepting side knows the path from its own end, and the pid of the peer is unknown (None).
    The handshake that follows ends in `TransportClosed`, which upstream expects. The connecting
    side, which knows no name then, gets a `ConnectionResetError`.

Repro:
    `get_stream_addrs()` on an accepted connection whose other end is closed.

Upstream:
    Not reported.

Remove when:
    Upstream guards its `getpeername()`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, guarded_by_except

from ._peer import METHOD, addresses, get_stream_addrs_in
from ._repro import with_connection

GONE = frozenset({errno.EINVAL, errno.ENOTCONN})
"""What XNU's `getpeername()` says of a connection whose other end is closed."""


def diagnose(source: Source) -> Diagnosis:
    method = get_stream_addrs_in(source)
    if isinstance(method, Diagnosis):
        return method
    questions = calls(method, "getpeername")
    if len(questions) != 1:
        return unknown(f"{METHOD}() does not ask once for the peer's name")
    if guarded_by_except(method, questions[0]):
        return not_needed("it expects getpeername() to fail")
    return needed(f"line {questions[0].lineno} asks for the name of a peer that may have gone")


def install(module: ModuleType, changes: Changes) -> None:
    def get_stream_addrs(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        try:
            return wrapped(*args, **kwargs)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return _addresses(module.UDSAddress, error, *args, **kwargs)

    changes.wrap(module.MsgpackUDSStream, "get_stream_addrs", get_stream_addrs)


def _addresses(address: Callable[..., Any], error: OSError, stream: Any) -> tuple[Any, Any]:
    own_name = stream.socket.getsockname()
    if not own_name:
        raise ConnectionResetError(
            errno.ECONNRESET, "the listener closed this Unix socket before its name could be read"
        ) from error
    return addresses(address, own_name, None)


def repro() -> None:
    uds = import_module("tractor.ipc._uds")

    async def look(connecting: Any, accepting: Any, path: str) -> None:
        _, remote = uds.MsgpackUDSStream.get_stream_addrs(accepting)
        seen = (str(remote.sockpath), remote.maybe_pid)
        assert seen in {(path, None), (path, os.getpid())}, f"{seen}, not {path} and no pid"

    with_connection(look, vanished=True)
