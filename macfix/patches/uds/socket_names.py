"""A long actor name makes the path of its socket too long for macOS.

Problem:
    `UDSAddress.get_random()` takes the actor's name as it is, and a path has 104 bytes, the NUL
    included: `OSError: AF_UNIX path too long` when the actor starts to listen. From 2026-06-17,
    `unlink_uds_bind_addrs()` makes up the same name again to remove what a killed actor has left.

Fix:
    A name that does not fit is shortened, the same way in both places, and keeps the
    `@<pid>.sock` that upstream's tools go by.

Repro:
    `get_random()` for an actor with a name of 200 characters.

Upstream:
    https://github.com/goodboy/tractor/pull/480 (commit 340d5069, 2026-08-13)

Remove when:
    No tractor before 2026-08-13 is in use any more.
"""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.darwin.sockets.names import SUN_PATH_LIMIT, bounded_name
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function

NAMING = "tractor.ipc._uds"
REAPING = "tractor.spawn._reap"

PLACES = {NAMING: "UDSAddress.get_random", REAPING: "unlink_uds_bind_addrs"}

_SOCKET_NAME = re.compile(r"(?P<name>.*)@(?P<pid>\d+)\.sock", re.DOTALL)


def diagnose(source: Source) -> Diagnosis:
    place = PLACES.get(source.module, PLACES[NAMING])
    namer = function(source.tree, place)
    if namer is None:
        return not_needed(f"it has no {place}()")
    if calls(namer, "get_sockname"):
        return not_needed(f"{place}() keeps names within bounds")
    if sum(map(_is_socket_name, ast.walk(namer))) == 1:
        return needed(f"{place}() names sockets without a bound")
    return unknown(f"how {place}() names sockets is not known")


def _is_socket_name(node: ast.AST) -> bool:
    """Say whether `node` is an f-string that ends in `.sock`."""
    match node:
        case ast.JoinedStr(values=[*_, ast.Constant(value=".sock")]):
            return True
    return False


def install(module: ModuleType, changes: Changes) -> None:
    def unlink_both(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> None:
        wrapped(*args, **kwargs)
        _unlink_bounded(module.UDSAddress.def_bindspace, *args, **kwargs)

    if module.__name__ == REAPING:
        changes.wrap(module, PLACES[REAPING], unlink_both)
    else:
        changes.wrap(module.UDSAddress, "get_random", _bounded)


def _bounded(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    address = wrapped(*args, **kwargs)
    path = Path(address.sockpath)
    found = _SOCKET_NAME.fullmatch(path.name)
    if found is None:
        return address
    pid = int(found["pid"])
    name = bounded_name(found["name"], pid, path.parent)
    if name == path.name:
        return address
    return type(address)(filedir=path.parent, filename=Path(name), maybe_pid=pid)


def _unlink_bounded(
    bindspace: Path, proc: Any, *, bind_addrs: Any = None, subactor: Any = None
) -> None:
    """Remove the socket that the killed actor named itself, where that name was shortened."""
    if subactor is None or proc.pid is None:
        return
    with suppress(OSError, ValueError):
        (bindspace / bounded_name(subactor.aid.name, proc.pid, bindspace)).unlink()


def repro() -> None:
    from unittest import mock

    uds: Any = import_module(NAMING)
    name = "actor" * 40
    actor = SimpleNamespace(uid=(name, "uuid"), aid=SimpleNamespace(name=name, uuid="uuid"))
    with mock.patch.object(uds, "current_actor", return_value=actor):
        path = str(uds.UDSAddress.get_random().sockpath)
    size = len(path.encode()) + 1
    assert size <= SUN_PATH_LIMIT, f"{path} needs {size} bytes, there are {SUN_PATH_LIMIT}"
