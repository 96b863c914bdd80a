"""piker leaves clients of the broker `ib` connected when it is interrupted while it connects.

Problem:
    `load_aio_clients()` connects to one gateway after the other, and disconnects in the `finally`
    of a block that begins after the last. Interrupted before, by an error or because the trio side
    leaves, it abandons the clients that it has connected already. In the end it forgets those that
    no account belongs to.

Fix:
    The clients that a call has connected are disconnected when the call fails, and at its end
    unless its caller wants to keep them (`disconnect_on_exit=False`).

Repro:
    Two gateways, of which the second one fails: the client of the first must be disconnected.

Upstream:
    Not reported.

Remove when:
    piker's `finally` covers its connecting.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import around, calls, function

FUNCTION = "load_aio_clients"


def diagnose(source: Source) -> Diagnosis:
    loading = function(source.tree, FUNCTION)
    if loading is None:
        return not_needed(f"it has no {FUNCTION}()")
    connects = calls(loading, "connectAsync")
    if len(connects) != 1 or "_client_cache" not in _globals(source.tree):
        return unknown(f"{FUNCTION}() does not connect in one place, or has no cache of clients")
    if any(_disconnects_in_the_end(outer) for outer in around(loading, connects[0])):
        return not_needed(f"line {connects[0].lineno} connects in a block that disconnects")
    return needed(f"line {connects[0].lineno} connects outside of the block that disconnects")


def _globals(tree: ast.Module) -> set[str]:
    names = (node.target for node in tree.body if isinstance(node, ast.AnnAssign))
    return {name.id for name in names if isinstance(name, ast.Name)}


def _disconnects_in_the_end(node: ast.AST) -> bool:
    return isinstance(node, ast.Try) and any(
        calls(statement, "disconnect") for statement in node.finalbody
    )


def install(module: ModuleType, changes: Changes) -> None:
    def load_aio_clients(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        keeps = not kwargs.get("disconnect_on_exit", True)
        return _disconnected(wrapped(*args, **kwargs), module._client_cache, keeps)

    changes.wrap(module, FUNCTION, load_aio_clients)


@asynccontextmanager
async def _disconnected(loading: Any, cache: dict[Any, Any], keeps: bool) -> AsyncIterator[Any]:
    """Do as `loading`, piker's context manager, and disconnect what it has added to the `cache`.

    If it comes to a block, clients stay connected at its end if the caller `keeps` them.
    """
    before = dict(cache)
    came_to_block = False
    with ExitStack() as leaving:  # one that cannot be disconnected keeps no other one connected
        try:
            async with loading as loaded:
                came_to_block = True
                yield loaded
        finally:
            for address, client in list(cache.items()):
                if before.get(address) is not client and not (came_to_block and keeps):
                    leaving.callback(client.ib.disconnect)
                    del cache[address]


def repro() -> None:
    from unittest import mock

    api: Any = import_module("piker.brokers.ib.api")
    gone = []

    class Broker:
        client: Any = None

        async def connectAsync(self, host: str, port: int, **rest: Any) -> None:  # noqa: N802
            if port != 1:
                raise asyncio.CancelledError

        def accountValues(self) -> list[Any]:  # noqa: N802
            return []

        def disconnect(self) -> None:
            gone.append(self)

    async def load() -> None:
        try:
            async with api.load_aio_clients():
                raise AssertionError("it was interrupted, and is ready")
        except asyncio.CancelledError:
            pass

    stand_ins: dict[str, Any] = {
        "NonShittyIB": Broker,
        "Client": lambda ib, config: type("Client", (), {"ib": ib})(),
        "get_config": lambda: {"ports": [1, 2]},
        "_client_cache": {},
        "_accounts2clients": {},
    }
    accounts = mock.patch.object(api.config, "load_accounts", return_value={})
    with mock.patch.multiple(api, **stand_ins), accounts:
        asyncio.run(load())
    assert gone, "it was interrupted, and the client that it had connected is still so"
