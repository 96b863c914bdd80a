"""Processes that own shared memory, to be asked, killed and outlived."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from macfix import _once
from macfix.darwin.segments import database, place, registry
from macfix.darwin.segments.kernel import probe, unlink_segment
from macfix.darwin.segments.names import kernel_name
from tests.support.surroundings import REPOSITORY

_LOOP = """
import json, os, signal, subprocess, sys, threading, time
if os.environ.get("OWNER_ON_A_MAC"):
    import macfix.simulate
    macfix.simulate.start(os.environ["OWNER_ON_A_MAC"])
from macfix.darwin.segments import (
    database, kernel, place, processes, reaping, registry, shared_memory
)
from macfix.darwin.segments.shared_memory import SharedMemory, shm_unlink
held = {}

def create(key, size=64):
    held[key] = SharedMemory(key, create=True, size=size, track=False)

def attach(key):
    held[key] = SharedMemory(key, track=False)

def close(key):
    held.pop(key).close()

def array(key, size=64):
    for name, length in ((key, size), (key + "_first", 4), (key + "_last", 4)):
        create(name, length)

def attach_array(key):
    for name in (key, key + "_first", key + "_last"):
        attach(name)

def run(program, **more):
    "Start a Python program that lives on by itself; return its pid."
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, **more).pid

def fork(act=lambda: None):
    "Fork a child that acts, says so, and waits for its end; return its pid."
    ready, said = os.pipe()
    pid = os.fork()
    if pid:
        os.close(said)
        os.read(ready, 1)
        os.close(ready)
        return pid
    try:
        act()
        for descriptor in (said, 0):
            try:
                os.close(descriptor)
            except OSError:
                pass
        while True:
            time.sleep(60)
    finally:
        os._exit(1)

def do(*_):
    "Several things, for their effect."

def reap(free=True):
    "What `sort_out` finds, as lists."
    found = reaping.sort_out(place.location(), free=free)
    return [[one.record.key, one.state, one.reason, one.freed] for one in found]

for line in sys.stdin:
    try:
        answer = eval(line)
        print(json.dumps([True, answer]), flush=True)
    except Exception as error:
        print(json.dumps([False, f"{type(error).__name__}: {error}"]), flush=True)
"""


class SegmentOwner:
    """A process that does with shared memory what it is told."""

    def __init__(self, *prefix: str, **environment: str) -> None:
        env = {name: value for name, value in os.environ.items() if name != registry.VARIABLE}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", _LOOP],
            env={**env, "PYTHONPATH": str(REPOSITORY), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def do(self, expression: str) -> Any:
        """Have it evaluate `expression` and return the value.

        Raises AssertionError with what it says if that fails.
        """
        self.begin(expression)
        return self.answer()

    def begin(self, expression: str) -> None:
        """Have it evaluate `expression`; `answer` waits for the value."""
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Return the value of what was begun; raises AssertionError as `do` does."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert answer, f"the process ended ({self.process.wait()})"
        succeeded, value = json.loads(answer)
        assert succeeded, value
        return value

    def has_answered(self, seconds: float) -> bool:
        """Say whether there is an answer, after waiting for it for at most `seconds`."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return bool(ready)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        self._collect()

    def end(self) -> None:
        """Let it come to its end; whatever it holds is closed, and nothing unlinked."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self._collect()

    def _collect(self) -> None:
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


@contextmanager
def segment_owners() -> Iterator[Any]:
    """Yield a function that makes owners; they are killed afterwards."""
    made: list[SegmentOwner] = []

    def make(*prefix: str, **environment: str) -> SegmentOwner:
        made.append(SegmentOwner(*prefix, **environment))
        return made[-1]

    try:
        yield make
    finally:
        for owner in made:
            if owner.process.poll() is None:
                owner.kill()


@contextmanager
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process be a member of no tree, as one that has just been started."""
    for variable in (registry.VARIABLE, _once.VARIABLE):
        os.environ.pop(variable, None)
    with monkeypatch.context() as fresh:
        fresh.setattr(registry, "_own", None)
        fresh.setattr(place, "_seen", set())
        fresh.setattr(database, "_patience", database.PATIENCE)
        fresh.setattr(_once, "_said", set())
        yield
    for variable in (registry.VARIABLE, _once.VARIABLE):
        os.environ.pop(variable, None)


def exists(key: str) -> bool:
    """Say whether there is a segment with this key."""
    return probe(kernel_name(key)) is not None


def remove(*keys: str) -> list[str]:
    """Unlink what is left of `keys`, and return what there was."""
    left = []
    for key in keys:
        with suppress(FileNotFoundError):
            unlink_segment(kernel_name(key))
            left.append(key)
    return left
