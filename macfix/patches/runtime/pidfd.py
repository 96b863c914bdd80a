"""Actors that are forked cannot be started on macOS, which has no `os.pidfd_open`.

Problem:
    With `start_method="main_thread_forkserver"`, which tractor has on branches, `_ForkedProc` opens
    a pidfd to wait for its process. On macOS that is an `AttributeError`, and the child is left
    alone.

Fix:
    No pidfd is opened, and the process is asked every 50 ms whether it has ended. Waiting can be
    cancelled, as with a pidfd.

Repro:
    Wait for a process where there is no `os.pidfd_open`.

Upstream:
    https://github.com/goodboy/tractor/commit/3292fe65 (2026-05-14), on a branch of its own: there
    a thread waits, and cannot be cancelled. Nobody has run this on a Mac.

Remove when:
    tractor looks for `os.pidfd_open`, and no older one is in use any more.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import wrapt

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function, has_constant
from macfix.patches._modules import first_module

CLASS = "_ForkedProc"
SECONDS = 0.05


def diagnose(source: Source) -> Diagnosis:
    opening = calls(source.tree, "pidfd_open")
    if not opening:
        return not_needed("it opens no pidfd")
    if has_constant(source.tree, "pidfd_open"):
        return not_needed("it looks whether this system has pidfds")
    if len(opening) != 1 or not all(
        function(source.tree, f"{CLASS}.{name}") for name in ("__init__", "poll", "wait")
    ):
        return unknown(f"it is not {CLASS} alone that uses pidfds")
    return needed(f"line {opening[0].lineno} opens a pidfd")


class _Os(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """The module `os`, where no process has a pidfd."""

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        return -1


def install(module: ModuleType, changes: Changes) -> None:
    changes.set(module, "os", _Os(os))
    changes.wrap(getattr(module, CLASS), "wait", _wait)


async def _wait(wrapped: Wrapped, process: Any, args: Args, kwargs: Kwargs) -> Any:
    import trio

    while (status := process.poll()) is None:
        await trio.sleep(SECONDS)
    return status


def repro() -> None:
    from unittest import mock  # imports asyncio

    import trio

    target = first_module(
        "tractor.spawn._main_thread_forkserver", "tractor.spawn._subint_forkserver"
    )
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    with mock.patch.object(os, "pidfd_open", side_effect=AttributeError, create=True):
        status = trio.run(getattr(target, CLASS)(pid).wait)
    assert status == 0, f"the process ended with {status}"
