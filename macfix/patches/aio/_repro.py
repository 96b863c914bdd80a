"""What the `repro()` of several patches needs: an infected root actor, and targets for it."""

from __future__ import annotations

import functools
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio  # loaded by whoever runs a repro: a bare `import tractor` does not


class LeftError(Exception):
    """With what a repro leaves."""


def target(function: Callable[[asyncio.Queue[Any]], Awaitable[Any]]) -> Callable[..., Any]:
    """Make a target for `open_channel_from()` that starts and then runs `function(queue)`."""

    @functools.wraps(function, assigned=("__module__", "__qualname__", "__name__"))
    async def run(to_trio: Any, from_trio: asyncio.Queue[Any]) -> None:
        to_trio.send_nowait(None)
        await function(from_trio)

    del run.__wrapped__  # it has other parameters
    return run


def run_infected(main: Callable[[Any], Awaitable[None]]) -> None:
    """Run `main(tractor.to_asyncio)` in a root actor that is infected with asyncio."""
    tractor = import_module("tractor")
    to_asyncio = import_module("tractor.to_asyncio")
    failures: list[BaseException] = []

    async def root() -> None:
        async with tractor.open_root_actor(registry_addrs=[_free_address()]) as actor:
            actor._infected_aio = True  # until 2025-03-27 a root did not know it of itself
            try:
                await main(to_asyncio)
            except Exception as error:  # upstream reports what leaves a root actor at length
                failures.append(error)

    with _quiet():
        to_asyncio.run_as_asyncio_guest(trio_main=root)
    if failures:
        raise failures[0]


def _free_address() -> tuple[str, int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return ("127.0.0.1", int(probe.getsockname()[1]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep upstream and asyncio from logging what a repro does on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
