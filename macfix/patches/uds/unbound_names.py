"""The address of a Unix connection is taken from the end that has no name on macOS.

Problem:
    `MsgpackUDSStream.get_stream_addrs()` tells the two ends of a connection apart by the types
    of their names: on Linux, `SO_PASSCRED` gives the end that did not bind a name in `bytes`. On
    macOS it has the empty name `''`, a str like the other one. No case matches, and the path
    stays unbound (`UnboundLocalError`); from 2026-03-08 the peer's name is taken, which on the
    accepting side is the empty one, so that both addresses become `.`.

Fix:
    Of two str names the one that is not empty is the socket's path. The pid is the kernel's
    answer, or unknown (None) when the peer has gone.

Repro:
    `get_stream_addrs()` on both ends of a connection.

Upstream:
    https://github.com/goodboy/tractor/issues/473 (commit bceca74e, 2026-08-13)

Remove when:
    No tractor before 2026-08-13 is in use any more.
"""

from __future__ import annotations

import ast
import os
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import contains, nodes

from ._peer import METHOD, addresses, get_stream_addrs_in, pid_or_unknown
from ._repro import with_connection


def diagnose(source: Source) -> Diagnosis:
    method = get_stream_addrs_in(source)
    if isinstance(method, Diagnosis):
        return method
    found = nodes(method, ast.Match)
    matches = [one for one in found if ast.unparse(one.subject) == "(peername, sockname)"]
    if len(matches) != 1:
        return unknown(f"{METHOD}() does not tell the names apart by one match statement")
    cases = matches[0].cases
    case = next((case for case in cases if ast.unparse(case.pattern) == "[str(), str()]"), None)
    if case is None:
        return needed(f"line {matches[0].lineno} has no case for two names that are str")
    if any(contains(statement, "peername or sockname") for statement in case.body):
        return not_needed("of two str names it takes the one that is not empty")
    if len(case.body) == 1 and contains(case.body[0], "Path(peername)"):
        return needed(f"line {case.body[0].lineno} takes the peer's name, which may be empty")
    return unknown("what it takes of two str names is not known")


def install(module: ModuleType, changes: Changes) -> None:
    def get_stream_addrs(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        (stream,) = args or kwargs.values()
        path = _bound_path(stream)
        if path is None:
            return wrapped(*args, **kwargs)
        return addresses(module.UDSAddress, path, pid_or_unknown(stream.socket))

    changes.wrap(module.MsgpackUDSStream, "get_stream_addrs", get_stream_addrs)


def _bound_path(stream: Any) -> str | None:
    """Return the path of a connection between two str names, None where upstream must decide."""
    try:
        names = (stream.socket.getpeername(), stream.socket.getsockname())
    except OSError:
        return None
    if not all(isinstance(name, str) for name in names):
        return None
    return next((name for name in names if name), None)


def repro() -> None:
    uds = import_module("tractor.ipc._uds")

    async def compare(ours: Any, theirs: Any, path: str) -> None:
        for side, stream in {"connecting": ours, "accepting": theirs}.items():
            for address in uds.MsgpackUDSStream.get_stream_addrs(stream):
                seen = (str(address.sockpath), address.maybe_pid)
                assert seen == (path, os.getpid()), f"{side} side: {seen}, not {path}"

    with_connection(compare)
