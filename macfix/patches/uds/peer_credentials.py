"""An actor cannot tell who is at the other end of a Unix socket: it asks for `SO_PEERCRED`.

Problem:
    macOS lacks that option: `get_peer_info()` fails with a `TypeError`, or from 2026-03-08 with a
    `RuntimeError`; for the days in between it read option 1 at level `SOL_SOCKET`, `SO_DEBUG`.
    `get_peer_pid()` asks the right question, but takes an answer of any length, and logs a
    traceback when a peer has simply gone.

Fix:
    `get_peer_info()` returns the true `(pid, uid, gid)` out of `LOCAL_PEERPID` and
    `LOCAL_PEERCRED`, or raises `PeerCredentialsError`. `get_peer_pid()` returns the true pid, or
    None, as upstream defines it, for a peer that has gone.

Repro:
    `get_peer_info()` on one end of a `socket.socketpair()`: it must name this process.

Upstream:
    https://github.com/goodboy/tractor/pull/406 gave up on uid and gid; not reported since.

Remove when:
    Upstream's `get_peer_info()` answers on macOS.
"""

from __future__ import annotations

import ast
import os
import socket
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.sockets.credentials import peer_credentials
from macfix.engine.syntax import calls, function, is_code

from ._peer import pid_or_unknown


def diagnose(source: Source) -> Diagnosis:
    get_peer_info = function(source.tree, "get_peer_info")
    if get_peer_info is None:
        return not_needed("it has no get_peer_info()")
    questions = calls(get_peer_info, "getsockopt")
    if len(questions) == 1 and _asks_linux(questions[0]):
        return needed(f"line {questions[0].lineno} reads SO_PEERCRED, and nothing else")
    return unknown("get_peer_info() asks something else than SO_PEERCRED")


def _asks_linux(call: ast.Call) -> bool:
    wanted = ("SOL_SOCKET", "SO_PEERCRED", "struct.calcsize('3i')")
    return len(call.args) == len(wanted) and all(map(is_code, call.args, wanted))


def install(module: ModuleType, changes: Changes) -> None:
    changes.set(module, "get_peer_info", _info)
    if hasattr(module, "get_peer_pid"):
        changes.set(module, "get_peer_pid", pid_or_unknown)


def _info(sock: Any) -> tuple[int, int, int]:
    peer = peer_credentials(sock)
    return (peer.pid, peer.uid, peer.gid)


def repro() -> None:
    uds = import_module("tractor.ipc._uds")
    true = (os.getpid(), os.geteuid(), os.getegid())
    here, there = socket.socketpair()
    with here, there:
        seen = tuple(uds.get_peer_info(here))
    assert seen == true, f"get_peer_info() says {seen}, the peer is {true}"
