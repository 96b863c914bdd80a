"""The asyncio side of a channel between trio and asyncio, and how it is brought to its end.

Knows asyncio, not the upstreams: what upstream has to say to the task is handed in.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from ._frames import standing, tasks_below
from ._targets import name_of, with_runner


class AsyncioSide(Generator[Any, Any, Any]):
    """One asyncio task, run step by step, so that it can be told anything wherever it waits.

    asyncio can only cancel a task. Raising something else by way of the future that the task waits
    for, as upstream does, fails where it waits for none, orphans the tasks it waits for, and
    overwrites a result that is on its way. So the task is cancelled, which asyncio does right
    everywhere, and the `CancelledError` is exchanged for the message where it enters the target.

    Attributes:
        task: the task, once upstream has created it.
        leaving: the trio side has gone, and the task has been asked to stop.
        refuses: it did not stop in time.
        heard: what upstream wanted to raise in the task last.
    """

    def __init__(self, target: Callable[..., Any]) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.leaving = False
        self.refuses = False
        self.heard: BaseException | None = None
        self._target = target
        self._steps: Any = None
        self._message: BaseException | None = None
        self._owed = False  # the target has not heard yet that it has to stop
        self._asked = False  # the task was cancelled to that end, and did not step since
        self._in_group = False  # where it was then: at the end of a task group

    # -- being the target ----------------------------------------------------------------------

    def stand_in(self) -> Callable[..., Any]:
        """Return a function with the target's own parameters that runs the target on this side."""
        return with_runner(self._target, self._run)

    async def _run(self, awaitable: Awaitable[Any]) -> Any:
        __tracebackhide__ = True
        # `await` takes more than has these methods: iterators, generators of the old kind
        self._steps = awaitable if inspect.iscoroutine(awaitable) else _awaiting(awaitable)
        try:
            return await self
        except BaseException as error:
            end = self._as_upstream_knows_it(error)
            if end is error:
                raise
        if end is not None:
            raise end
        return None

    def _as_upstream_knows_it(self, error: BaseException) -> BaseException | None:
        """Return what upstream shall see of the target's `error`, or None for nothing."""
        if self._message is not None and _carries(error, self._message):
            return self._message
        if self.leaving and isinstance(error, asyncio.CancelledError):
            return None  # this is how a task ends that was asked to
        return error

    # -- the steps: a generator for `await` ----------------------------------------------------

    def __await__(self) -> AsyncioSide:
        return self

    def send(self, value: Any) -> Any:
        __tracebackhide__ = True
        self._asked = False
        return self._after(self._steps.send(value))

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        __tracebackhide__ = True
        error = value if isinstance(value, BaseException) else kind
        if isinstance(error, type):
            error = error() if value is None else error(value)
        if self._asked and isinstance(error, asyncio.CancelledError):
            self._owed = self._asked = False
            error = self._translated(error)
        return self._after(self._steps.throw(error))

    def _after(self, waiting_for: Any) -> Any:
        if self._owed:
            self._cancel_unless_it_cleans_up()
        return waiting_for

    # -- stopping it ---------------------------------------------------------------------------

    def stop(self, message: BaseException | None) -> None:
        """Raise `message` where the task waits; None cancels it.

        What has happened to the task already comes first, and its clean-up is not interrupted: it
        hears of it at the next place where it waits.
        """
        self.leaving = self._owed = True
        self._message = message
        self._ask()

    def press(self, message: BaseException | None) -> None:
        """Raise `message` where the task waits now, clean-up or not; None cancels it."""
        self._owed, self._message = True, message
        self._cancel(standing(self._steps).in_group)

    def name(self) -> str:
        """Return the target's name, for messages."""
        return name_of(self._target)

    def where(self) -> str:
        """Return where the task waits, as a traceback shows it."""
        return standing(self._steps).stack()

    def _ask(self) -> None:
        """Cancel the task, unless it steps by itself: then that step asks again."""
        task = self.task
        if self._owed and task is not None and not task.done() and not _is_about_to_step(task):
            self._cancel_unless_it_cleans_up()

    def _cancel_unless_it_cleans_up(self) -> None:
        assert self.task is not None
        where = standing(self._steps)
        if self._asked or where.cleans_up:
            return
        for below, its_standing in tasks_below(self.task, where):
            if _is_about_to_step(below):
                self.task.get_loop().call_soon(self._ask)
                return
            if its_standing.cleans_up:
                below.add_done_callback(lambda _: self._ask())
                return
        self._cancel(where.in_group)

    def _cancel(self, in_group: bool) -> None:
        assert self.task is not None
        self._asked = True
        self._in_group = in_group
        self.task.cancel()

    def _translated(self, error: BaseException) -> BaseException:
        if self._message is None:
            return error
        task: Any = self.task
        task.uncancel()  # it is not being cancelled: it is being told something
        return _as_cancellation(self._message) if self._in_group else self._message


async def _awaiting(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _is_about_to_step(task: asyncio.Task[Any]) -> bool:
    """Say whether the task waits for nothing, or for what has come: a cancel would lose that."""
    future = getattr(task, "_fut_waiter", None)
    return future is None or bool(future.done())


def _as_cancellation(message: BaseException) -> BaseException:
    """Return `message` as an error that is a cancellation too.

    A task group ends its tasks when it is cancelled; anything else that is raised while it waits
    for them leaves them running.
    """
    kind = type(message)
    both = type(kind.__name__, (kind, asyncio.CancelledError), {"__module__": kind.__module__})
    error: BaseException = both(*message.args)
    error.__cause__ = message.__cause__
    return error


def _carries(error: BaseException, message: BaseException) -> bool:
    return error is not message and isinstance(error, type(message)) and error.args == message.args
