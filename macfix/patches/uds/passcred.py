"""Connecting to a Unix socket sets `SO_PASSCRED`, an option that macOS lacks.

Problem:
    `open_unix_socket_w_passcred()` sets it before it connects. macOS needs no such option: its
    kernel notes the peer's credentials on every connection.

Fix:
    On macOS the function does what trio's own `open_unix_socket()` does.

Repro:
    Connect to a listening socket with `open_unix_socket_w_passcred()`.

Upstream:
    https://github.com/goodboy/tractor/pull/406 (commit 93b9a6cd, 2026-03-08)

Remove when:
    No tractor before 2026-03-08 is in use any more.
"""

from __future__ import annotations

import ast
from importlib import import_module
from types import ModuleType

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import around, calls, function, mentions

from ._repro import with_listener

OPENER = "open_unix_socket_w_passcred"


def diagnose(source: Source) -> Diagnosis:
    opener = function(source.tree, OPENER)
    if opener is None:
        return not_needed(f"it has no {OPENER}()")
    setting = [call for call in calls(opener, "setsockopt") if mentions(call, "SO_PASSCRED")]
    if not setting:
        return not_needed(f"{OPENER}() does not set SO_PASSCRED")
    conditions = [node for node in around(opener, setting[0]) if isinstance(node, ast.If)]
    if not conditions:
        return needed(f"line {setting[0].lineno} sets SO_PASSCRED on every platform")
    if ast.unparse(conditions[0].test) == "SO_PASSCRED is not None":
        return not_needed("it sets SO_PASSCRED only where there is one")
    return unknown("it sets SO_PASSCRED under a condition that is not known")


def install(module: ModuleType, changes: Changes) -> None:
    import trio

    changes.set(module, OPENER, trio.open_unix_socket)


def repro() -> None:
    uds = import_module("tractor.ipc._uds")

    async def connect(path: str) -> None:
        stream = await getattr(uds, OPENER)(path)
        await stream.aclose()

    with_listener(connect)
