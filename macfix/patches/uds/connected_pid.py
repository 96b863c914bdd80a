"""The connecting side of a Unix socket does not know the pid of the actor it has reached.

Problem:
    `MsgpackUDSStream.connect_to()` says that the far address is the one that was asked for,
    which carries no pid, and `Channel.from_addr()` asserts just that. (So on Linux. It is fixed on
    macOS only, where macfix answers for what the two ends know of each other.)

Fix:
    Once the connection is made, both addresses are those that the kernel gives for it.

Repro:
    `Channel.from_addr()` to a listening socket of this process: the far pid must be its own.

Upstream:
    https://github.com/goodboy/tractor/commit/1d706bdd and
    https://github.com/goodboy/tractor/commit/3c30c559 (2025-08-18)

Remove when:
    No tractor before 2025-08-18 is in use any more.
"""

from __future__ import annotations

import ast
import os
import socket
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import function, is_code, nodes

from ._repro import with_listener

METHOD = "Channel.from_addr"


def diagnose(source: Source) -> Diagnosis:
    method = function(source.tree, METHOD)
    if method is None:
        return not_needed(f"it has no {METHOD}()")
    for node in nodes(method, ast.Assert):
        if is_code(node.test, "transport.raddr == addr"):
            return needed(f"line {node.lineno} asserts that the far address is the asked one")
    return not_needed("the far address may be another than the asked one")


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module.Channel, "from_addr", _from_addr)


async def _from_addr(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    channel = await wrapped(*args, **kwargs)
    transport = channel.transport
    if transport.stream.socket.family == socket.AF_UNIX:
        transport._laddr, transport._raddr = transport.get_stream_addrs(transport.stream)
    return channel


def repro() -> None:
    chan = import_module("tractor.ipc._chan")

    async def connect(path: str) -> None:
        address = (str(Path(path).parent), Path(path).name)
        channel = await chan.Channel.from_addr(address)
        try:
            seen = channel.raddr.maybe_pid
            assert seen == os.getpid(), f"the far pid is {seen}, not {os.getpid()}"
        finally:
            await channel.aclose()

    with_listener(connect)
