"""An asyncio task hears what it is told wherever it waits, and loses nothing by it."""

from __future__ import annotations

import asyncio
import sys
import traceback
import types
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from macfix.patches.aio import _side
from macfix.patches.aio._side import AsyncioSide
from macfix.patches.aio._targets import comes_from, name_of, with_runner

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="tractor needs Python 3.11")


class ToldError(Exception):
    """What the trio side has to say."""


class OwnError(Exception):
    """What happens on the asyncio side."""


async def turn(times: int = 1) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


class Play:
    """One asyncio side with a target, and what happened there."""

    def __init__(self, target: Callable[..., Awaitable[Any]]) -> None:
        self.events: list[str] = []
        self.side = AsyncioSide(target)
        self.task: asyncio.Task[Any] = asyncio.create_task(self.side.stand_in()(self))
        self.side.task = self.task

    def note(self, what: object) -> None:
        self.events.append(what if isinstance(what, str) else type(what).__name__)

    async def end(self) -> Any:
        """Wait for the task's end, and return its result or its error."""
        await asyncio.wait([self.task], timeout=5)
        assert self.task.done(), "it goes on"
        if self.task.cancelled():
            return asyncio.CancelledError()
        return self.task.exception() or self.task.result()


def play(
    target: Callable[..., Awaitable[Any]],
    message: BaseException | None = None,
    before: Callable[[Play], None] = lambda play: None,
    turns: int = 5,
) -> tuple[list[str], Any]:
    """Stop a target after some turns of the loop; return its events and how it ended."""

    async def main() -> tuple[list[str], Any]:
        running = Play(target)
        await turn(turns)
        before(running)
        running.side.stop(message)
        end = await running.end()
        return running.events, end

    return asyncio.run(main())


async def parked(play: Play) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    except BaseException as error:
        play.note(error)
        raise
    finally:
        await turn(3)
        play.note("cleaned")


async def busy(play: Play) -> None:
    try:
        while True:
            await asyncio.sleep(0)
    except BaseException as error:
        play.note(error)
        raise
    finally:
        await turn(3)
        play.note("cleaned")


async def waiting_for_a_task(play: Play) -> None:
    try:
        await asyncio.create_task(parked(play))
    except BaseException as error:
        play.note(error)
        raise


async def gathering(play: Play) -> None:
    try:
        await asyncio.gather(parked(play), parked(play))
    except BaseException as error:
        play.note(error)
        raise


async def grouped(play: Play) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(parked(play))
    except BaseException as error:
        play.note(error)
        raise
    finally:
        await turn(3)
        play.note("all cleaned")


@pytest.mark.parametrize("message", [None, ToldError("that is all")])
def test_debuggers_and_pytest_do_not_stop_in_the_frames_of_this_module(message: Any) -> None:
    async def failing(play: Play) -> None:
        try:
            await turn(0 if message is None else 100)
        finally:
            raise OwnError

    _, end = play(failing, message)
    frames = [frame for frame, _ in traceback.walk_tb(end.__traceback__)]
    ours = [frame for frame in frames if frame.f_code.co_filename == _side.__file__]
    assert len(ours) == 2 and all(frame.f_locals["__tracebackhide__"] for frame in ours)


@pytest.mark.parametrize("target", [parked, busy])
def test_a_task_is_told_exactly_the_message_and_ends_with_it(target: Any) -> None:
    message = ToldError("that is all")
    events, end = play(target, message)
    assert events == ["ToldError", "cleaned"]
    assert end is message


@pytest.mark.parametrize("target", [parked, busy])
def test_without_a_message_it_is_cancelled_and_ends_quietly(target: Any) -> None:
    assert play(target) == (["CancelledError", "cleaned"], None)


@pytest.mark.parametrize("target", [waiting_for_a_task, gathering])
def test_tasks_that_it_waits_for_are_cancelled_and_not_left_behind(target: Any) -> None:
    message = ToldError()
    events, end = play(target, message)
    assert set(events[:-1]) == {"CancelledError", "cleaned"}
    assert events[-1] == "ToldError"
    assert end is message


def test_the_tasks_of_a_group_clean_up_before_it_is_told() -> None:
    message = ToldError("that is all")
    events, end = play(grouped, message)
    assert events == ["CancelledError", "cleaned", "ToldError", "all cleaned"]
    assert end is message
    assert end.__context__ is None


def test_after_a_group_the_message_still_has_its_cause() -> None:
    message, causes = ToldError("that is all"), []
    message.__cause__ = OwnError("why")

    async def asking(play: Play) -> None:
        try:
            await grouped(play)
        except ToldError as error:
            causes.append(error.__cause__)
            raise

    assert play(asking, message)[1] is message
    assert causes == [message.__cause__]


def test_a_group_that_is_cancelled_cleans_up_as_well() -> None:
    events, end = play(grouped)
    assert events == ["CancelledError", "cleaned", "CancelledError", "all cleaned"]
    assert end is None


@pytest.mark.parametrize("message", [None, ToldError()])
def test_clean_up_that_is_under_way_is_not_interrupted(message: Any) -> None:
    async def cleans_up(play: Play) -> str:
        try:
            pass
        finally:
            await turn(20)
            play.note("cleaned")
        return "result"

    assert play(cleans_up, message) == (["cleaned"], "result")


def test_after_a_clean_up_in_its_middle_it_is_told_at_the_next_wait() -> None:
    async def works_on(play: Play) -> None:
        while True:
            try:
                play.note("works")
            finally:
                await turn(20)
                play.note("cleaned")
            await asyncio.sleep(3600)

    events, end = play(works_on, message := ToldError())
    assert events == ["works", "cleaned"]
    assert end is message


def test_the_clean_up_of_a_task_below_is_not_interrupted() -> None:
    async def below(play: Play) -> None:
        try:
            pass
        finally:
            await turn(20)
            play.note("cleaned")

    async def target(play: Play) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(below(play))
            group.create_task(asyncio.sleep(3600))

    assert play(target) == (["cleaned"], None)


def test_what_has_come_already_comes_first() -> None:
    async def receives(play: Play) -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        play.queue = queue  # type: ignore[attr-defined]
        while True:
            play.note(await queue.get())

    events, end = play(receives, before=lambda play: play.queue.put_nowait("last"))  # type: ignore[attr-defined]
    assert (events, end) == (["last"], None)


def test_an_own_error_that_is_on_its_way_is_not_lost() -> None:
    async def waits(play: Play) -> None:
        play.future = asyncio.get_running_loop().create_future()  # type: ignore[attr-defined]
        await play.future  # type: ignore[attr-defined]

    error = OwnError()
    _, end = play(waits, ToldError(), lambda play: play.future.set_exception(error))  # type: ignore[attr-defined]
    assert end is error


def test_an_own_error_in_the_clean_up_is_not_lost() -> None:
    async def fails(play: Play) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await turn()
            raise OwnError

    assert isinstance(play(fails)[1], OwnError)
    assert isinstance(play(fails, ToldError())[1], OwnError)


def test_an_own_error_of_a_task_below_is_not_lost() -> None:
    async def below(play: Play) -> None:
        play.event = asyncio.Event()  # type: ignore[attr-defined]
        await play.event.wait()  # type: ignore[attr-defined]
        raise OwnError

    async def target(play: Play) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(below(play))
            group.create_task(asyncio.sleep(3600))

    _, end = play(target, before=lambda play: play.event.set())  # type: ignore[attr-defined]
    assert [type(error) for error in end.exceptions] == [OwnError]


def test_who_handles_the_message_goes_on_to_his_own_end() -> None:
    async def handles(play: Play) -> str:
        with suppress(ToldError):
            await asyncio.sleep(3600)
        await turn(3)
        return "result"

    assert play(handles, ToldError()) == ([], "result")


def test_a_message_is_no_cancellation_in_what_follows() -> None:
    async def handles(play: Play) -> int:
        with suppress(ToldError):
            await asyncio.sleep(3600)
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(3600)
        return task.cancelling()

    assert play(handles, ToldError())[1] == 0


def test_who_swallows_a_cancel_below_is_told_all_the_same() -> None:
    async def below() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    async def target(play: Play) -> None:
        await asyncio.create_task(below())
        await asyncio.sleep(3600)

    assert play(target, message := ToldError())[1] is message


def test_who_is_pressed_where_a_cancel_is_swallowed_below_is_told_all_the_same() -> None:
    async def below() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    async def target(play: Play) -> None:
        with suppress(ToldError):
            await asyncio.sleep(3600)
        await asyncio.create_task(below())
        await asyncio.sleep(3600)

    async def main() -> Any:
        running = Play(target)
        await turn(3)
        running.side.stop(ToldError())
        await turn(3)
        running.side.press(pressed)
        return await running.end()

    pressed = ToldError("now")
    assert asyncio.run(main()) is pressed


def test_a_cancel_from_elsewhere_stays_one() -> None:
    async def main() -> Any:
        running = Play(parked)
        await turn(3)
        running.task.cancel()
        return await running.end()

    assert isinstance(asyncio.run(main()), asyncio.CancelledError)


def test_who_refuses_can_be_pressed() -> None:
    async def refuses(play: Play) -> None:
        for _ in range(2):
            with suppress(BaseException):
                await asyncio.sleep(3600)
            play.note("refused")
        await asyncio.sleep(3600)

    async def main() -> tuple[list[str], Any]:
        running = Play(refuses)
        await turn(2)
        running.side.stop(None)
        await turn(5)
        assert not running.task.done()
        running.side.press(ToldError("once more"))
        await turn(5)
        running.side.press(message := ToldError("at last"))
        return running.events, (await running.end()) is message

    assert asyncio.run(main()) == (["refused", "refused"], True)


def test_it_says_where_the_target_waits_and_who_it_is() -> None:
    async def main() -> tuple[str, str]:
        running = Play(waiting_for_a_task)
        await turn(3)
        where, name = running.side.where(), running.side.name()
        running.side.stop(None)
        await running.end()
        return where, name

    where, name = asyncio.run(main())
    assert "await asyncio.create_task(parked(play))" in where
    assert name == f"{__name__}.waiting_for_a_task"


def test_what_is_awaitable_but_no_coroutine_is_run_too() -> None:
    def future(play: Play) -> Any:
        return asyncio.get_running_loop().create_future()

    assert play(future) == ([], None)


class Turning:
    """An awaitable with the least that `await` takes: an iterator that only iterates."""

    def __init__(self, turns: int) -> None:
        self.left = turns

    def __await__(self) -> Turning:
        return self

    def __iter__(self) -> Turning:
        return self

    def __next__(self) -> None:
        if not self.left:
            raise StopIteration("turned")
        self.left -= 1


@types.coroutine
def old_coroutine(play: Play) -> Any:
    try:
        yield from asyncio.sleep(3600).__await__()
    except BaseException as error:
        play.note(error)
        raise
    finally:
        yield from turn(3).__await__()
        play.note("cleaned")


def test_an_awaitable_that_only_iterates_is_run_to_its_result() -> None:
    async def main() -> Any:
        return await Play(lambda play: Turning(3)).end()

    assert asyncio.run(main()) == "turned"


def test_an_awaitable_that_only_iterates_can_be_stopped() -> None:
    assert play(lambda play: Turning(1_000_000)) == ([], None)


def test_a_coroutine_of_the_old_kind_is_told_and_cleans_up() -> None:
    assert play(old_coroutine) == (["CancelledError", "cleaned"], None)
    message = ToldError()
    assert play(old_coroutine, message) == (["ToldError", "cleaned"], message)


# -- targets ---------------------------------------------------------------------------------------


async def runs(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def wants(to_trio: Any, from_trio: Any, *, more: int = 0) -> None:
    pass


class Owner:
    async def method(self, chan: Any) -> None:
        pass


@pytest.mark.parametrize("target", [wants, partial(wants, more=1), Owner().method])
def test_a_stand_in_has_the_parameters_that_upstream_looks_for(target: Any) -> None:
    import inspect

    found = inspect.getfullargspec(with_runner(target, runs)).args
    assert [name for name in found if name != "self"] == [
        name for name in inspect.getfullargspec(target).args if name != "self"
    ]


def test_a_stand_in_has_the_marks_of_its_target() -> None:
    async def marked() -> None:
        pass

    marked._tractor_steam_function = True  # type: ignore[attr-defined]
    assert with_runner(marked, runs)._tractor_steam_function  # type: ignore[attr-defined]


def test_what_is_no_target_is_left_for_upstream_to_refuse() -> None:
    coroutine = wants(1, 2)
    assert with_runner(coroutine, runs) is coroutine  # type: ignore[arg-type]
    coroutine.close()
    assert with_runner(lambda: 3, runs)() == 3


def test_the_function_behind_a_target_is_found() -> None:
    target = with_runner(partial(partial(wants, 1), 2), runs)
    assert name_of(target) == f"{__name__}.wants"
    assert comes_from(target, __name__)
    assert comes_from(target, __name__.partition(".")[0])
    assert not comes_from(target, __name__[:-1])
    assert name_of(Owner().method) == f"{__name__}.Owner.method"
