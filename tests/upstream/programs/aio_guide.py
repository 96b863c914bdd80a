"""The guide's own test: raise KeyboardInterrupt inside an open channel, and see what comes out.

Prints a JSON object: what came out of the channel's block, out of the whole program, and whether
the asyncio side was done with its clean-up in between.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import tractor
from tractor import to_asyncio

REPORT: dict[str, Any] = {
    "block": None,
    "program": None,
    "cleaned": False,
    "cleaned in time": False,
}


async def relay(to_trio: Any, from_trio: asyncio.Queue[Any]) -> None:
    """Send back what comes, and take a while to clean up."""
    to_trio.send_nowait("first")
    try:
        while True:
            to_trio.send_nowait(await from_trio.get())
    finally:
        await asyncio.sleep(0.01)
        REPORT["cleaned"] = True


def names(error: BaseException | None) -> list[str]:
    """Return the names of the exception, of its causes and of its contexts."""
    if error is None:
        return []
    return [type(error).__name__, *names(error.__cause__), *names(error.__context__)]


async def main() -> None:
    """Open a channel, use it, and interrupt it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = ("127.0.0.1", int(probe.getsockname()[1]))
    async with tractor.open_root_actor(registry_addrs=[address], loglevel="critical"):
        try:
            async with to_asyncio.open_channel_from(relay) as pair:
                channel = next(part for part in pair if hasattr(part, "_aio_task"))
                await channel.send("message")
                assert await channel.receive() == "message"
                raise KeyboardInterrupt
        except BaseException as error:
            REPORT["block"] = names(error)
            REPORT["cleaned in time"] = REPORT["cleaned"]
            raise


if __name__ == "__main__":
    try:
        to_asyncio.run_as_asyncio_guest(trio_main=main)
    except BaseException as error:
        REPORT["program"] = type(error).__name__
    print(json.dumps(REPORT))
