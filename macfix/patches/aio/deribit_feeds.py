"""piker's feeds from deribit stay connected when they are left by an error or a cancellation.

Problem:
    `open_feed_handler()` stops the handler, and with it the connections of all feeds, on the line
    after its `yield`, outside of any `finally`. Left by an error, a Ctrl-C or a cancellation, it
    does not get there: the connections go on calling back into channels that are gone.

Fix:
    The handler is stopped whichever way it is left, and a cancellation does not cut that short
    before the grace period of `MACFIX_AIO_GRACE` is over.

Repro:
    An error raised inside `open_feed_handler()`: `stop_async()` must have been awaited to its end.

Upstream:
    Not reported.

Remove when:
    piker stops the handler in a `finally`.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.errors import describe, warn
from macfix.engine.syntax import around, function, mentions, nodes

from ._repro import LeftError, run_infected
from ._shutdown import grace

PACKAGE = "piker.brokers.deribit"
FUNCTION = "open_feed_handler"


def diagnose(source: Source) -> Diagnosis:
    opening = function(source.tree, FUNCTION)
    if opening is None:
        return not_needed(f"it has no {FUNCTION}()")
    stops = [wait for wait in nodes(opening, ast.Await) if mentions(wait, "stop_async")]
    if len(stops) != 1:
        return unknown(f"{FUNCTION}() does not stop the handler once")
    if any(_is_finally_of(outer, stops[0]) for outer in around(opening, stops[0])):
        return not_needed(f"line {stops[0].lineno} stops the handler in a finally")
    return needed(f"line {stops[0].lineno} stops the handler only if nothing went wrong")


def _is_finally_of(outer: ast.AST, node: ast.AST) -> bool:
    return isinstance(outer, ast.Try) and any(
        part is node for statement in outer.finalbody for part in ast.walk(statement)
    )


def install(module: ModuleType, changes: Changes) -> None:
    def open_feed_handler(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> Any:
        return _stopped_in_any_case(wrapped(*args, **kwargs), module.to_asyncio)

    changes.wrap(module, FUNCTION, open_feed_handler)


@asynccontextmanager
async def _stopped_in_any_case(opened: Any, to_asyncio: Any) -> AsyncIterator[Any]:
    import trio

    async with opened as handler:
        try:
            yield handler
        except BaseException:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + grace()):
                try:
                    await to_asyncio.run_task(handler.stop_async)
                except Exception as trouble:
                    warn(f"the feed handler could not be stopped: {describe(trouble)}")
            raise


def repro() -> None:
    stopped = []

    class Handler:
        def __init__(self, config: Any) -> None:
            pass

        async def stop_async(self) -> None:
            stopped.append(True)

    async def main(to_asyncio: Any) -> None:
        try:
            async with api.open_feed_handler():
                raise LeftError
        except LeftError:
            assert stopped, "the error is outside, and the feed handler is not stopped"

    with _importable_api() as api:
        api.FeedHandler, api.get_config = Handler, dict
        run_infected(main)


@contextmanager
def _importable_api() -> Iterator[Any]:
    """Import the target, and forget it again.

    Its package does not import as it is: piker does not require `cryptofeed`, msgspec refuses one
    of its classes, and a module beside the target lacks a name.
    """
    data: Any = import_module("piker.data")
    brokers = import_module("piker.brokers")
    before, struct = dict(sys.modules), data.Struct
    for name in ("cryptofeed", "cryptofeed.defines", "cryptofeed.symbols", PACKAGE):
        sys.modules[name] = stand_in = ModuleType(name)
        stand_in.__getattr__ = _anything  # type: ignore[method-assign]
    stand_in.__path__ = [os.path.join(folder, "deribit") for folder in brokers.__path__]
    data.Struct = object
    try:
        yield import_module(f"{PACKAGE}.api")
    finally:
        data.Struct = struct
        for name in sys.modules.keys() - before.keys():
            if name.startswith(("cryptofeed", PACKAGE)):
                del sys.modules[name]
        sys.modules.update(before)


def _anything(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return object
