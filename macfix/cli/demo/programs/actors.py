"""Eight processes connect at once to one Unix socket; both sides check whom they talk to."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import trio
from tractor.ipc._chan import Channel
from tractor.ipc._uds import UDSAddress, close_listener, get_peer_info, start_listener

CHILDREN = 8
PATIENCE = 20.0
"""Seconds after which a conversation that does not come to its end is an error."""


def identity() -> list[int]:
    """What this process says of itself: pid, uid, gid."""
    return [os.getpid(), os.geteuid(), os.getegid()]


async def parent() -> None:
    """Listen, start the children, and let each say who it is."""
    address = UDSAddress.get_random()
    listener = await start_listener(address)
    met: list[int] = []

    async def meet(stream: Any) -> None:
        channel = Channel.from_stream(stream)
        said = await channel.recv()
        known = list(get_peer_info(stream.socket))
        if known != said or channel.raddr.maybe_pid != said[0]:
            raise AssertionError(f"the kernel says {known} of a peer that says {said}")
        await channel.send(identity())
        await channel.aclose()
        met.append(said[0])
        if len(met) == CHILDREN:
            nursery.cancel_scope.cancel()

    command = [sys.executable, "-m", "actors", str(address.sockpath)]
    children = [subprocess.Popen(command) for _ in range(CHILDREN)]
    try:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, meet, [listener])
        if any(child.wait(PATIENCE) for child in children):
            raise SystemExit("a child could not connect")
    finally:
        for child in children:
            child.kill()
            child.wait()
        close_listener(address, listener)
    print(f"{CHILDREN} processes met, each known by its pid, uid and gid")


async def child(path: str) -> None:
    """Connect, say who this is, and check who answers."""
    with trio.fail_after(PATIENCE):
        channel = await Channel.from_addr(path)
        await channel.send(identity())
        said = await channel.recv()
        await channel.aclose()
    if channel.raddr.maybe_pid != said[0] or said[0] != os.getppid():
        raise AssertionError(f"the address has pid {channel.raddr.maybe_pid}, the peer {said[0]}")


if __name__ == "__main__":
    if sys.argv[1:]:
        trio.run(child, sys.argv[1])
    else:
        trio.run(parent)
