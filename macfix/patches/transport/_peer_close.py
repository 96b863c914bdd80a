"""The acts of the patches of `MsgpackTransport.send()`: an errno told as the one upstream knows."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.sockets.peer_close import as_broken_pipe
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import contains, function, has_constant

SEND = "MsgpackTransport.send"

ONLY_TEXT = "[Errno 32] Broken pipe"
"""What `send()` looks for, before 2026-08-13, in the text of an error."""

BY_ERRNO = "_peer_closed_errno"
"""The function that looks for errnos in an error, since 2026-08-13."""


def diagnose_for(name: str) -> Callable[[Source], Diagnosis]:
    """Return a `diagnose()` that says whether `send()` takes the errno `name` for a failure."""

    def diagnose(source: Source) -> Diagnosis:
        send = function(source.tree, SEND)
        if send is None:
            return not_needed(f"it has no {SEND}()")
        by_errno = function(source.tree, BY_ERRNO)
        if by_errno is not None:
            if contains(by_errno, f"errno.{name}"):
                return not_needed(f"send() takes {name} for a closed peer")
            if contains(by_errno, "errno.EPIPE"):
                return needed(f"{BY_ERRNO}() looks for EPIPE, but not for {name}")
            return unknown(f"{BY_ERRNO}() does not look for EPIPE")
        if has_constant(send, ONLY_TEXT):
            return needed("send() looks for the text of EPIPE only")
        if contains(send, "trio.BrokenResourceError"):
            return unknown("how send() knows a peer that has gone is not known")
        return not_needed("send() expects no peer to go, on no platform")

    return diagnose


def install_for(number: int) -> Callable[[ModuleType, Changes], None]:
    """Return an `install()` that tells the errno `number` of a failed write as `EPIPE`.

    Upstream has one branch for `EPIPE`, which raises its `TransportClosed` with arguments that
    differ from version to version. It is reached, rather than imitated, by telling the errno
    where the stream meets the kernel: what `send()` sees is what Linux would have said, with the
    kernel's own error as its cause. A transport keeps this for as long as it lives.
    """

    def init(wrapped: Wrapped, instance: Any, args: Args, kwargs: Kwargs) -> None:
        wrapped(*args, **kwargs)
        stream = instance.stream
        with suppress(AttributeError):  # no socket's stream: its writes have no errno to tell
            stream.send_all = _telling(stream.send_all, number)

    def install(module: ModuleType, changes: Changes) -> None:
        changes.wrap(module.MsgpackTransport, "__init__", init)

    return install


def _telling(send_all: Callable[..., Any], number: int) -> Callable[..., Any]:
    async def send_all_or_broken_pipe(data: bytes | bytearray | memoryview) -> None:
        import trio

        try:
            await send_all(data)
        except trio.BrokenResourceError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno == number:
                broken = as_broken_pipe(cause)
                raise trio.BrokenResourceError(f"socket connection broken: {broken}") from broken
            raise

    return send_all_or_broken_pipe


def repro_for(number: int) -> Callable[[], None]:
    """Return a `repro()` that sends into a stream whose writes fail with the errno `number`.

    It fails if that is not told as upstream's `TransportClosed`.
    """

    def repro() -> None:
        import trio

        trio.run(_send_into_failure, number)

    return repro


async def _send_into_failure(number: int) -> None:
    import trio

    async def send_all(data: bytes) -> None:
        error = OSError(number, errno.errorcode[number])
        raise trio.BrokenResourceError(f"socket connection broken: {error}") from error

    transport_module = import_module("tractor.ipc._transport")
    closed = import_module("tractor._exceptions").TransportClosed

    class Transport(transport_module.MsgpackTransport):  # type: ignore[misc, name-defined]
        @classmethod
        def get_stream_addrs(cls, stream: object) -> tuple[None, None]:
            return (None, None)

    try:
        await Transport(SimpleNamespace(send_all=send_all)).send(None, strict_types=False)
    except closed:
        return
    raise AssertionError(f"a failing write with errno {number} went unnoticed")
