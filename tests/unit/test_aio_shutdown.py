"""The trio side waits for its asyncio task: long enough, not too long, and whatever happens to it.

The module that is patched here is a stand-in with the little of tractor's that the fix wraps, and
with its way of waiting, so that no upstream is needed.
"""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import trio
import wrapt

from macfix import Changes, MacfixWarning
from macfix.patches.aio import _shutdown
from macfix.patches.aio._shutdown import DEFAULT_GRACE, TaskView, grace, install

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="tractor needs Python 3.11")


class TrioTaskExited(Exception):  # noqa: N818
    """What the stand-in raises in a task that is left behind."""


class LeftError(Exception):
    """With what a block is left."""


class InterruptError(BaseException):
    """What comes while a block is being left, as Ctrl-C does."""


def stand_in() -> ModuleType:
    """Return a module that leaves asyncio tasks as tractor does."""
    module: Any = ModuleType("stand_in_for_to_asyncio")

    def run_asyncio_task(func: Callable[..., Awaitable[Any]], **kwargs: Any) -> Any:
        done = trio.Event()

        async def run() -> None:
            try:
                await func(**kwargs)
            finally:
                done.set()

        task = asyncio.create_task(run())
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # as tractor does
        return SimpleNamespace(_aio_task=task, _aio_task_complete=done, _trio_exited=False)

    @asynccontextmanager
    async def translate_aio_errors(
        chan: Any, wait_on_aio_task: bool = False
    ) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if wait_on_aio_task:
                await chan._aio_task_complete.wait()

    @asynccontextmanager
    async def open_channel_from(target: Any, **kwargs: Any) -> AsyncIterator[Any]:
        chan = module._run_asyncio_task(target, **kwargs)
        async with module.translate_aio_errors(chan, wait_on_aio_task=True):
            try:
                yield chan
            finally:
                chan._trio_exited = True
                if not chan._aio_task.done():
                    chan._aio_task._fut_waiter.set_exception(TrioTaskExited("left"))

    module._run_asyncio_task = run_asyncio_task
    module.translate_aio_errors = translate_aio_errors
    module.open_channel_from = open_channel_from
    return module  # type: ignore[no-any-return]


@contextmanager
def patched() -> Iterator[Any]:
    module, changes = stand_in(), Changes()
    install(module, changes)
    try:
        yield module
    finally:
        assert changes.revert() == []


def run_as_guest(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run trio as asyncio's guest, as an infected actor does."""

    async def host() -> Any:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        trio.lowlevel.start_guest_run(
            main,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=ended.set_result,
        )
        return (await ended).unwrap()

    return asyncio.run(host())


class Target:
    """An asyncio task that waits, and takes a while to clean up."""

    def __init__(self, clean_up: Callable[[], Awaitable[None]] | None = None) -> None:
        self.events: list[str] = []
        self.clean_up = clean_up
        self.ready = trio.Event()

    async def __call__(self) -> None:
        try:
            self.ready.set()
            await asyncio.get_running_loop().create_future()
        except BaseException as error:
            self.events.append(type(error).__name__)
            raise
        finally:
            if self.clean_up is not None:
                await self.clean_up()
            self.events.append("cleaned")


async def slow() -> None:
    for _ in range(3):
        await asyncio.sleep(0.001)


class Refusal:
    """Goes on until it is released, whatever it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.released = False
        self.ready = trio.Event()

    async def __call__(self) -> None:
        self.ready.set()
        while not self.released:
            try:
                await asyncio.sleep(3600)
            except BaseException as error:
                self.told.append(type(error).__name__)


def leave(target: Any, block: Callable[[], Awaitable[None]]) -> Any:
    """Leave a channel to `target` by what `block` does; return what came out of it."""

    async def main() -> Any:
        with patched() as module:
            try:
                async with module.open_channel_from(target):
                    await target.ready.wait()
                    await block()
            except Exception as error:
                return error
            finally:
                target.released = True
        return None

    return run_as_guest(main)


async def end() -> None:
    pass


async def fail() -> None:
    raise LeftError


def test_a_plain_end_waits_for_the_clean_up() -> None:
    target = Target(slow)
    assert isinstance(leave(target, end), (TrioTaskExited, type(None)))
    assert target.events == ["TrioTaskExited", "cleaned"]


def test_an_error_waits_for_the_clean_up() -> None:
    target = Target(slow)
    with warnings.catch_warnings(record=True) as said:
        error = leave(target, fail)
    assert (type(error), error.__context__) == (LeftError, None)
    assert (target.events, said) == (["CancelledError", "cleaned"], [])


def test_a_cancellation_waits_for_the_clean_up() -> None:
    target = Target(slow)

    async def main() -> list[str]:
        with patched() as module, trio.CancelScope() as scope:
            async with module.open_channel_from(target):
                await target.ready.wait()
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        return list(target.events)

    assert run_as_guest(main) == ["CancelledError", "cleaned"]


def test_a_cancellation_that_is_due_does_not_replace_the_error() -> None:
    target = Target(slow)

    async def main() -> Any:
        with patched() as module, trio.CancelScope() as scope:
            try:
                async with module.open_channel_from(target):
                    await target.ready.wait()
                    scope.cancel()
                    raise LeftError
            except LeftError as error:
                return error

    assert isinstance(run_as_guest(main), LeftError)


def test_who_refuses_gets_one_warning_and_then_upstreams_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MACFIX_AIO_GRACE", "0.02")
    target = Refusal()

    async def main() -> Any:
        with patched() as module:
            with pytest.raises(LeftError), pytest.warns(MacfixWarning) as warned:
                async with module.open_channel_from(target):
                    await target.ready.wait()
                    raise LeftError
            chan = module._run_asyncio_task(target)
            chan._aio_task._fut_waiter.set_exception(TrioTaskExited("not yet"))
            await trio.sleep(0)
            heard = list(target.told)
            target.released = True
            chan._aio_task.cancel()
            return warned, heard

    warned, heard = run_as_guest(main)
    assert heard == ["CancelledError"]
    (warning,) = warned
    text = str(warning.message)
    assert "Task-" in text and f"{__name__}.Refusal" in text and "0.02 s" in text
    assert "await asyncio.sleep(3600)" in text


def test_after_the_grace_period_upstreams_messages_are_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MACFIX_AIO_GRACE", "0.02")
    target = Refusal()

    async def main() -> list[str]:
        with patched() as module, pytest.warns(MacfixWarning):
            async with module.open_channel_from(target) as chan:
                await target.ready.wait()
            chan._aio_task._fut_waiter.set_exception(LeftError("once more"))
            for _ in range(3):
                await trio.sleep(0)
            target.released = True  # or the end of the event loop waits for it
            return list(target.told)

    assert run_as_guest(main) == ["TrioTaskExited", "LeftError"]


def test_time_in_which_the_thread_stood_still_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MACFIX_AIO_GRACE", "0.1")

    async def stopped_by_a_debugger() -> None:
        await asyncio.sleep(0.001)
        time.sleep(2 * _shutdown.STANDSTILL)
        await asyncio.sleep(0.001)

    target = Target(stopped_by_a_debugger)
    with warnings.catch_warnings(record=True) as said:
        assert isinstance(leave(target, fail), LeftError)
    assert (target.events, said) == (["CancelledError", "cleaned"], [])


@pytest.mark.parametrize("swallows", [True, False])
def test_what_interrupts_the_leaving_is_upstreams_to_swallow(
    monkeypatch: pytest.MonkeyPatch, swallows: bool
) -> None:
    told: list[BaseException] = []

    async def interrupted(*_: object) -> None:
        raise InterruptError

    class Translator:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, kind: object, error: BaseException, trace: object) -> bool:
            told.append(error)
            return swallows

    monkeypatch.setattr(_shutdown, "_leave", interrupted)
    side = SimpleNamespace(heard=None)
    channel = SimpleNamespace(_aio_task=SimpleNamespace(_self_side=side), _trio_exited=True)

    async def leave_it() -> None:
        async with _shutdown._left_first(Translator(), channel):
            pass

    if swallows:
        asyncio.run(leave_it())
    else:
        with pytest.raises(InterruptError):
            asyncio.run(leave_it())
    assert [type(error) for error in told] == [InterruptError]


def test_a_task_with_a_short_clean_up_ends_within_a_few_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def too_late(*_: object) -> bool:
        raise AssertionError("trio has to be woken up")

    monkeypatch.setattr(_shutdown, "_set_in_time", too_late)
    target = Target()
    assert isinstance(leave(target, end), (TrioTaskExited, type(None)))
    assert target.events[0] == "TrioTaskExited"


def test_a_task_that_is_done_is_not_waited_for() -> None:
    async def done() -> None:
        pass

    async def main() -> Any:
        with patched() as module:
            async with module.open_channel_from(done) as chan:
                while not chan._aio_task.done():
                    await trio.sleep(0)
            return chan._aio_task_complete

    assert run_as_guest(main).is_set()


def test_a_translator_that_does_not_end_with_its_task_is_upstreams_own() -> None:
    async def main() -> None:
        target = Target()
        with patched() as module:
            chan = module._run_asyncio_task(target)
            async with module.translate_aio_errors(chan):
                await target.ready.wait()
            assert not chan._aio_task.done()
            with pytest.raises(LeftError):
                async with module.translate_aio_errors(chan):
                    raise LeftError
            assert not chan._aio_task.done()
            chan._aio_task.cancel()

    run_as_guest(main)


def test_the_view_of_a_task_is_the_task_to_its_users() -> None:
    async def main() -> None:
        target = Target()
        with patched() as module:
            chan = module._run_asyncio_task(target)
            view = chan._aio_task
            assert isinstance(view, TaskView) and isinstance(view, asyncio.Task)
            assert view == view.__wrapped__ and hash(view) == hash(view.__wrapped__)
            assert repr(view).startswith("<Task pending name='Task-")
            assert f"{__name__}.Target" in repr(view)
            await target.ready.wait()
            view.cancel()
            while not view.done():
                await trio.sleep(0)
            assert "finished" in repr(view)

    run_as_guest(main)


def test_what_was_mended_can_be_put_back() -> None:
    module, changes = stand_in(), Changes()
    before = dict(vars(module))
    install(module, changes)
    assert isinstance(module._run_asyncio_task, wrapt.FunctionWrapper)
    assert changes.revert() == []
    assert vars(module) == before


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0.5), ("0", 0.0), (" 2.5 ", 2.5), ("inf", float("inf"))]
)
def test_the_grace_period_is_what_the_user_says(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    monkeypatch.setenv("MACFIX_AIO_GRACE", text)
    assert grace() == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_grace_period_that_is_none_is_reported(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("MACFIX_AIO_GRACE", text)
    with pytest.warns(MacfixWarning, match="MACFIX_AIO_GRACE"):
        assert grace() == DEFAULT_GRACE
