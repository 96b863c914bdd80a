"""What macfix adds to opening and leaving a channel between trio and asyncio.

    python -m tests.benchmarks.bench_aio [ROUNDS]

with a tractor on PYTHONPATH. Channels with and without the patches take turns in one process, so
that both see the same machine. Times are microseconds of this process for one channel, opened and
left: the best round of each, since what disturbs a round only ever makes it longer.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from macfix import Changes
from macfix.patches.aio import abandoned_task, piker_targets

CHANNELS = 200
"""How many channels are opened and left in one round."""

MESSAGES = 50
"""How many messages go there and back in a channel that is used."""


class LeftError(Exception):
    """With what a channel is left that is left by an error."""


async def told(to_trio: Any, from_trio: asyncio.Queue[Any]) -> None:
    """Wait for the trio side, and end when told that it has gone."""
    from tractor import to_asyncio

    to_trio.send_nowait(None)
    try:
        await from_trio.get()
    except (to_asyncio.TrioTaskExited, asyncio.CancelledError):
        return


async def done(to_trio: Any, from_trio: asyncio.Queue[Any]) -> None:
    """Be done at once."""
    to_trio.send_nowait(None)


async def echo(to_trio: Any, from_trio: asyncio.Queue[Any]) -> None:
    """Send everything back, and end when told that the trio side has gone."""
    from tractor import to_asyncio

    to_trio.send_nowait(None)
    try:
        while True:
            to_trio.send_nowait(await from_trio.get())
    except (to_asyncio.TrioTaskExited, asyncio.CancelledError):
        return


async def leave_plainly(to_asyncio: Any, target: Callable[..., Any]) -> None:
    """Open a channel and let its block end."""
    async with to_asyncio.open_channel_from(target):
        pass


async def leave_by_error(to_asyncio: Any, target: Callable[..., Any]) -> None:
    """Open a channel and fail."""
    try:
        async with to_asyncio.open_channel_from(target):
            raise LeftError
    except LeftError:
        pass


async def exchange(to_asyncio: Any, target: Callable[..., Any]) -> None:
    """Open a channel and use it."""
    async with to_asyncio.open_channel_from(target) as pair:
        channel = next(part for part in pair if hasattr(part, "_aio_task"))
        for number in range(MESSAGES):
            await channel.send(number)
            await channel.receive()


Case = tuple[Callable[..., Awaitable[None]], Callable[..., Any], int]

CASES: dict[str, Case] = {
    "plain end, the task is told": (leave_plainly, told, CHANNELS),
    "plain end, the task is done": (leave_plainly, done, CHANNELS),
    "an error": (leave_by_error, told, CHANNELS),
    f"{MESSAGES} messages, then a plain end": (exchange, echo, CHANNELS // 10),
}


async def one_round(case: Case, to_asyncio: Any) -> float:
    """Return the microseconds of one channel."""
    leave, target, count = case
    begin = time.process_time()
    for _ in range(count):
        await leave(to_asyncio, target)
    return (time.process_time() - begin) / count * 1e6


async def measure(rounds: int) -> None:
    """Run all cases in an infected root actor and print what they took."""
    import tractor

    to_asyncio = import_module("tractor.to_asyncio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = ("127.0.0.1", int(probe.getsockname()[1]))
    async with tractor.open_root_actor(registry_addrs=[address], loglevel="critical"):
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        for name, case in CASES.items():
            without, patched = [], []
            for _ in range(rounds):
                without.append(await one_round(case, to_asyncio))
                changes = Changes()
                abandoned_task.install(to_asyncio, changes)
                piker_targets.install(to_asyncio, changes)
                patched.append(await one_round(case, to_asyncio))
                assert changes.revert() == []
            report(name, min(without), min(patched))


def report(name: str, without: float, patched: float) -> None:
    """Print one row."""
    more = (patched / without - 1) * 100
    print(f"{name:36} {without:9.1f} {patched:9.1f} {more:+7.1f} %", flush=True)


def main() -> None:
    """Do what the command line says."""
    from tractor import to_asyncio

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'':36} {'without':>9} {'with':>9}")
    to_asyncio.run_as_asyncio_guest(trio_main=lambda: measure(rounds))


if __name__ == "__main__":
    main()
