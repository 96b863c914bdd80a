"""Ctrl-C does not end the program of a root actor that is infected with asyncio.

Problem:
    When asyncio is interrupted by a SIGINT, tractor calls `Actor.cancel_soon()`. Until 2025-08-20
    that ends the actor's services only, which is all there is in a child. In a root actor the
    program, the block inside `open_root_actor()`, runs on, and asyncio has taken the signal.

Fix:
    In an infected root actor the block is cancelled once the services have ended.

Repro:
    `cancel_soon()` in an infected root actor: its block must be cancelled.

Upstream:
    https://github.com/goodboy/tractor/commit/a9f06df3 (2025-08-20)

Remove when:
    No tractor before 2025-08-20 is in use any more.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.changes import Args, Kwargs, Wrapped
from macfix.engine.syntax import calls, function, mentions

from ._repro import run_infected

METHOD = "Actor.cancel_soon"


def diagnose(source: Source) -> Diagnosis:
    method = function(source.tree, METHOD)
    if method is None:
        return not_needed(f"it has no {METHOD}()")
    if mentions(method, "_root_tn") and calls(method, "cancel"):
        return not_needed(f"{METHOD}() cancels the root's block as well")
    started = calls(method, "start_soon")
    if len(started) != 1 or not mentions(started[0], "_service_n"):
        return unknown(f"{METHOD}() does not just have the services cancelled")
    return needed(f"line {started[0].lineno} cancels the services, and not the root's block")


def install(module: ModuleType, changes: Changes) -> None:
    changes.wrap(module.Actor, "cancel_soon", _cancel_soon)


def _cancel_soon(wrapped: Wrapped, instance: Any, args: Args, kwargs: Kwargs) -> Any:
    result = wrapped(*args, **kwargs)
    if instance.is_infected_aio() and instance._parent_chan is None:
        # the services are a task that `open_root_actor()` has started beside its block
        block = instance._service_n.parent_task.parent_nursery
        block.start_soon(_cancel_after_the_services, instance, block.cancel_scope)
    return result


async def _cancel_after_the_services(actor: Any, block: Any) -> None:
    await actor._cancel_complete.wait()
    block.cancel()


def repro() -> None:
    import trio

    tractor = import_module("tractor")

    async def main(to_asyncio: Any) -> None:

        tractor.current_actor().cancel_soon()
        with trio.move_on_after(1):
            await trio.sleep_forever()
        raise AssertionError("the actor was cancelled, and the block in it goes on")

    run_infected(main)
