"""Leaving `tractor.to_asyncio`: the asyncio task is brought to its end before upstream looks at it.

Upstream's own way of leaving starts when the user's block has ended. It is sound as long as the
asyncio task is done by then, and not while it runs. So the task gets its end in between.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import wrapt

from macfix import Changes
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.errors import warn, warn_once

from ._side import AsyncioSide

if TYPE_CHECKING:
    import trio

DEFAULT_GRACE = 0.5
"""Seconds that an asyncio task gets to end after the trio side has left it."""

TURNS = 4
"""Turns of the event loop in which a task ends that has nothing to wait for in its clean-up. trio
sees their end at once; otherwise it sleeps in a thread of its own, and waking it up takes longer
than all of this."""

STANDSTILL = 0.25
"""Seconds by which a wait must be late for the whole thread to have stood still, as it does while
a debugger waits for its user: that time is not the task's."""

STANDSTILLS = 10
"""How often the grace period starts again because of that."""


def grace() -> float:
    """Return the grace period in seconds: `MACFIX_AIO_GRACE`, or half a second."""
    text = os.environ.get("MACFIX_AIO_GRACE", "").strip()
    if not text:
        return DEFAULT_GRACE
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if seconds >= 0:
        return seconds
    warn_once(
        f"MACFIX_AIO_GRACE={text!r} is not a number of seconds: {DEFAULT_GRACE} is used instead"
    )
    return DEFAULT_GRACE


def install(module: ModuleType, changes: Changes) -> None:
    """Have the asyncio tasks that `module`, `tractor.to_asyncio`, starts end with their channel."""
    changes.wrap(module, "_run_asyncio_task", _start)
    changes.wrap(module, "translate_aio_errors", _translate)


def _start(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    target, *rest = args
    side = AsyncioSide(target)
    channel = wrapped(side.stand_in(), *rest, **kwargs)
    side.task = channel._aio_task
    channel._aio_task = TaskView(side.task, side)
    return channel


def _translate(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    translator = wrapped(*args, **kwargs)
    channel = args[0] if args else kwargs["chan"]
    ends_with_the_task = args[1] if len(args) > 1 else kwargs.get("wait_on_aio_task", False)
    if ends_with_the_task and isinstance(channel._aio_task, TaskView):
        return _left_first(translator, channel)
    return translator


@asynccontextmanager
async def _left_first(translator: Any, channel: Any) -> AsyncIterator[Any]:
    """Upstream's way of leaving a channel, with ours before it."""
    side: AsyncioSide = channel._aio_task._self_side
    async with translator as translated:
        try:
            yield translated
        except BaseException:
            await _leave(channel, side, None)
            raise
        if channel._trio_exited:
            await _leave(channel, side, side.heard)


async def _leave(channel: Any, side: AsyncioSide, message: BaseException | None) -> None:
    """Have the task end: cancelled, unless there is a `message` for it."""
    task = side.task
    assert task is not None
    if not task.done() and not await _ends(task, side, message):
        side.refuses = True
        warn(
            f"{task.get_name()}, the asyncio task of {side.name()}, did not end within"
            f" {grace():g} s after the trio side had left it, and is left behind; it waits at\n"
            f"{side.where()}"
        )
    channel._aio_task_complete = NothingToWaitFor()


async def _ends(task: asyncio.Task[Any], side: AsyncioSide, message: BaseException | None) -> bool:
    """Stop the task and say whether it has ended within the grace period.

    Cancellation of the trio side does not cut this short. asyncio goes on meanwhile: trio runs as
    its guest, and gives the thread back to it whenever it waits.
    """
    import trio

    side.stop(message)
    for _ in range(TURNS):
        await trio.lowlevel.cancel_shielded_checkpoint()
        if task.done():
            return True
    ended = trio.Event()
    task.add_done_callback(lambda _: ended.set())
    return await _set_in_time(ended, grace())


async def _set_in_time(event: trio.Event, patience: float) -> bool:
    """Wait for `event`, while this thread runs for `patience` seconds; say whether it came."""
    import trio

    for _ in range(STANDSTILLS):
        limit = trio.CancelScope(shield=True, deadline=trio.current_time() + patience)
        with limit:
            await event.wait()
        if event.is_set() or trio.current_time() - limit.deadline < max(patience, STANDSTILL):
            break
    return event.is_set()


class TaskView(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """The asyncio task as upstream sees it: what upstream raises in it is heard, not raised."""

    def __init__(self, task: asyncio.Task[Any], side: AsyncioSide) -> None:
        super().__init__(task)
        self._self_side = side

    def __repr__(self) -> str:
        # asyncio's own tells which of upstream's functions runs the target, and not the target
        state = "finished" if self.done() else "pending"
        return f"<Task {state} name={self.get_name()!r} target={self._self_side.name()}>"

    @property
    def _fut_waiter(self) -> FutureView:
        return FutureView(self._self_side)


class FutureView:
    """The future that the task waits for as upstream sees it: it raises its messages through it."""

    def __init__(self, side: AsyncioSide) -> None:
        self._side = side

    def done(self) -> bool:
        return False

    def set_exception(self, message: BaseException) -> None:
        self._side.heard = message
        if self._side.refuses:
            self._side.press(message)


class NothingToWaitFor:
    """Stands for the event of the task's end, which has been waited for.

    Waiting for it is no checkpoint: a cancellation that is due would take the place of the error
    that the trio side is leaving with.
    """

    def is_set(self) -> bool:
        return True

    async def wait(self) -> None:
        return None
