"""The ways in which the programs for piker leave its channels, and the names of what comes out."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import trio


class Boom(Exception):  # noqa: N818  (the name that a report shows)
    """What the trio side raises."""


class AioBoom(Exception):  # noqa: N818
    """What the asyncio side raises."""


async def leave(way: str, outside: trio.CancelScope) -> None:
    """Do what the way says."""
    if way == "end":
        return
    if way in ("crash", "both"):
        crash_the_newest_target()
    if way in ("error", "both"):
        raise Boom
    if way == "keyboard":
        raise KeyboardInterrupt
    if way == "sigint":
        os.kill(os.getpid(), signal.SIGINT)
    if way == "cancel":
        outside.cancel()
    if way == "timeout":
        with trio.fail_after(0.01):
            await trio.sleep_forever()
    await trio.sleep_forever()


def crash_the_newest_target() -> None:
    """Have that fail what the target waits for that tractor has started last."""
    targets: list[Any] = [
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "__name__", "") == "wait_on_coro_final_result"
    ]
    newest = max(targets, key=lambda task: int(task.get_name().rpartition("-")[2]))
    newest._fut_waiter.set_exception(AioBoom())


def names(error: BaseException | None, known: frozenset[int] = frozenset()) -> list[str]:
    """Return the names of all exceptions that hang together with this one."""
    if error is None or id(error) in known:
        return []
    known |= {id(error)}
    parts = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return [type(error).__name__, *(name for part in parts for name in names(part, known))]
