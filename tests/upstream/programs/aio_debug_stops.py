"""A child in debug mode with a channel: it stops in tractor's debugger, and is let go on.

    aio_debug_stops.py error|crash|pause|breakpoint

The trio side fails or pauses, the asyncio side fails or comes to a breakpoint. Prints what happens.
How often the debugger asked is for the reader of the terminal to count.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from typing import Any

import tractor
import trio
from tractor import to_asyncio


async def relay(to_trio: Any, from_trio: asyncio.Queue[Any], kind: str) -> None:
    """Start, do what the kind says, and clean up."""
    to_trio.send_nowait("first")
    try:
        if kind == "crash":
            raise ValueError("on the asyncio side")
        if kind == "breakpoint":
            await asyncio.sleep(0)
            breakpoint()  # tractor has taken this one over
            to_trio.send_nowait("after the breakpoint")
        await from_trio.get()
    finally:
        await asyncio.sleep(0.001)
        print("cleaned up", flush=True)


@tractor.context
async def in_child(ctx: tractor.Context, kind: str) -> None:
    """Open the channel and do what the kind says."""
    await ctx.started()
    async with to_asyncio.open_channel_from(relay, kind=kind) as pair:
        channel = next(part for part in pair if hasattr(part, "_aio_task"))
        if kind == "error":
            raise ValueError("on the trio side")
        if kind == "pause":
            await tractor.pause()
        if kind == "breakpoint":
            await channel.receive()
        if kind == "crash":
            await trio.sleep_forever()


async def start_child(kind: str) -> None:
    """Start the child in debug mode."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = ("127.0.0.1", int(probe.getsockname()[1]))
    async with tractor.open_nursery(
        registry_addrs=[address], debug_mode=True, maybe_enable_greenback=True
    ) as actors:
        portal = await actors.start_actor(
            "infected", enable_modules=[__name__], infect_asyncio=True
        )
        async with portal.open_context(in_child, kind=kind) as (ctx, _):
            await ctx.wait_for_result()
        await portal.cancel_actor()


if __name__ == "__main__":
    with suppress(Exception):
        trio.run(start_child, sys.argv[1])
    print("ended", flush=True)
