"""Ctrl-C makes asyncio abandon the trio side of an infected actor.

Problem:
    Until 2025-03-27 the main asyncio task of an infected actor does nothing but wait for trio. On
    a SIGINT asyncio cancels that task, it ends, and the event loop is closed with trio still in
    its middle: no `finally` of the trio side is completed, actors are not told, and files and
    segments are left behind.

Fix:
    The first SIGINT cancels the actor, as later tractors do it, and the event loop ends when trio
    has. A second one raises `KeyboardInterrupt`, as asyncio has it.

Repro:
    A SIGINT while the trio side waits: its clean-up must be done in the end.

Upstream:
    https://github.com/goodboy/tractor/commit/a9b33363 and 4afab9ca (2025-03-27)

Remove when:
    No tractor before 2025-03-27 is in use any more.
"""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function, mentions, nodes

from ._repro import run_infected

FUNCTION = "run_as_asyncio_guest"


def diagnose(source: Source) -> Diagnosis:
    guest = function(source.tree, FUNCTION)
    if guest is None:
        return not_needed(f"it has no {FUNCTION}()")
    handlers = [handler for handler in nodes(guest, ast.ExceptHandler) if handler.type]
    caught = [handler for handler in handlers if mentions(handler, "CancelledError")]
    if any(calls(handler, "cancel_soon") for handler in caught):
        return not_needed(f"{FUNCTION}() has the actor cancelled when asyncio is interrupted")
    runs = calls(guest, "run")
    if caught or len(runs) != 1:
        return unknown(f"{FUNCTION}() does something else when asyncio is interrupted")
    return needed(f"line {runs[0].lineno} runs asyncio, which abandons trio when interrupted")


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module, FUNCTION, _run)


def _run(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    with _interrupt_cancels_the_actor():
        return wrapped(*args, **kwargs)


@contextmanager
def _interrupt_cancels_the_actor() -> Iterator[None]:
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield  # neither is asyncio's own handler installed then
        return
    interrupts = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        loop = asyncio._get_running_loop()
        if interrupts > 1 or loop is None:
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(_cancel_the_actor)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _cancel_the_actor() -> None:
    from tractor import current_actor

    current_actor().cancel_soon()


def repro() -> None:
    import trio

    cleaned = []

    async def main(to_asyncio: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep(1)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0)
            cleaned.append(True)

    with suppress(KeyboardInterrupt):
        run_infected(main)
    assert cleaned, "asyncio has ended, and the trio side's clean-up is not done"
