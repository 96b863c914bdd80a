"""An actor's listener lets one connection wait, and macOS refuses the next one at once.

Problem:
    The listener of a Unix socket is opened by `listen(1)`. Where the queue is full, XNU answers
    `ECONNREFUSED`; Linux lets a blocking connection wait. Actors that come or go together lose
    each other.

Fix:
    The literal 1 becomes 128, upstream's own later number, before the module executes: once
    `start_listener()` has returned, the socket is known and has room for one.

Repro:
    Open a listener and connect to it several times before it accepts.

Upstream:
    https://github.com/goodboy/tractor/commit/70dc60a1 (2026-04-14)

Remove when:
    No tractor before 2026-04-14 is in use any more.
"""

from __future__ import annotations

import ast
import socket
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from macfix import Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import calls

from ._listeners import ENOUGH, listeners
from ._repro import socket_folder


def diagnose(source: Source) -> Diagnosis:
    listening = _listen_calls(source.tree)
    if not listening:
        return not_needed("it opens no listener")
    if len(listening) > 1:
        return unknown("it listens in more than one place")
    backlog = listening[0].args[:1]
    if not backlog or not isinstance(backlog[0], ast.Constant):
        return unknown(f"line {listening[0].lineno} listens with a backlog that is not known")
    size = backlog[0].value
    if size == 1:
        return needed(f"line {listening[0].lineno} lets one connection wait")
    if isinstance(size, int) and size >= ENOUGH:
        return not_needed(f"it lets {size} connections wait")
    return unknown(f"line {listening[0].lineno} lets {size!r} connections wait")


def rewrite(tree: ast.Module) -> ast.Module:
    for call in _listen_calls(tree):
        call.args = [ast.copy_location(ast.Constant(ENOUGH), call.args[0])]
    return tree


def _listen_calls(tree: ast.Module) -> list[ast.Call]:
    return [call for listener in listeners(tree) for call in calls(listener, "listen")]


def repro() -> None:
    import trio

    uds = import_module("tractor.ipc._uds")

    async def connect_together(folder: str) -> None:
        address = uds.UDSAddress.from_addr((folder, "repro@1.sock"))
        listener: Any = await uds.start_listener(address)
        async with listener:
            with ExitStack() as clients:
                for _ in range(8):
                    client = clients.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(f"{folder}/repro@1.sock")

    with socket_folder() as folder:
        trio.run(connect_together, str(folder))
