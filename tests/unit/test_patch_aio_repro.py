"""What the repros of the asyncio patches share tells truly how an infected actor has ended.

The repros themselves run with upstream (`tests/upstream/test_repros.py`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import trio

from macfix.patches.aio._repro import LeftError, run_infected


@pytest.fixture
def actors(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The root actors of a stand-in for tractor, which swallows nothing and infects nothing."""
    opened: list[Any] = []

    @asynccontextmanager
    async def open_root_actor(registry_addrs: list[tuple[str, int]]) -> AsyncIterator[Any]:
        (address,) = registry_addrs
        opened.append(SimpleNamespace(address=address))
        yield opened[-1]

    def run_as_asyncio_guest(trio_main: Callable[..., Any]) -> None:
        trio.run(trio_main)

    tractor: Any = ModuleType("tractor")
    to_asyncio: Any = ModuleType("tractor.to_asyncio")
    tractor.open_root_actor = open_root_actor
    to_asyncio.run_as_asyncio_guest = run_as_asyncio_guest
    monkeypatch.setitem(sys.modules, "tractor", tractor)
    monkeypatch.setitem(sys.modules, "tractor.to_asyncio", to_asyncio)
    return opened


def test_it_runs_in_a_root_actor_that_knows_itself_infected(actors: list[Any]) -> None:
    seen = []

    async def main(to_asyncio: Any) -> None:
        seen.append((to_asyncio, actors[-1]._infected_aio, logging.root.manager.disable))

    before = logging.root.manager.disable
    run_infected(main)
    assert seen == [(sys.modules["tractor.to_asyncio"], True, logging.CRITICAL)]
    assert logging.root.manager.disable == before
    host, port = actors[0].address
    assert host == "127.0.0.1" and port > 1023


def test_what_it_ends_with_is_raised(actors: list[Any]) -> None:
    async def main(to_asyncio: Any) -> None:
        raise LeftError("as it was left")

    with pytest.raises(LeftError, match="as it was left"):
        run_infected(main)
