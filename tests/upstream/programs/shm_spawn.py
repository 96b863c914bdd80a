"""Use `multiprocessing` after a module that shares arrays: spawn, a pool, a manager, segments.

Usage: shm_spawn.py MODULE

The last line of output says what became of each; `tracked` are the names of which the resource
tracker was told, by whose segment it is.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker, shared_memory
from typing import Any

LIST, ARRAY = "spawn.list", "spawn.array"


def square(number: int) -> int:
    return number * number


def put(connection: Any) -> None:
    """Import what the parent has, and spawn in turn."""
    importlib.import_module(sys.argv[1])
    grandchild = multiprocessing.get_context("spawn").Process(target=square, args=(1,))
    grandchild.start()
    grandchild.join()
    connection.send(grandchild.exitcode)


def process() -> list[Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=put, args=(theirs,))
    child.start()
    theirs.close()
    answer = ours.recv()
    child.join()
    return [answer, child.exitcode]


def pool() -> list[int]:
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        return workers.map(square, [1, 2, 3])


def manager() -> list[int]:
    with multiprocessing.get_context("spawn").Manager() as served:
        return list(served.list([1, 2]))


def own_segment() -> list[str]:
    def use() -> None:
        segment = shared_memory.SharedMemory(create=True, size=8)
        segment.close()
        segment.unlink()

    return told_by(use)


def upstreams_segments() -> list[str]:
    module = importlib.import_module(sys.argv[1])

    def use() -> None:
        segment = module.SharedMemory(ARRAY, create=True, size=8)
        segment.close()
        segment.unlink()
        if hasattr(module, "ShmList"):
            shared = module.ShmList([1, 2], name=LIST)
            shared.shm.close()
            shared.shm.unlink()

    return told_by(use)


def told_by(use: Callable[[], None]) -> list[str]:
    """Return what the resource tracker is told in the course of `use`."""
    told = []
    tracker = resource_tracker._resource_tracker
    real = tracker._send

    def send(command: str, name: str, rtype: str) -> None:
        told.append(command)
        real(command, name, rtype)

    tracker._send = send
    try:
        use()
    finally:
        del tracker._send
    return told


def outcome(part: Callable[[], Any]) -> Any:
    try:
        return part()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    importlib.import_module(sys.argv[1])
    parts = (process, pool, manager, own_segment, upstreams_segments)
    print(json.dumps({part.__name__: outcome(part) for part in parts}))
