"""Processes that share arrays are killed in every phase; reaping leaves nothing, and no harm done.

shm_kill.py MODULE ROUNDS

In each round a new process does with an array what its phase says and is killed (SIGKILL) on the
way: by itself inside a call, or by this process while it works. A bystander holds arrays of its
own all the time, and every other round has the victim's array mapped as well. After each round the
bystander's arrays must be whole, what it has mapped must still be there, and once it has let go,
nothing of the victim's may be left.
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

from macfix.darwin import shared_memory
from macfix.darwin.journal import Journal, shm_folder
from macfix.darwin.reaping import reap
from macfix.darwin.segment_names import kernel_name
from macfix.darwin.segments import list_segments, probe

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
    "before a record": lambda v, n: before_the_call(Journal, "_append", n),
    "after a record": lambda v, n: after_the_call(Journal, "_append", n),
    "before an unlink": lambda v, n: before_the_call(shared_memory, "unlink_segment", n),
    "after an unlink": lambda v, n: after_the_call(shared_memory, "unlink_segment", n),
}
WHILE_WORKING = ("while pushing", "while destroying")
PHASES = (*IN_A_CALL, *WHILE_WORKING)


def victim(vintage: Vintage, key: str, phase: str, turn: int, answers: IO[str]) -> None:
    """Work on the array `key` until killed."""
    prepare = IN_A_CALL.get(phase)
    if prepare is not None:
        prepare(vintage, turn)
    array = vintage.open(key)
    print(json.dumps(array.token), file=answers, flush=True)
    rows = vintage.rows([1.0])
    if phase == "while pushing":
        while True:
            array.push(rows, start=20)
    sys.stdin.read(1)  # until the bystander has attached, if it does
    while True:
        array.destroy()
        array = vintage.open(key)


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
        guest: Any = None
        for line in orders:
            what, *values = json.loads(line)
            answer: Any = None
            try:
                if what == "attach":
                    guest = vintage.attach(values[0])
                elif what == "close" and guest is not None:
                    guest.close()
                    guest = None
                elif what == "check":
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
        said = play(vintage, bystander, key, phase, rng, with_guest)
        seen.update({phase: 1, "attached": int(said["attached"]), "left": said["left"]})
        names = {kernel_name(key + end) for end in ("", "_first", "_last")}
        problems = said["problems"] + aftermath(bystander, names, theirs, said["attached"], number)
        wrong += [f"round {number}, {phase}: {problem}" for problem in problems]
    bystander.ask("end")
    still = [segment.claim.key for segment in list_segments()]
    return {"rounds": rounds, "wrong": wrong, "seen": dict(seen), "at the end": still}


def play(
    vintage: Vintage, bystander: Bystander, key: str, phase: str, rng: random.Random, guest: bool
) -> dict[str, Any]:
    """Have one victim live and die; returns what was left and whether the bystander has it."""
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
    problems, attached = [], False
    token = os.fdopen(answers).readline()
    if token and guest:
        answer = bystander.ask("attach", json.loads(token))
        attached = answer is None
        if not attached:
            problems.append(f"the bystander could not attach: {answer}")
    os.close(wait)
    if phase in WHILE_WORKING:
        for _ in range(rng.randrange(20)):
            os.sched_yield() if hasattr(os, "sched_yield") else None
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        problems.append(f"the victim was not killed, its exit code is {status}")
    left = sum(probe(kernel_name(key + end)) is not None for end in ("", "_first", "_last"))
    return {"problems": problems, "attached": attached, "left": left}


def aftermath(
    bystander: Bystander, names: set[str], theirs: set[str], attached: bool, number: int
) -> list[str]:
    """Reap, before and after the bystander lets go; returns what is not as it should be."""
    problems = []
    before = {name for name in names if probe(name) is not None}
    reap()
    if attached and before != (kept := {name for name in names if probe(name) is not None}):
        problems.append(f"mapped by the bystander and reaped: {before - kept}")
    bystander.ask("close")
    outcomes = reap()
    problems += [f"not freed: {o.claim.key}: {o.reason}" for o in outcomes if not o.freed]
    problems += [f"left: {name}" for name in names if probe(name) is not None]
    problems += [f"the bystander lost {name}" for name in theirs if probe(name) is None]
    if bystander.ask("check", float(number)) is not True:
        problems.append("the bystander's arrays are not what they were")
    journals = [path.name for path in shm_folder().glob("*.journal")]
    if len(journals) != 2:
        problems.append(f"journals of the living are two, here are {journals}")
    return problems


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
