"""Processes that create, attach, destroy and reap at the same time, some of them killed on the way.

segment_storm.py SCENE COUNT

Prints what came of it as JSON. Each scene ends when all of its processes have.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

if os.environ.get("OWNER_ON_A_MAC"):
    import macfix.simulate

    macfix.simulate.start(os.environ["OWNER_ON_A_MAC"])

from macfix.darwin.segments import database, place, reaping, registry
from macfix.darwin.segments.kernel import probe
from macfix.darwin.segments.label import read_label
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.shared_memory import SharedMemory, shm_unlink

ENDS = ("", "_first", "_last")
TAG = os.environ.setdefault("STORM_TAG", str(os.getpid()))


def make(key: str) -> list[SharedMemory]:
    """Open an array as upstream does."""
    sizes = (2000, 4, 4)
    return [
        SharedMemory(key + end, create=True, size=size, track=False)
        for end, size in zip(ENDS, sizes, strict=True)
    ]


def attach(key: str) -> list[SharedMemory]:
    return [SharedMemory(key + end, track=False) for end in ENDS]


def destroy(key: str) -> int:
    """Unlink an array; return how many segments somebody else had unlinked before."""
    gone = 0
    for end in ENDS:
        try:
            shm_unlink(key + end)
        except FileNotFoundError:
            gone += 1
    return gone


def left(key: str) -> list[str]:
    return [key + end for end in ENDS if probe(kernel_name(key + end)) is not None]


def reap() -> list[str]:
    """Free what is leaked; return what was not freed although nobody lives."""
    found = reaping.sort_out(place.location(), free=True)
    return [f"{one.record.key}: {one.reason}" for one in found if one.state == reaping.UNCLEAR]


def in_processes(
    count: int, act: Callable[[int], object], before: Callable[[], object] = lambda: None
) -> list[str]:
    """Run `act(number)` in `count` forked processes at once, each after `before`."""
    (ready, say_ready), (go, say_go) = os.pipe(), os.pipe()
    pids = []
    for number in range(count):
        pid = os.fork()
        if not pid:
            try:
                os.close(say_go)
                before()
                os.write(say_ready, b"r")
                os.read(go, 1)  # until the parent closes it
                act(number)
                os._exit(0)
            except BaseException as error:
                print(f"{number}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(1)
        pids.append(pid)
    os.close(say_ready)
    waiting = count
    while waiting and (said := os.read(ready, count)):
        waiting -= len(said)
    for descriptor in (ready, go, say_go):
        os.close(descriptor)
    failed = [pid for pid in pids if os.waitpid(pid, 0)[1] != 0]
    return [f"{len(failed)} processes failed"] if failed else []


# -- the scenes ------------------------------------------------------------------------------------


def destroys(rounds: int) -> dict[str, Any]:
    """32 processes destroy the same arrays at once, `rounds` times."""
    problems: list[str] = []
    for number in range(rounds):
        key = f"storm.{TAG}.destroys.with.a.long.key.{number}"
        arrays = make(key)
        problems += in_processes(32, lambda _, key=key: destroy(key), lambda key=key: attach(key))
        problems += left(key)
        for segment in arrays:
            segment.close()
    return {"problems": problems, "on record": records()}


def turns(rounds: int) -> dict[str, Any]:
    """16 processes create and destroy arrays, some of the same name, and two reap all the while."""

    def act(number: int) -> None:
        if number >= 16:
            for _ in range(rounds):
                unclear = reap()
                assert not unclear, unclear
            return
        own, shared = f"storm.{TAG}.own.{number}", f"storm.{TAG}.shared.{number % 4}"
        for _ in range(rounds):
            make(own)
            assert left(own) == [own + end for end in ENDS], "a living one was freed"
            assert destroy(own) == 0, "a living one was gone"
            with contextlib.suppress(FileExistsError):
                make(shared)
            destroy(shared)

    problems = in_processes(18, act)
    for number in range(4):
        destroy(f"storm.{TAG}.shared.{number}")
    reap()
    return {"problems": problems, "on record": records()}


def forks(count: int) -> dict[str, Any]:
    """`count` forks while two threads create and destroy all the time."""
    stop = threading.Event()
    failed: list[str] = []

    def write(name: str) -> None:
        while not stop.is_set():
            try:
                make(f"storm.{TAG}.{name}")
                destroy(f"storm.{TAG}.{name}")
            except Exception as error:
                failed.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    unregistered = 0
    for number in range(count):
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            signal.alarm(60)  # a child that hangs is killed
            key = f"storm.{TAG}.child.{number}"
            ok = False
            if number % 10 == 0:
                make(key)
                destroy(key)
            with database.transaction(place.location()) as db:
                rows = db.execute("SELECT 1 FROM process WHERE pid = ?", (os.getpid(),))
                ok = rows.fetchone() is not None
            os.write(writing, b"y" if ok else b"n")
            os._exit(0)
        os.close(writing)
        answer = os.read(reading, 1)
        os.close(reading)
        _, status = os.waitpid(pid, 0)
        if status or not answer:
            failed.append(f"child {number} ended with {status}")
        unregistered += answer == b"n"
    stop.set()
    for thread in threads:
        thread.join()
    return {"problems": failed[:5], "unregistered": unregistered}


def kills(count: int) -> dict[str, Any]:
    """`count` processes that create, attach, destroy or reap are killed at random moments.

    A bystander's arrays, and those that it has attached of theirs, stay; the rest goes.
    """
    rng = random.Random(7)
    mine = [f"storm.{TAG}.bystander.{number}" for number in range(2)]
    for key in mine:
        make(key)
    problems: list[str] = []
    seen = {"left": 0, "attached": 0, "alive at the kill": 0}
    for number in range(count):
        key = f"storm.{TAG}.victim.{'x' * (number % 40)}.{number}"
        reading, writing = os.pipe()
        start_victim = spawn_victim if number % 25 == 0 else fork_victim
        pid = start_victim(key, writing)
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        time.sleep(rng.random() ** 2 * 0.01)
        held: list[SharedMemory] = []
        if number % 3 == 0:
            for end in ENDS:
                with contextlib.suppress(OSError):  # not there yet, or not any more
                    held.append(SharedMemory(key + end, track=False))
        try:
            os.kill(pid, signal.SIGKILL)
            seen["alive at the kill"] += 1
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)
        problems += [f"{number}: {problem}" for problem in aftermath(key, held, seen, mine)]
    for key in mine:
        destroy(key)
    return {"problems": problems[:10], "seen": seen, "on record": records()}


def spawn_victim(key: str, ready: int) -> int:
    """Start a victim that has to find macfix, its tree and the registry by itself."""
    os.set_inheritable(ready, True)
    variables = {**os.environ, "STORM_READY": str(ready), registry.VARIABLE: ""}
    words = [sys.executable, __file__, "victim", key]
    return os.spawnve(os.P_NOWAIT, sys.executable, words, variables)


def fork_victim(key: str, ready: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:  # a tree of its own: it shall be known as dead, whoever lives of this process's
        registry._own = None
        os.environ.pop(registry.VARIABLE, None)
        victim(key, ready)
    finally:
        os._exit(1)


def victim(key: str, ready: int) -> None:
    """Work on an array until killed."""
    os.write(ready, b"r")
    os.close(ready)
    registry.join()
    while True:
        arrays = make(key)
        again = attach(key)
        reap()
        for segment in (*arrays, *again):
            segment.close()
        destroy(key)


def aftermath(
    key: str, held: list[SharedMemory], seen: dict[str, int], mine: list[str]
) -> list[str]:
    problems = []
    there = left(key)
    seen["left"] += len(there)
    # of what was unlinked and created anew since it was attached, the label has another mark
    array = [one for one in held if one.name == key and marks(one) == set()]
    same = [one.name for one in held if array and one.name in there]
    reap()
    if held:
        seen["attached"] += 1
        if lost := [name for name in same if name not in left(key)]:
            problems.append(f"attached by the living, and freed: {lost}")
        for segment in held:
            segment.close()
        destroy(key)
    problems += [f"unclear: {one}" for one in reap()]
    problems += [f"left: {name}" for name in left(key)]
    problems += [f"the bystander lost {name}" for name in mine if len(left(name)) != 3]
    return problems


def marks(segment: SharedMemory) -> set[str]:
    """Return the marks of this segment and of what has its name, if they are not the same."""
    with memoryview(segment.lend()) as whole:
        ours = read_label(whole)
    found = probe(segment.kernel_name)
    theirs = None if found is None else found.label
    both = {"" if label is None else label.mark for label in (ours, theirs)}
    return both if len(both) > 1 else set()


def many(count: int) -> dict[str, Any]:
    """`count` dead segments, and two for five of them alive, are sorted out; how long it took."""
    living = count * 2 // 5
    pid = os.fork()
    if not pid:
        try:
            registry._own = None
            os.environ.pop(registry.VARIABLE, None)
            for number in range(count):
                SharedMemory(f"storm.{TAG}.d{number}", create=True, size=64, track=False)
            os._exit(0)
        finally:
            os._exit(1)
    problems = [] if os.waitpid(pid, 0)[1] == 0 else ["the dead were not made"]
    for number in range(living):
        SharedMemory(f"storm.{TAG}.l{number}", create=True, size=64, track=False).close()
    began = time.perf_counter()
    found = reaping.sort_out(place.location(), free=True)
    seconds = time.perf_counter() - began
    freed = sum(one.freed for one in found)
    for number in range(living):
        shm_unlink(f"storm.{TAG}.l{number}")
    reap()
    return {
        "problems": problems,
        "freed": freed,
        "stayed": len(found) - freed,
        "seconds": seconds,
        "on record": records(),
    }


def records() -> int:
    with database.transaction(place.location()) as db:
        (count,) = db.execute("SELECT count(*) FROM segment").fetchone()
        return int(count)


SCENES = {scene.__name__: scene for scene in (destroys, turns, forks, kills, many)}

if __name__ == "__main__":
    if sys.argv[1] == "victim":
        victim(sys.argv[2], int(os.environ["STORM_READY"]))
    registry.join()
    print(json.dumps(SCENES[sys.argv[1]](int(sys.argv[2]))))
