"""trio beside asyncio dies of an event that nobody waits for any more.

Problem:
    As the guest of asyncio, trio fetches the events of its sockets in one step of the host's loop
    and processes them in a later one. If the asyncio side cancels a task in between, the task's
    registration is gone, and trio's kqueue backend, which macOS has, raises a `KeyError` about it:
    `TrioInternalError`, and the actor dies. The epoll backend drops such an event.

Fix:
    Events whose registration has gone are dropped.

Repro:
    An event that nobody waits for is processed.

Upstream:
    https://github.com/python-trio/trio/issues/3500; not fixed in trio 0.29.0, nor on its main
    branch of 2026-08-17.

Remove when:
    No trio without that fix is in use any more.
"""

from __future__ import annotations

import ast
import select
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import contains, function, guarded_by_except, is_code, nodes

LIVE = True  # a program may have imported trio before tractor
_NO_FILE = 1 << 20
METHOD = "KqueueIOManager.process_events"
_FOUND_OUT = ("self._registered.get(key)", "key in self._registered", "key not in self._registered")


def diagnose(source: Source) -> Diagnosis:
    method = function(source.tree, METHOD)
    if method is None:
        return not_needed(f"it has no {METHOD}()")
    if any(contains(method, code) for code in _FOUND_OUT):
        return not_needed(f"{METHOD}() looks whether an event is still waited for")
    assigns = nodes(method, ast.Assign)
    lookups = [one for one in assigns if is_code(one.value, "self._registered[key]")]
    if len(lookups) != 1:
        return unknown(f"{METHOD}() finds out in another way who waits for an event")
    if guarded_by_except(method, lookups[0]):
        return not_needed(f"{METHOD}() survives an event that nobody waits for")
    return needed(f"line {lookups[0].lineno} fails if nobody waits for an event any more")


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module.KqueueIOManager, "process_events", _process_events)


def _process_events(wrapped: Wrapped, manager: Any, args: Args, kwargs: Kwargs) -> None:
    (events,) = args
    for event in events:
        is_wakeup = event.ident == manager._force_wakeup_fd
        if is_wakeup or (event.ident, event.filter) in manager._registered:
            wrapped([event])


def repro() -> None:
    kernel: Any = select
    if hasattr(kernel, "kqueue"):
        import_module("tractor")  # without it, a program keeps its trio
        manager = import_module("trio._core._io_kqueue").KqueueIOManager()
        try:
            manager.process_events([kernel.kevent(_NO_FILE, kernel.KQ_FILTER_READ)])
        finally:
            manager.close()
