"""Leaving a channel to asyncio abandons the asyncio task before its clean-up is finished.

Problem:
    When a trio task leaves `open_channel_from()` or `run_task()`, upstream raises an error in the
    asyncio task by way of the future that the task waits for. It fails where there is none (a
    task that never waits: `NoRuntime`, or a `CancelledError` on the trio side), it orphans the
    tasks of a task group, and it breaks into clean-up that is under way. Then upstream does not
    wait, or waits in a scope that is cancelled already: what the task awaits in its `finally`, the
    disconnecting from a broker for instance, is never done.

Fix:
    As soon as the block is left, and before upstream looks at the task, the task is asked to end:
    it is cancelled if trio leaves by an error or a cancellation, and on a plain end it gets the
    `TrioTaskExited` that upstream has for it, wherever it waits. Clean-up is not interrupted. trio
    waits, shielded, until the task has ended, for at most `MACFIX_AIO_GRACE` seconds (0.5). A task
    that has not ended then is reported once, with its stack, and is left to upstream.

Repro:
    A cancellation inside an open channel: the asyncio task must complete its `finally: await ...`.

Upstream:
    Not reported. Known as the error `TrioTaskExited: but the child asyncio task is still running?`;
    the sources say that cancelling asyncio tasks is avoided on purpose.

Remove when:
    Upstream waits in a shielded scope for the asyncio task to end.
"""

from __future__ import annotations

import ast
import asyncio
from typing import Any

from macfix import Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import around, calls, function, has_constant, mentions, nodes

from ._repro import run_infected, target
from ._shutdown import install as install

TRANSLATOR = "translate_aio_errors"


def diagnose(source: Source) -> Diagnosis:
    translator = function(source.tree, TRANSLATOR)
    if translator is None:
        return not_needed(f"it has no {TRANSLATOR}()")
    waits = [wait for wait in calls(translator, "wait") if mentions(wait, "_aio_task_complete")]
    if len(waits) != 1:
        return unknown(f"{TRANSLATOR}() does not wait once for the asyncio task")
    if any(_shields(outer) for outer in around(translator, waits[0])):
        return not_needed(f"line {waits[0].lineno} waits for the asyncio task in a shielded scope")
    if not _is_known(source.tree, translator):
        return unknown("what starts an asyncio task and what leaves it have changed")
    return needed(f"line {waits[0].lineno} waits for the asyncio task, unshielded")


def _shields(node: ast.AST) -> bool:
    return isinstance(node, (ast.With, ast.AsyncWith)) and any(
        keyword.arg == "shield" and has_constant(keyword.value, True)
        for item in node.items
        for keyword in nodes(item, ast.keyword)
    )


def _is_known(tree: ast.Module, translator: ast.AST) -> bool:
    """Say whether the module has what `install()` wraps, as it expects it."""
    start = function(tree, "_run_asyncio_task")
    users = [function(tree, name) for name in ("run_task", "open_channel_from")]
    return (
        start is not None
        and _parameters(start)[:1] == ["func"]
        and mentions(start, "_aio_task")
        and _parameters(translator)[:2] == ["chan", "wait_on_aio_task"]
        and all(user is not None and _ends_with_its_task(user) for user in users)
        and mentions(tree, "_trio_exited")
    )


def _ends_with_its_task(user: ast.AST) -> bool:
    return bool(calls(user, "_run_asyncio_task")) and any(
        keyword.arg == "wait_on_aio_task" and has_constant(keyword.value, True)
        for call in calls(user, TRANSLATOR)
        for keyword in call.keywords
    )


def _parameters(node: Any) -> list[str]:
    return [parameter.arg for parameter in node.args.args]


def repro() -> None:
    import trio

    cleaned = []

    @target
    async def clean_up_slowly(queue: asyncio.Queue[Any]) -> None:
        try:
            await queue.get()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            cleaned.append(True)

    async def main(to_asyncio: Any) -> None:
        with trio.CancelScope() as scope:
            async with to_asyncio.open_channel_from(clean_up_slowly):
                scope.cancel()
                await trio.sleep_forever()
        assert cleaned, "the channel is left, and its asyncio task's clean-up is not done"

    run_infected(main)
