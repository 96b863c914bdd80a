"""Where a suspended coroutine stands is seen from its frames alone."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from macfix.patches.aio._frames import Standing, standing, tasks_below

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="needs asyncio's task groups")

Wait = Callable[[], Awaitable[None]]


class Leaves:
    """An async context manager that waits when it is left, or when it is entered."""

    def __init__(self, wait: Wait, entering: bool = False) -> None:
        self.wait = wait
        self.entering = entering

    async def __aenter__(self) -> None:
        if self.entering:
            await self.wait()

    async def __aexit__(self, *exc: object) -> None:
        if not self.entering:
            await self.wait()


@asynccontextmanager
async def cleaning_up(wait: Wait) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await wait()


async def numbers(wait: Wait, in_finally: bool) -> AsyncIterator[int]:
    try:
        yield 1
        if not in_finally:
            await wait()
    finally:
        if in_finally:
            await wait()


async def fail() -> None:
    raise asyncio.CancelledError


# -- at work ---------------------------------------------------------------------------------------


async def in_its_body(wait: Wait) -> None:
    try:
        await wait()
    finally:
        pass


async def in_an_except_for_errors(wait: Wait) -> None:
    try:
        raise ValueError
    except Exception:
        await wait()


async def in_an_else(wait: Wait) -> None:
    try:
        pass
    except BaseException:
        pass
    else:
        await wait()


async def after_a_finally(wait: Wait) -> None:
    try:
        pass
    finally:
        pass
    await wait()


async def entering(wait: Wait) -> None:
    async with Leaves(wait, entering=True):
        pass


async def at_the_end_of_a_group(wait: Wait) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(in_its_body(wait))


async def in_a_group_within_leaving(wait: Wait) -> None:
    async def wait_for_a_group() -> None:
        await at_the_end_of_a_group(wait)

    async with Leaves(wait_for_a_group):
        pass


async def in_an_iteration(wait: Wait) -> None:
    async for _ in numbers(wait, in_finally=False):
        pass


async def in_a_nested_function(wait: Wait) -> None:
    async def inner() -> None:
        try:
            await wait()
        finally:
            pass

    await inner()


# -- in clean-up -----------------------------------------------------------------------------------


async def in_a_finally(wait: Wait) -> None:
    try:
        pass
    finally:
        await wait()


async def in_a_finally_after_an_error(wait: Wait) -> None:
    try:
        raise ValueError
    finally:
        await wait()


async def in_a_long_line_of_a_finally(wait: Wait) -> None:
    try:
        pass
    finally:
        await asyncio.gather(
            wait(),
            asyncio.sleep(0),
        )


async def in_a_callees_finally(wait: Wait) -> None:
    await in_a_finally(wait)


async def called_in_a_finally(wait: Wait) -> None:
    try:
        pass
    finally:
        await in_its_body(wait)


async def in_an_except_for_cancellation(wait: Wait) -> None:
    try:
        await fail()
    except asyncio.CancelledError:
        await wait()


async def in_an_except_for_several(wait: Wait) -> None:
    try:
        await fail()
    except (ValueError, asyncio.CancelledError):
        await wait()


async def in_an_except_for_everything(wait: Wait) -> None:
    try:
        await fail()
    except:  # noqa: E722
        await wait()


async def in_an_except_for_any_base(wait: Wait) -> None:
    try:
        await fail()
    except BaseException:
        await wait()


async def leaving(wait: Wait) -> None:
    async with Leaves(wait):
        pass


async def leaving_after_an_error(wait: Wait) -> None:
    async with Leaves(wait):
        raise ValueError


async def leaving_a_generator(wait: Wait) -> None:
    async with cleaning_up(wait):
        pass


async def leaving_a_generator_after_an_error(wait: Wait) -> None:
    async with cleaning_up(wait):
        raise ValueError


async def in_a_group_within_a_finally(wait: Wait) -> None:
    try:
        pass
    finally:
        await at_the_end_of_a_group(wait)


async def in_the_finally_of_an_iteration(wait: Wait) -> None:
    async for _ in numbers(wait, in_finally=True):
        pass


async def behind_a_wrapper(wait: Wait) -> None:
    class Wrapper:
        def __await__(self) -> Any:
            return in_a_finally(wait).__await__()

    await Wrapper()


async def behind_an_old_coroutine(wait: Wait) -> None:
    @types.coroutine
    def old() -> Any:
        try:
            pass
        finally:
            yield from wait().__await__()

    await old()


AT_WORK = (
    in_its_body,
    in_an_except_for_errors,
    in_an_else,
    after_a_finally,
    entering,
    at_the_end_of_a_group,
    in_a_group_within_leaving,
    in_an_iteration,
    in_a_nested_function,
)
IN_CLEAN_UP = (
    in_a_finally,
    in_a_finally_after_an_error,
    in_a_long_line_of_a_finally,
    in_a_callees_finally,
    called_in_a_finally,
    in_an_except_for_cancellation,
    in_an_except_for_several,
    in_an_except_for_everything,
    in_an_except_for_any_base,
    leaving,
    leaving_after_an_error,
    leaving_a_generator,
    leaving_a_generator_after_an_error,
    in_a_group_within_a_finally,
    in_the_finally_of_an_iteration,
    behind_a_wrapper,
    behind_an_old_coroutine,
)


def look(
    waiter: Callable[[Wait], Coroutine[Any, Any, None]],
    see: Callable[[asyncio.Task[None]], Any] = lambda task: standing(task.get_coro()),
) -> Any:
    """Run `waiter` until it waits, and return what `see` sees in its task then."""

    async def main() -> Any:
        going_on = asyncio.Event()

        async def wait() -> None:
            await going_on.wait()

        task = asyncio.create_task(waiter(wait))
        for _ in range(10):
            await asyncio.sleep(0)
        seen = see(task)
        going_on.set()
        with suppress(ValueError):
            await task
        return seen

    return asyncio.run(main())


@pytest.mark.parametrize("waiter", AT_WORK, ids=lambda waiter: waiter.__name__)
def test_what_is_at_work_does_not_clean_up(waiter: Any) -> None:
    assert not look(waiter).cleans_up


@pytest.mark.parametrize("waiter", IN_CLEAN_UP, ids=lambda waiter: waiter.__name__)
def test_clean_up_is_seen_wherever_it_is(waiter: Any) -> None:
    assert look(waiter).cleans_up


def test_the_end_of_a_group_is_seen() -> None:
    assert look(at_the_end_of_a_group).in_group
    assert look(in_a_group_within_a_finally).in_group
    assert not look(leaving).in_group


def test_without_source_nothing_is_taken_for_clean_up() -> None:
    space: dict[str, Any] = {}
    code = "async def f(wait):\n    try:\n        pass\n    finally:\n        await wait()\n"
    exec(code, space)
    assert not look(space["f"]).cleans_up


def test_source_that_does_not_parse_alone_is_taken_for_none() -> None:
    waiter = [lambda wait: wait() if wait else None][0]
    assert not look(waiter).cleans_up


def test_the_stack_has_the_place_where_it_waits() -> None:
    stack = look(in_a_callees_finally).stack()
    assert stack.index("in in_a_callees_finally") < stack.index("in in_a_finally")
    assert "await going_on.wait()" in stack


def test_a_coroutine_that_has_ended_stands_nowhere() -> None:
    async def done() -> None:
        pass

    coroutine = done()
    with suppress(StopIteration):
        coroutine.send(None)
    assert standing(coroutine) == Standing([], False, False, [])


# -- the tasks below -------------------------------------------------------------------------------


async def waits_for_a_task(wait: Wait) -> None:
    await asyncio.create_task(in_a_finally(wait), name="below")


async def gathers(wait: Wait) -> None:
    below = asyncio.create_task(in_a_finally(wait), name="below")
    await asyncio.gather(below, asyncio.create_task(in_its_body(wait), name="beside"))


async def groups(wait: Wait) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(in_its_body(wait), name="beside")
        group.create_task(waits_for_a_task(wait), name="between")


async def works_in_a_group(wait: Wait) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(in_its_body(wait), name="beside")
        await wait()


async def only_starts_a_task(wait: Wait) -> None:
    task = asyncio.create_task(in_its_body(wait), name="nobody's")
    await wait()
    await task


@pytest.mark.parametrize(
    ("waiter", "below"),
    [
        (waits_for_a_task, {"below": True}),
        (gathers, {"below": True, "beside": False}),
        (groups, {"below": True, "beside": False, "between": False}),
        (works_in_a_group, {"beside": False}),
        (only_starts_a_task, {}),
    ],
)
def test_the_tasks_below_are_those_that_a_cancel_reaches(
    waiter: Any, below: dict[str, bool]
) -> None:
    def see(task: asyncio.Task[None]) -> dict[str, bool]:
        found = tasks_below(task, standing(task.get_coro()))
        return {each.get_name(): where.cleans_up for each, where in found}

    assert look(waiter, see) == below
