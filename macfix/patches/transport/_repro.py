"""The `repro()` of the patches of `MsgpackTransport.send()`: a write that fails with an errno."""

from __future__ import annotations

import errno
from collections.abc import Callable
from importlib import import_module


def repro_for(number: int) -> Callable[[], None]:
    """Return a `repro()` that sends into a stream which fails with the errno `number`.

    It fails if that is not told as upstream's `TransportClosed`.
    """

    def repro() -> None:
        import trio

        trio.run(_send_into_failure, number)

    return repro


async def _send_into_failure(number: int) -> None:
    import trio

    class FailingStream(trio.abc.Stream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            try:
                raise OSError(number, errno.errorcode[number])
            except OSError as error:
                raise trio.BrokenResourceError(f"socket connection broken: {error}") from error

        async def wait_send_all_might_not_block(self) -> None:
            await trio.lowlevel.checkpoint()

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.lowlevel.checkpoint()
            return b""

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    transport_module = import_module("tractor.ipc._transport")
    closed = import_module("tractor._exceptions").TransportClosed

    class Transport(transport_module.MsgpackTransport):  # type: ignore[misc, name-defined]
        @classmethod
        def get_stream_addrs(cls, stream: object) -> tuple[None, None]:
            return (None, None)

    try:
        await Transport(FailingStream()).send(None, strict_types=False)
    except closed:
        return
    raise AssertionError(f"a failing write with errno {number} went unnoticed")
