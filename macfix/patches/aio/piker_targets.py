"""The end of a channel raises `TrioTaskExited` in piker's tasks, which do not know it.

Problem:
    On a plain end of `open_channel_from()` tractor raises `TrioTaskExited` in the asyncio task,
    and if the task does not handle it, in the trio task as well. piker's asyncio code (clients,
    quote streams and order relays of its brokers) was written for a tractor that cancelled its
    tasks: none of it handles `TrioTaskExited`, so every end of such a channel is an error.

Fix:
    A task whose target comes from piker ends like any other that was asked to: `TrioTaskExited`
    still runs its clean-up, and goes no further. Its own errors do, also when they are grouped with
    it, and without it as their cause or context.

Repro:
    A channel to a target that piker defines, left by the plain end of its block.

Upstream:
    Not reported. piker's public history ends before tractor got `TrioTaskExited`.

Remove when:
    piker handles `TrioTaskExited` in what it hands to `open_channel_from()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function

from ._repro import run_infected, target
from ._targets import comes_from, with_runner

PACKAGE = "piker"


def diagnose(source: Source) -> Diagnosis:
    start = function(source.tree, "_run_asyncio_task")
    leave = function(source.tree, "open_channel_from")
    if start is None or leave is None:
        return not_needed("it starts no asyncio tasks for a channel")
    told = calls(source.tree, "TrioTaskExited")
    if not told:
        return not_needed("it does not raise TrioTaskExited")
    if [parameter.arg for parameter in start.args.args] != ["func"]:
        return unknown("_run_asyncio_task() takes something else than one function")
    return needed(f"line {told[0].lineno} raises TrioTaskExited in targets that do not know it")


def install(module: ModuleType, changes: Changes) -> None:
    async def run(awaitable: Awaitable[Any]) -> Any:
        try:
            return await awaitable
        except BaseException as error:
            own = _without(error, module.TrioTaskExited)
            _forget_below(own, module.TrioTaskExited)
            if own is error:
                raise
        if own is not None:
            raise own
        return None

    def start(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        given, *rest = args
        if comes_from(given, PACKAGE):
            given = with_runner(given, run)
        return wrapped(given, *rest, **kwargs)

    changes.wrap(module, "_run_asyncio_task", start)


def _without(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Return what is left of `error` without errors of `kind`, or None."""
    if isinstance(error, kind):
        return None
    split = getattr(error, "split", None)  # a group's
    rest: BaseException | None = split(kind)[1] if split else error
    return rest


def _forget_below(error: BaseException | None, kind: type[BaseException]) -> None:
    """Take errors of `kind` out of the causes and contexts of `error`; what they had stays."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        error = pending.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        cause, context = error.__cause__, error.__context__
        own_cause, own_context = _first_own(cause, kind), _first_own(context, kind)
        if own_cause is not cause:
            suppresses = error.__suppress_context__
            error.__cause__ = own_cause
            error.__suppress_context__ = suppresses and own_cause is not None
        if own_context is not context:
            error.__context__ = own_context
        pending += [own_cause, own_context, *getattr(error, "exceptions", ())]


def _first_own(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """Return the first in the chain of `error` that is more than errors of `kind`, without them."""
    passed: list[BaseException] = []
    while error is not None and error not in passed:
        own = _without(error, kind)
        if own is not None:
            return own
        passed.append(error)
        error = error.__cause__ or error.__context__
    return None


def repro() -> None:
    async def relay(queue: asyncio.Queue[Any]) -> None:
        await queue.get()

    relay.__module__ = f"{PACKAGE}.brokers.repro"

    async def main(to_asyncio: Any) -> None:
        async with to_asyncio.open_channel_from(target(relay)):
            pass

    run_infected(main)
