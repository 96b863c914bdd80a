"""Two actors whose sockets are visited by clients that hang up at once; says whether they live.

It prints `served` when both still answered afterwards. It then ends without taking leave: from
2025-08 to 2026-06 tractor waits for ever, on Linux too, for peers that never shook hands.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import tractor
import trio

VISITS = 40
MESSAGES = 50
PATIENCE = 30.0
SO_PASSCRED = 16
"""On Linux: what tractor's own clients set, so that the visitor has a name there."""


@tractor.context
async def echo(ctx: tractor.Context) -> None:
    """Send back whatever comes."""
    await ctx.started(os.getpid())
    async with ctx.open_stream() as stream:
        async for message in stream:
            await stream.send(message)


def visit(path: Path) -> None:
    """Connect and hang up, many times; then once wait for the first byte of the handshake.

    Connections are taken in turn: when the last visitor is greeted, all others have been met.
    """
    for _ in range(VISITS):
        connect(path).close()
    with connect(path) as client:
        client.settimeout(PATIENCE)
        assert client.recv(1), "hung up on"


def connect(path: Path) -> socket.socket:
    """Return a connection to the actor at `path`, made as tractor makes its own."""
    client = socket.socket(socket.AF_UNIX)
    if sys.platform == "linux":
        client.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
    client.connect(str(path))
    return client


def socket_of(pid: int, folder: Path) -> Path:
    """Return the socket at which process `pid` listens."""
    (path,) = folder.glob(f"*@{pid}.sock")
    return path


async def be_visited(name: str) -> list[Path]:
    """Start an actor called `name`, have it and this one visited, and return their sockets."""
    from tractor.ipc._uds import UDSAddress

    folder = Path(UDSAddress.def_bindspace)
    registry = folder / f"probed@{os.getpid()}.sock"
    async with tractor.open_nursery(
        registry_addrs=[(str(folder), registry.name)], enable_transports=["uds"]
    ) as actors:
        portal = await actors.start_actor(name, enable_modules=[__name__])
        async with portal.open_context(echo) as (context, pid):
            paths = [registry, socket_of(pid, folder)]
            async with context.open_stream() as stream:
                for path in paths:
                    await trio.to_thread.run_sync(visit, path)
                for number in range(MESSAGES):
                    await stream.send(number)
                    assert await stream.receive() == number
            leave(pid, paths)
    raise AssertionError("not reached")


def leave(child: int, sockets: list[Path]) -> None:
    """End this process and its child at once, and take their sockets away."""
    print("served", flush=True)
    os.kill(child, signal.SIGKILL)
    for path in sockets:
        path.unlink(missing_ok=True)
    os._exit(0)


async def main() -> None:
    """Fail with a traceback rather than hang."""
    with trio.fail_after(PATIENCE):
        await be_visited(sys.argv[1])


if __name__ == "__main__":
    trio.run(main)
