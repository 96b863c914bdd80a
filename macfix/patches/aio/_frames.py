"""Where a suspended coroutine stands: what it waits in, and whether that is its clean-up.

Knows Python and asyncio, not the upstreams.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import linecache
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

_STOPS = frozenset(
    {"BaseException", "BaseExceptionGroup", "CancelledError", "GeneratorExit", "TrioTaskExited"}
)
"""Who handles one of these is being stopped: what it then awaits is clean-up."""

_GROUP_MODULES = frozenset({"asyncio.taskgroups", "anyio._backends._asyncio"})
"""Modules whose `__aexit__` waits for tasks that are at work: that is not clean-up."""

_GROUP_MAKERS = frozenset({"TaskGroup", "create_task_group"})
"""What a function calls that makes a task group."""

_SHOWN: dict[type, tuple[str, str]] = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}
"""The attributes with a suspended thing's frame and with what it awaits."""

_WRAPPERS = frozenset(
    {"async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper"}
)
"""Types of what only runs something else: an `asend()`, an `athrow()`, an `__await__()`."""


class Standing(NamedTuple):
    """Where a suspended coroutine waits. It holds until the coroutine is resumed.

    Attributes:
        frames: its frames and those of all that it awaits, outermost first.
        cleans_up: it waits inside clean-up, its own or a callee's: in the body of a `finally` or
            of an `except` that catches cancellation, or leaving an `async with`.
        in_group: it waits at the end of a task group for its tasks, which is no clean-up.
        groups: the task groups that it is in.
    """

    frames: list[FrameType]
    cleans_up: bool
    in_group: bool
    groups: list[Any]

    def stack(self) -> str:
        """Return the frames as a traceback shows them."""
        places = ((frame, frame.f_lineno) for frame in self.frames)
        return "".join(traceback.StackSummary.extract(places).format())


def standing(coroutine: object) -> Standing:
    """Return where the suspended `coroutine` waits."""
    frames: list[FrameType] = []
    groups: list[Any] = []
    cleans_up = leaves = in_group = False
    for frame in _frames(coroutine):
        frames.append(frame)
        code, line = frame.f_code, frame.f_lineno
        linecache.lazycache(code.co_filename, frame.f_globals)
        blocks = _clean_up_in(code.co_filename, code.co_firstlineno)
        cleans_up = cleans_up or any(first <= line <= last for first, last in blocks)
        if code.co_name == "__aexit__":
            ends_group = frame.f_globals.get("__name__") in _GROUP_MODULES
            in_group = in_group or ends_group
            leaves = leaves or not ends_group
        if in_group or not _GROUP_MAKERS.isdisjoint(code.co_names):
            groups += [it for it in frame.f_locals.values() if type(it).__name__ == "TaskGroup"]
    return Standing(frames, cleans_up or (leaves and not in_group), in_group, groups)


def tasks_below(
    task: asyncio.Task[Any], where: Standing
) -> Iterator[tuple[asyncio.Task[Any], Standing]]:
    """Yield the running tasks that are cancelled if `task`, standing there, is; and their standing.

    They are the tasks of the task groups that it is in, and those that it waits for.
    """
    candidates: list[Any] = [*_awaited(task)]
    for group in where.groups:
        candidates += getattr(group, "_tasks", ())
    for below in candidates:
        if isinstance(below, asyncio.Task) and not below.done():
            its_standing = standing(below.get_coro())
            yield below, its_standing
            yield from tasks_below(below, its_standing)


def _frames(coroutine: object) -> Iterator[FrameType]:
    awaited: Any = coroutine
    while awaited is not None:
        names = _SHOWN.get(type(awaited))
        if names is None:
            awaited = _wrapped_in(awaited)
            continue
        frame = getattr(awaited, names[0])
        if frame is not None:
            yield frame
        awaited = getattr(awaited, names[1])


def _wrapped_in(awaited: object) -> Any:
    if type(awaited).__name__ not in _WRAPPERS:
        return None
    # none of them tells what it runs
    return next((part for part in gc.get_referents(awaited) if type(part) in _SHOWN), None)


def _awaited(task: asyncio.Task[Any]) -> Iterable[Any]:
    waiter = getattr(task, "_fut_waiter", None)
    return getattr(waiter, "_children", None) or (waiter,)  # several if it is a gather()


@cache
def _clean_up_in(file: str, first: int) -> tuple[tuple[int, int], ...]:
    """Return first and last lines of the clean-up in the function on line `first` of `file`.

    They are none if there is no source to look at.
    """
    lines = linecache.getlines(file)[first - 1 :]
    if not lines:
        return ()
    text, shift = "".join(inspect.getblock(lines)), first - 1
    if text[0].isspace():
        text, shift = "if True:\n" + text, shift - 1
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    blocks = [block for node in ast.walk(tree) for block in _clean_up_blocks(node)]
    return tuple((block[0].lineno + shift, (block[-1].end_lineno or 0) + shift) for block in blocks)


def _clean_up_blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    if getattr(node, "finalbody", None):
        yield node.finalbody  # type: ignore[attr-defined]
    if isinstance(node, ast.ExceptHandler) and _catches_a_stop(node):
        yield node.body


def _catches_a_stop(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {
        getattr(part, "id", None) or getattr(part, "attr", None) for part in ast.walk(handler.type)
    }
    return not names.isdisjoint(_STOPS)
