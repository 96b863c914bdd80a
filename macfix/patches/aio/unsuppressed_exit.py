"""A channel that does not suppress graceful exits ends every block with a `TypeError`.

Problem:
    With `open_channel_from(..., suppress_graceful_exits=False)` tractor raises the error that tells
    of the asyncio side's early exit at the end of the block, and of every `receive()` that was
    interrupted, whether there is such an error or not. Where there is none, it raises None: that
    is a `TypeError`, and it takes the place of the trio side's own error or cancellation.

Fix:
    The flag says "do not suppress" only when there is something to raise.

Repro:
    An error raised in a channel that is opened with `suppress_graceful_exits=False`.

Upstream:
    Not reported.

Remove when:
    Upstream looks whether there is an error before it raises it.
"""

from __future__ import annotations

import ast
import asyncio
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import function, is_code, mentions

from ._repro import LeftError, run_infected, target

TRANSLATOR = "translate_aio_errors"
FLAG = "suppress_graceful_exits"


def diagnose(source: Source) -> Diagnosis:
    translator = function(source.tree, TRANSLATOR)
    if translator is None or FLAG not in [arg.arg for arg in translator.args.args]:
        return not_needed(f"its {TRANSLATOR}() has no {FLAG}")
    tests = [
        node
        for node in ast.walk(translator)
        if isinstance(node, (ast.If, ast.IfExp, ast.While)) and mentions(node.test, FLAG)
    ]
    if len(tests) != 1:
        return unknown(f"{TRANSLATOR}() does not look once at {FLAG}")
    (test,) = tests
    match test:
        case ast.If(body=[ast.Raise(exc=ast.Name("trio_to_raise"))]):
            if is_code(test.test, f"not {FLAG}"):
                return needed(f"line {test.lineno} raises an error that may not be there")
    if mentions(test.test, "trio_to_raise"):
        return not_needed(f"line {test.lineno} looks whether there is an error")
    return unknown(f"{TRANSLATOR}() does something else with {FLAG}")


class SuppressesUntilError:
    """The flag, true as long as the channel has nothing to raise."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def __bool__(self) -> bool:
        return self._channel._trio_to_raise is None


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module, TRANSLATOR, _translate)


def _translate(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
    if kwargs.get(FLAG) is False:
        channel = args[0] if args else kwargs["chan"]
        kwargs = {**kwargs, FLAG: SuppressesUntilError(channel)}
    return wrapped(*args, **kwargs)


def repro() -> None:
    @target
    async def wait(queue: asyncio.Queue[Any]) -> None:
        await queue.get()

    async def main(to_asyncio: Any) -> None:
        try:
            async with to_asyncio.open_channel_from(wait, **{FLAG: False}):
                raise LeftError
        except LeftError:
            pass

    run_infected(main)
