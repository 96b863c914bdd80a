"""What the `repro()` of several patches needs: sockets of their own that leave nothing behind."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def socket_folder() -> Iterator[Path]:
    """Yield an empty folder with a path short enough for sockets (about 15 bytes)."""
    with tempfile.TemporaryDirectory(prefix="macfix-", dir="/tmp") as folder:
        yield Path(folder)


@contextmanager
def listener(backlog: int = 8) -> Iterator[tuple[socket.socket, str]]:
    """Yield a listening Unix socket and its path."""
    with socket_folder() as folder, socket.socket(socket.AF_UNIX) as sock:
        path = str(folder / "repro.sock")
        sock.bind(path)
        sock.listen(backlog)
        yield sock, path


def with_listener(use: Callable[[str], Awaitable[None]]) -> None:
    """Run `use(path)` under trio while a Unix socket listens at `path`."""
    import trio

    with listener() as (_, path):
        trio.run(use, path)


def with_connection(
    use: Callable[[Any, Any, str], Awaitable[None]], *, vanished: bool = False
) -> None:
    """Run `use(connecting, accepting, path)` under trio with both streams of a connection.

    Args:
        use: what needs the connection.
        vanished: whether the connecting end is closed before the other one is accepted.
    """
    import trio

    async def connect(sock: socket.socket, path: str) -> None:
        async with await trio.open_unix_socket(path) as connecting:
            if vanished:
                await connecting.aclose()
            accepted, _ = sock.accept()
            async with trio.SocketStream(trio.socket.from_stdlib_socket(accepted)) as accepting:
                await use(connecting, accepting, path)

    with listener() as (sock, path):
        trio.run(connect, sock, path)
