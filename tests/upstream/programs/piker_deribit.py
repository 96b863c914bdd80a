"""piker's own asyncio code for `deribit`, left in every way; prints one JSON line a cell.

    piker_deribit.py PART:WAY...

The parts are piker's users of `open_channel_from()`: `price` and `order` feeds. Feeds come over a
local socket from a stand-in for `cryptofeed`, which piker does not require; its handler says
goodbye when it is stopped, and the server notes whether it did. Other stand-ins make the module
importable at all: a class in it is refused by msgspec, a module beside it lacks a name, and it
lacks two names itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from types import ModuleType
from typing import Any

import tractor
import trio
from aio_ways import leave, names
from tractor import to_asyncio

PACKAGE = "piker.brokers.deribit"

GOODBYE = b"goodbye"


class Server:
    """Takes connections, and notes what came last on each."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.address = self._listener.getsockname()
        self._threads: list[threading.Thread] = []
        self.ends: list[bytes] = []

    def accept(self) -> None:
        """Read what comes on the next connection, in a thread."""

        def read() -> None:
            connection, _ = self._listener.accept()
            said = b""
            with connection:
                while piece := connection.recv(100):
                    said += piece
            self.ends.append(said)

        self._threads.append(threading.Thread(target=read, daemon=True))
        self._threads[-1].start()

    def join(self) -> None:
        """Wait until the connections are closed."""
        for thread in self._threads:
            thread.join(1)


SERVER = Server()


class FeedHandler:
    """Does with one connection what `cryptofeed` does with many."""

    def __init__(self, config: Any = None) -> None:
        self.running = False
        self.connected = asyncio.Event()

    def add_feed(self, feed: Any, **options: Any) -> None:
        """Take a subscription."""

    def run(self, start_loop: bool, install_signal_handlers: bool) -> None:
        """Connect in the background."""
        self.running = True
        SERVER.accept()
        self.task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        _, self.writer = await asyncio.open_connection(*SERVER.address)
        self.connected.set()

    async def stop_async(self, loop: Any = None) -> None:
        """Say goodbye and disconnect."""
        await self.connected.wait()
        self.writer.write(GOODBYE)
        await self.writer.drain()
        self.writer.close()
        await self.writer.wait_closed()


def import_api() -> Any:
    """Import piker's module, as it is, in spite of what keeps it from being imported."""
    import piker.brokers
    import piker.data

    for name in ("cryptofeed", "cryptofeed.defines", "cryptofeed.symbols", PACKAGE):
        sys.modules[name] = module = ModuleType(name)
        module.__dict__.update(dict.fromkeys(("DERIBIT", "L1_BOOK", "TRADES"), "any"))
        module.__dict__.update(dict.fromkeys(("OPTION", "CALL", "PUT"), "any"))
        module.__dict__.update(Symbol=object, FeedHandler=FeedHandler)
    package: Any = sys.modules[PACKAGE]
    package.__path__ = [os.path.join(folder, "deribit") for folder in piker.brokers.__path__]
    before, piker.data.Struct = piker.data.Struct, object
    from piker.brokers.deribit import api

    piker.data.Struct = before
    vars(api).update(FILLS="fills", ORDER_INFO="orders", get_config=dict)
    vars(api).update(piker_sym_to_cb_sym=str)
    return api


async def run_cell(api: Any, name: str) -> None:
    """Open a feed and leave it."""
    part, way = name.split(":")
    opened = {"price": api.open_price_feed, "order": api.open_order_feed}[part]
    raised: list[str] = []
    with trio.CancelScope() as outside:
        try:
            async with opened("btc-perpetual"):
                await leave(way, outside)
        except BaseException as error:
            raised = names(error)
            if isinstance(error, trio.Cancelled):
                raise
        finally:
            print(json.dumps({"cell": name, "raised": raised}), flush=True)


async def run_actor(api: Any, name: str) -> None:
    """Run a cell in an infected root actor."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = ("127.0.0.1", int(probe.getsockname()[1]))
    async with tractor.open_root_actor(registry_addrs=[address], loglevel="critical"):
        await run_cell(api, name)


def main() -> None:
    """Run the cells, each in an actor of its own."""
    api = import_api()
    for name in sys.argv[1:]:
        to_asyncio.run_as_asyncio_guest(trio_main=lambda name=name: run_actor(api, name))
    SERVER.join()
    print(json.dumps({"connections": [said.decode() for said in SERVER.ends]}))


if __name__ == "__main__":
    main()
