"""Processes that share arrays are killed in every phase; reaping leaves nothing, and no harm done.

shm_kill.py MODULE ROUNDS

In each round a new process, of a tree of its own, does with an array what its phase says and is
killed (SIGKILL) on the way: by itself inside a call, or by this process while it works. A bystander
holds arrays of its own all the time, and every other round a guest, of a third tree, has attached
the victim's array. After each round the bystander's arrays must be whole, what the guest has
attached must still be there, and once the guest has ended, nothing of the victim's may be left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import IO, Any

os.environ.setdefault("SHM_TAG", str(os.getpid()).zfill(8))

from shm_vintage import Vintage

from macfix.darwin.segments import place, reaping, registry, shared_memory
from macfix.darwin.segments.kernel import probe
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.reaping import Finding

SEGMENTS = 3


def kill_me(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def before_the_call(owner: Any, name: str, turn: int) -> None:
    """Let this process be killed when `owner.name` is called for the `turn`-th time."""
    _let(owner, name, turn, after=False)


def after_the_call(owner: Any, name: str, turn: int) -> None:
    """Let this process be killed when `owner.name` has done its work for the `turn`-th time."""
    _let(owner, name, turn, after=True)


def _let(owner: Any, name: str, turn: int, *, after: bool) -> None:
    real = getattr(owner, name)
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == turn and not after:
            kill_me()
        answer = real(*args, **kwargs)
        if calls == turn and after:
            kill_me()
        return answer

    setattr(owner, name, call)


Prepare = Callable[[Vintage, int], None]

IN_A_CALL: dict[str, Prepare] = {
    "before the segment is made": lambda v, n: before_the_call(shared_memory, "open_segment", n),
    "after the segment was made": lambda v, n: after_the_call(shared_memory, "open_segment", n),
    "before truncate": lambda v, n: before_the_call(os, "ftruncate", n),
    "after truncate": lambda v, n: after_the_call(os, "ftruncate", n),
    "before the label": lambda v, n: before_the_call(shared_memory, "write_label", n),
    "before an index": lambda v, n: before_the_call(v.module, "SharedMemory", max(n, 2)),
    "before a transaction": lambda v, n: before_the_call(registry.Member, "register", n),
    "in a transaction": lambda v, n: after_the_call(registry.Member, "register", n),
    "after an intent": lambda v, n: after_the_call(registry, "patiently", n),
    "before an unlink": lambda v, n: before_the_call(registry, "unlink_segment", n),
    "after an unlink": lambda v, n: after_the_call(registry, "unlink_segment", n),
}
WHILE_WORKING = ("while pushing", "while destroying")
PHASES = (*IN_A_CALL, *WHILE_WORKING)


def victim(vintage: Vintage, key: str, phase: str, turn: int, answers: IO[str]) -> None:
    """Work on the array `key` until killed."""
    leave_tree()
    registry.join()
    prepare = IN_A_CALL.get(phase)
    if prepare is not None:
        prepare(vintage, turn)
    array = vintage.open(key)
    print(json.dumps(array.token), file=answers, flush=True)
    rows = vintage.rows([1.0])
    if phase == "while pushing":
        while True:
            array.push(rows, start=20)
    sys.stdin.read(1)  # until the guest has attached, if there is one
    while True:
        array.destroy()
        array = vintage.open(key)


def leave_tree() -> None:
    """Make this forked process one that was started by itself."""
    registry._own = None
    os.environ.pop(registry.VARIABLE, None)


def reap() -> list[Finding]:
    return reaping.sort_out(place.location(), free=True)


def mark_of(name: str) -> str | None:
    found = probe(name)
    return None if found is None or found.label is None else found.label.mark


class Guest:
    """A process of a tree of its own that attaches an array and holds it until it is to end."""

    def __init__(self, vintage: Vintage, token: Any, array: str, not_mine: int) -> None:
        (ready, say), (wait, self._end) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(self._end)
                os.close(not_mine)
                leave_tree()
                array = vintage.attach(token)
                os.write(say, b"y")
                os.read(wait, 1)
                del array
            except Exception as error:
                os.write(say, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        os.close(say)
        os.close(wait)
        self.answer = os.read(ready, 1000).decode()
        self._array, self._mark = array, mark_of(array)  # the victim waits meanwhile
        os.close(ready)

    def has(self) -> bool:
        """Say whether the array is the one that it has attached, and not created anew since."""
        return self._mark is not None and mark_of(self._array) == self._mark

    def end(self) -> None:
        os.close(self._end)
        os.waitpid(self.pid, 0)


class Bystander:
    """A process with arrays of its own, as this process sees it."""

    def __init__(self, vintage: Vintage) -> None:
        (their_orders, orders), (answers, their_answers) = os.pipe(), os.pipe()
        self.keys = [f"bystander.{os.environ['SHM_TAG']}.simx.{n}" for n in ("a", "b" * 60)]
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(orders)
                os.close(answers)
                self._serve(vintage, os.fdopen(their_orders), os.fdopen(their_answers, "w"))
            finally:
                os._exit(0)
        os.close(their_orders)
        os.close(their_answers)
        self._orders, self._answers = os.fdopen(orders, "w"), os.fdopen(answers)

    def ask(self, *order: Any) -> Any:
        print(json.dumps(order), file=self._orders, flush=True)
        return json.loads(self._answers.readline())

    def _serve(self, vintage: Vintage, orders: IO[str], answers: IO[str]) -> None:
        own = [vintage.open(key) for key in self.keys]
        for line in orders:
            what, *values = json.loads(line)
            answer: Any = None
            try:
                if what == "check":
                    answer = self._check(vintage, own, values[0])
                elif what == "end":
                    for array in own:
                        array.destroy()
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            print(json.dumps(answer), file=answers, flush=True)

    def _check(self, vintage: Vintage, own: list[Any], number: float) -> bool:
        """Write to each own array, and read it by its key as a newcomer would."""
        for key, array in zip(self.keys, own, strict=True):
            array.push(vintage.rows([number]), start=20)
            again, opened = vintage.by_key(key)
            found = float(again._array["close"][20])
            again.close()
            if opened or found != number:
                return False
        return True


def main(module: str, rounds: int) -> dict[str, Any]:
    vintage = Vintage(module)
    bystander = Bystander(vintage)
    bystander.ask("check", 0.0)
    theirs = {kernel_name(key + end) for key in bystander.keys for end in ("", "_first", "_last")}
    rng = random.Random(3)
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for number in range(rounds):
        phase = PHASES[number % len(PHASES)]
        key = f"victim.{os.environ['SHM_TAG']}.xsimusdt.simx.{'x' * rng.randrange(40)}{number}"
        with_guest = number // len(PHASES) % 2 == 1
        said = play(vintage, key, phase, rng, with_guest)
        seen.update({phase: 1, "attached": int(said["guest"] is not None), "left": said["left"]})
        names = {kernel_name(key + end) for end in ("", "_first", "_last")}
        problems = said["problems"] + aftermath(bystander, names, theirs, said["guest"], number)
        wrong += [f"round {number}, {phase}: {problem}" for problem in problems]
    bystander.ask("end")
    still = [found.record.key for found in reap()]
    return {"rounds": rounds, "wrong": wrong, "seen": dict(seen), "at the end": still}


def play(
    vintage: Vintage, key: str, phase: str, rng: random.Random, with_guest: bool
) -> dict[str, Any]:
    """Have one victim live and die; returns what was left and the guest, if one has attached."""
    (answers, their_answers), (their_wait, wait) = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(their_wait, 0)
        os.close(wait)
        turn = rng.randrange(1, SEGMENTS + 1)
        try:
            victim(vintage, key, phase, turn, os.fdopen(their_answers, "w"))
        finally:
            os._exit(1)
    os.close(their_answers)
    os.close(their_wait)
    problems: list[str] = []
    guest: Guest | None = None
    with os.fdopen(answers) as lines:
        token = lines.readline()
    if token and with_guest:
        guest = Guest(vintage, json.loads(token), kernel_name(key), wait)
        if guest.answer != "y":
            problems.append(f"the guest could not attach: {guest.answer}")
    os.close(wait)
    if phase in WHILE_WORKING:
        for _ in range(rng.randrange(20)):
            os.sched_yield() if hasattr(os, "sched_yield") else None
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        problems.append(f"the victim was not killed, its exit code is {status}")
    left = sum(probe(kernel_name(key + end)) is not None for end in ("", "_first", "_last"))
    return {"problems": problems, "guest": guest, "left": left}


def aftermath(
    bystander: Bystander, names: set[str], theirs: set[str], guest: Guest | None, number: int
) -> list[str]:
    """Reap, before and after the guest ends; returns what is not as it should be."""
    problems = []
    before = {name for name in names if probe(name) is not None}
    holds = guest is not None and guest.has()
    reap()
    if guest is not None:
        if holds and before != (kept := {name for name in names if probe(name) is not None}):
            problems.append(f"attached by the guest and reaped: {before - kept}")
        guest.end()
    found = reap()
    problems += [f"unclear: {o.record.key}: {o.reason}" for o in found if o.state == "unclear"]
    problems += [f"left: {name}" for name in names if probe(name) is not None]
    problems += [f"the bystander lost {name}" for name in theirs if probe(name) is None]
    if bystander.ask("check", float(number)) is not True:
        problems.append("the bystander's arrays are not what they were")
    known = {one.record.name for one in found if not one.freed}
    if known != theirs:
        problems.append(f"on record are {known - theirs} too, and {theirs - known} are not")
    return problems


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
