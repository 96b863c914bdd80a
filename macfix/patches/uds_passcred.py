"""tractor asks every Unix socket for credential passing, an option that macOS does not have.

Problem:
    `open_unix_socket_w_passcred()` sets `SO_PASSCRED` before it connects. macOS has no such
    option and needs none: its kernel notes the peer's credentials on every connection.

Fix:
    On macOS the function is what trio's own `open_unix_socket()` is.

Repro:
    Connect to a listening socket with `open_unix_socket_w_passcred()`.

Upstream:
    https://github.com/goodboy/tractor/pull/406 (commit 93b9a6cd, 2026-03-08)

Remove when:
    No tractor before 2026-03-08 is in use any more.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix.engine import Changes, Patch, Source, Verdict, hookimpl, needed, not_needed, unknown

from ._shapes import around, calls, function, mentions

OPENER = "open_unix_socket_w_passcred"


def _needed(source: Source) -> Verdict:
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


def _install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module, OPENER, _open_without_option)


def _open_without_option(
    wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    import trio

    return trio.open_unix_socket(*args, **kwargs)


def _repro_connecting() -> None:
    from . import _repro

    uds = import_module("tractor.ipc._uds")

    async def connect(path: str) -> None:
        stream = await getattr(uds, OPENER)(path)
        await stream.aclose()

    _repro.with_listener(connect)


PATCH = Patch(
    name="uds-passcred",
    targets=("tractor.ipc._uds",),
    summary="connecting sets SO_PASSCRED, which macOS does not have",
    upstream="https://github.com/goodboy/tractor/pull/406",
    remove_when="no tractor before 2026-03-08 is in use",
    needed=_needed,
    install=_install,
    repro=_repro_connecting,
)


@hookimpl
def macfix_patches() -> list[Patch]:
    return [PATCH]
