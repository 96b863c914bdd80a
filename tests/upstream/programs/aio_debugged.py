"""An asyncio task stops in a debugger while it cleans up, for longer than the grace period.

    aio_debugged.py plain|tractor

The debugger is Python's own, in a root actor, or tractor's, in a child in debug mode. The trio side
leaves by an error, so tractor's stops for that as well. Prints what happened, line by line.
"""

from __future__ import annotations

import asyncio
import pdb
import socket
import sys
from contextlib import suppress
from typing import Any

import tractor
import trio
from tractor import to_asyncio


async def relay(to_trio: Any, from_trio: asyncio.Queue[Any]) -> None:
    """Stop in the clean-up, and finish it."""
    to_trio.send_nowait("first")
    try:
        await from_trio.get()
    finally:
        if sys.argv[1:] == ["plain"]:
            pdb.set_trace()
        else:
            breakpoint()  # tractor has taken this one over
        await asyncio.sleep(0.001)
        print("cleaned up", flush=True)


async def leave() -> None:
    """Leave a channel by an error."""
    try:
        async with to_asyncio.open_channel_from(relay):
            raise ValueError("on the trio side")
    except ValueError:
        print("left", flush=True)
        raise


def free_address() -> list[tuple[str, int]]:
    """Return a registry address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return [("127.0.0.1", int(probe.getsockname()[1]))]


async def in_root() -> None:
    """Be a root actor."""
    async with tractor.open_root_actor(registry_addrs=free_address(), loglevel="critical"):
        await leave()


@tractor.context
async def in_child(ctx: tractor.Context) -> None:
    """Be a child."""
    await ctx.started()
    await leave()


async def start_child() -> None:
    """Start the child in debug mode."""
    async with tractor.open_nursery(
        registry_addrs=free_address(), debug_mode=True, maybe_enable_greenback=True
    ) as actors:
        portal = await actors.start_actor(
            "infected", enable_modules=[__name__], infect_asyncio=True
        )
        async with portal.open_context(in_child) as (ctx, _):
            await ctx.wait_for_result()


if __name__ == "__main__":
    with suppress(Exception):
        if sys.argv[1] == "plain":
            to_asyncio.run_as_asyncio_guest(trio_main=in_root)
        else:
            trio.run(start_child)
    print("ended", flush=True)
