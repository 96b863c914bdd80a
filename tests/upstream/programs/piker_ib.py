"""piker's own asyncio code for the broker `ib`, left in every way; prints one JSON line a cell.

    piker_ib.py cells PORT PART:WAY...
    piker_ib.py daemon PORT

The gateway listens at PORT. The parts are piker's users of `open_channel_from()`: `clients` (log in
and out), `proxy` (call methods), `quotes` (stream prices), `trades` (stream orders), and `scan`:
left while the second of two gateways does not answer. As a daemon it is what piker starts for a
broker: an infected child of a root that is not, with all of that open until somebody ends it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import tractor
import trio
from aio_ways import leave, names
from tractor import to_asyncio

PATIENCE = 20.0
"""Seconds after which a cell is called hung."""

CONFIG = """
[ib]
hosts = ['127.0.0.1']
ports = [{ports}]
prefer_data_account = ['paper']
[ib.accounts]
paper = 'DU1'
"""


def write_config(*ports: str) -> None:
    """Tell piker where its gateways are."""
    folder = Path(os.environ["HOME"], ".config", "piker")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "brokers.toml").write_text(CONFIG.format(ports=", ".join(ports)))


# -- piker's own context managers ------------------------------------------------------------------


@asynccontextmanager
async def clients() -> AsyncIterator[dict[str, Any]]:
    """Log in everywhere; yield the clients by account."""
    from piker.brokers.ib import api

    async with to_asyncio.open_channel_from(api.load_clients_for_trio) as pair:
        yield next(part for part in pair if isinstance(part, dict))


@asynccontextmanager
async def proxy() -> AsyncIterator[Any]:
    """Log in, and open the relay for method calls."""
    from piker.brokers.ib import api

    async with clients() as found:
        (client,) = found.values()
        async with api.open_client_proxy(client) as methods:
            yield methods


@asynccontextmanager
async def quotes() -> AsyncIterator[Any]:
    """Log in, and stream prices until one has come."""
    from ib_insync import Stock
    from piker.brokers.ib import feed

    async with clients():
        contract = Stock("SYNT", "SMART", "USD", conId=7)
        async with feed.open_aio_quote_stream("synt", contract=contract) as stream:
            await stream.receive()
            yield stream


@asynccontextmanager
async def trades() -> AsyncIterator[Any]:
    """Log in, and stream orders."""
    from piker.brokers.ib import broker

    async with clients() as found, trio.open_nursery() as nursery:
        (client,) = found.values()
        yield await nursery.start(broker.open_trade_event_stream, client)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def scan() -> AsyncIterator[None]:
    """Log in where nobody answers, after logging in where somebody does."""
    from piker.brokers.ib import api

    async with trio.open_nursery() as nursery:

        async def log_in() -> None:
            async with clients():
                raise AssertionError("nobody answers, and it is logged in")

        nursery.start_soon(log_in)
        while not api._client_cache:
            await trio.sleep(0.01)
        yield
        nursery.cancel_scope.cancel()


PARTS: dict[str, Callable[[], Any]] = {
    "clients": clients,
    "proxy": proxy,
    "quotes": quotes,
    "trades": trades,
    "scan": scan,
}


# -- cells -----------------------------------------------------------------------------------------


async def run_cell(name: str, port: str, silent: str) -> None:
    """Run one cell and print its line."""
    from piker.brokers.ib import api

    part, way = name.split(":")
    write_config(port, *([silent] if part == "scan" else []))
    seen: dict[str, Any] = {"cell": name, "raised": []}
    logged_in: list[Any] = []
    with trio.CancelScope() as outside, trio.move_on_after(PATIENCE) as patience:
        try:
            async with PARTS[part]():
                logged_in = [client.ib for client in api._client_cache.values()]
                await leave(way, outside)
        except BaseException as error:
            seen["raised"] = names(error)
            if isinstance(error, trio.Cancelled):
                raise
        finally:
            seen["hung"] = patience.cancel_called
            seen["clients"] = len(logged_in)
            seen["connected"] = sum(broker.client.isConnected() for broker in logged_in)
            api._client_cache.clear()
            api._accounts2clients.clear()
            print(json.dumps(seen), flush=True)


async def run_cells(cells: list[str], port: str, silent: str) -> None:
    """Run cells in an infected root actor."""
    async with tractor.open_root_actor(registry_addrs=free_address(), loglevel="critical"):
        for name in cells:
            await run_cell(name, port, silent)


def free_address() -> list[tuple[str, int]]:
    """Return a registry address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return [("127.0.0.1", int(probe.getsockname()[1]))]


def be_cells(port: str, cells: list[str]) -> None:
    """Run the cells: those with a signal each in an actor of its own, which it ends."""
    together = [name for name in cells if not name.endswith("sigint")]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # and never accepts
        silent = str(listener.getsockname()[1])
        for batch in [together, *([name] for name in cells if name not in together)]:
            if batch:
                to_asyncio.run_as_asyncio_guest(
                    trio_main=lambda batch=batch: run_cells(batch, port, silent)
                )


# -- as a daemon -----------------------------------------------------------------------------------


@tractor.context
async def serve(ctx: tractor.Context) -> None:
    """Have everything open, say so, and wait for the end."""
    from ib_insync import Stock
    from piker.brokers.ib import api, broker, feed

    async with AsyncExitStack() as stack:
        _, found = await stack.enter_async_context(api.open_client_proxies())
        contract = Stock("SYNT", "SMART", "USD", conId=7)
        stream = feed.open_aio_quote_stream("synt", contract=contract)
        await (await stack.enter_async_context(stream)).receive()
        nursery = await stack.enter_async_context(trio.open_nursery())
        for client in found.values():
            await nursery.start(broker.open_trade_event_stream, client)
        await ctx.started()
        await trio.sleep_forever()


async def be_root() -> None:
    """Start the daemon's actor and wait for it."""
    async with tractor.open_nursery(registry_addrs=free_address(), loglevel="critical") as actors:
        portal = await actors.start_actor(
            "brokerd.ib", enable_modules=["piker_ib"], infect_asyncio=True
        )
        async with portal.open_context(serve) as (ctx, _):
            print("ready", flush=True)
            await ctx.wait_for_result()


def be_daemon(port: str) -> None:
    """Run until interrupted."""
    write_config(port)
    import piker_ib  # by the name by which the child knows it

    with suppress(KeyboardInterrupt, tractor.ContextCancelled):
        trio.run(piker_ib.be_root)


if __name__ == "__main__":
    role, port, *cells = sys.argv[1:]
    if role == "daemon":
        be_daemon(port)
    else:
        be_cells(port, cells)
