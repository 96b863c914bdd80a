"""A target of piker's ends quietly when it is told; of its own errors, only they are seen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from macfix import Changes
from macfix.patches.aio.piker_targets import install

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="tractor needs Python 3.11")


class TrioTaskExited(Exception):  # noqa: N818
    """What is raised in a target that is left by a plain end."""


class DisconnectError(Exception):
    """What a target's clean-up raises."""


def told() -> None:
    raise TrioTaskExited


async def passes_it_on() -> None:
    told()


async def fails_while_it_cleans_up() -> None:
    try:
        told()
    finally:
        raise DisconnectError


async def fails_for_that_reason() -> None:
    try:
        told()
    except TrioTaskExited as reason:
        raise DisconnectError from reason


async def fails_twice() -> None:
    try:
        try:
            raise OSError("before it was told")
        except OSError:
            told()
    finally:
        raise DisconnectError


async def fails_in_a_group() -> None:
    async def one() -> None:
        await asyncio.sleep(0)
        raise DisconnectError

    async with asyncio.TaskGroup() as group:
        group.create_task(one())
        try:
            await asyncio.sleep(3600)
        finally:
            told()


async def fails_after_a_group() -> None:
    try:
        async with asyncio.TaskGroup():
            told()
    finally:
        raise DisconnectError


async def fails_of_itself() -> None:
    raise DisconnectError


def outcome(target: Callable[[], Awaitable[Any]], module_name: str) -> BaseException | None:
    """Run a target that `module_name` defines, patched, and return what it raises."""
    target.__module__ = module_name
    module: Any = ModuleType("stand_in_for_to_asyncio")
    module.TrioTaskExited = TrioTaskExited
    module._run_asyncio_task = lambda func: func()
    changes = Changes()
    install(module, changes)

    async def main() -> BaseException | None:
        try:
            await module._run_asyncio_task(target)
        except BaseException as error:
            return error
        return None

    try:
        return asyncio.run(main())
    finally:
        assert changes.revert() == []


def everything(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its members, causes and contexts."""
    if error is not None:
        yield error
        for part in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
            yield from everything(part)


def test_a_target_of_pikers_ends_quietly_when_it_is_told() -> None:
    assert outcome(passes_it_on, "piker.brokers.any") is None


def test_a_target_of_somebody_elses_passes_the_message_on() -> None:
    assert isinstance(outcome(passes_it_on, "pikers.brokers.any"), TrioTaskExited)


@pytest.mark.parametrize(
    "target",
    [
        fails_of_itself,
        fails_while_it_cleans_up,
        fails_for_that_reason,
        fails_twice,
        fails_in_a_group,
        fails_after_a_group,
    ],
    ids=lambda target: target.__name__,
)
def test_an_own_error_is_seen_and_the_message_nowhere_in_it(target: Any) -> None:
    seen = {type(error) for error in everything(outcome(target, "piker.brokers.any"))}
    assert DisconnectError in seen
    assert TrioTaskExited not in seen


def test_what_came_before_the_message_stays_where_it_was() -> None:
    error = outcome(fails_twice, "piker.brokers.any")
    assert [type(part) for part in everything(error)] == [DisconnectError, OSError]
    assert error is not None
    assert not error.__suppress_context__


def test_a_reason_that_is_taken_away_does_not_hide_the_rest() -> None:
    error = outcome(fails_for_that_reason, "piker.brokers.any")
    assert error is not None
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (None, None, False)


def test_messages_that_are_each_others_reason_come_to_an_end() -> None:
    async def fails_in_circles() -> None:
        one, other = TrioTaskExited(), TrioTaskExited()
        one.__cause__, other.__cause__ = other, one
        raise DisconnectError from one

    error = outcome(fails_in_circles, "piker.brokers.any")
    assert [type(part) for part in everything(error)] == [DisconnectError]
