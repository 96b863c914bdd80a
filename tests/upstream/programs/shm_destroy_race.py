"""Many processes destroy the same arrays at once, round after round; prints what came of it.

shm_destroy_race.py MODULE PROCESSES ARRAYS ROUNDS

Each array is three segments. In each round the first process opens the arrays, the others attach,
and then all destroy all of them at the same time, close them, and end as an actor does, which
closes and destroys everything once more.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from dataclasses import dataclass
from typing import IO, Any

os.environ.setdefault("SHM_TAG", str(os.getpid()).zfill(8))

from shm_vintage import Vintage


@dataclass
class Child:
    """One of the other processes, as the first one sees it."""

    pid: int
    orders: IO[str]
    answers: IO[str]

    def tell(self, order: Any) -> None:
        print(json.dumps(order), file=self.orders, flush=True)

    def hear(self) -> Any:
        return json.loads(self.answers.readline())


class Warnings(logging.Handler):
    """Keeps what is logged, and prints nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main(module: str, processes: int, arrays: int, rounds: int) -> dict[str, Any]:
    vintage = Vintage(module)
    children = [fork_child(vintage) for _ in range(processes - 1)]
    total: dict[str, Any] = {"errors": [], "warnings": 0, "unnamed": [], "left": []}
    keys = [f"piker.brokerd[{os.environ['SHM_TAG']}-42].n{n}.simx.hist" for n in range(arrays)]
    for _ in range(rounds):
        opened = [vintage.open(key) for key in keys]
        tokens = [array.token for array in opened]
        for child in children:
            child.tell(tokens)
        attached = [child.hear() for child in children]
        for child in children:
            child.tell("go")
        results = [destroy(vintage, opened), *(child.hear() for child in children)]
        total["errors"] += [answer for answer in attached if answer != "attached"]
        for errors, warnings in results:
            total["errors"] += errors
            total["warnings"] += len(warnings)
            total["unnamed"] += [w for w in warnings if not any(key in w for key in keys)]
        total["left"] += left(keys)
    for child in children:
        child.tell(None)
        os.waitpid(child.pid, 0)
    total |= {"counted": counted(), "segments": 3 * arrays, "rounds": rounds}
    return total


def fork_child(vintage: Vintage) -> Child:
    """Start a process that attaches and destroys as it is told."""
    (their_orders, orders), (answers, their_answers) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid:
        os.close(their_orders)
        os.close(their_answers)
        return Child(pid, os.fdopen(orders, "w"), os.fdopen(answers))
    try:
        serve(vintage, os.fdopen(their_orders), os.fdopen(their_answers, "w"))
    finally:
        os._exit(0)


def serve(vintage: Vintage, orders: IO[str], answers: IO[str]) -> None:
    while (tokens := json.loads(orders.readline())) is not None:
        try:
            attached = [vintage.attach(token) for token in tokens]
        except Exception as error:
            print(json.dumps(f"{type(error).__name__}: {error}"), file=answers, flush=True)
            attached = []
        else:
            print('"attached"', file=answers, flush=True)
        orders.readline()
        print(json.dumps(destroy(vintage, attached)), file=answers, flush=True)


def destroy(vintage: Vintage, arrays: list[Any]) -> tuple[list[str], list[str]]:
    """Destroy and close `arrays`, and end as an actor does; returns errors and warnings."""
    errors: list[str] = []
    heard = Warnings()
    log = vintage.module.log
    log = getattr(log, "logger", log)  # an adapter, in some vintages
    kept, log.handlers, log.propagate = log.handlers, [heard], False
    for act in (
        *(array.destroy for array in arrays),
        *(array.close for array in arrays),
        vintage.lifetime.close,
    ):
        try:
            act()
        except Exception as error:
            errors.append(f"{getattr(act, '__qualname__', act)}: {type(error).__name__}: {error}")
    log.handlers, log.propagate = kept, True
    vintage.lifetime = contextlib.ExitStack()
    vintage.module._known_tokens.clear()
    return errors, heard.texts


def left(keys: list[str]) -> list[str]:
    from macfix.darwin.segments.kernel import probe
    from macfix.darwin.segments.names import kernel_name

    names = [kernel_name(key + end) for key in keys for end in ("", "_first", "_last")]
    return [name for name in names if probe(name) is not None]


def counted() -> dict[str, Any]:
    """Return what macfix has counted, and what this process's ledger says of it."""
    import macfix
    from macfix.darwin.segments import shared_memory

    ledger = macfix.status().notes.get("shared memory teardown races")
    return {"here": shared_memory.races, "ledger": ledger}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:5]))))
