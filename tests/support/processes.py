"""Run a program to its end, and find the processes that a test left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Finished:
    """How a program ended: its exit code (negative: the signal), output, and seconds it took."""

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def __str__(self) -> str:
        return (
            f"{' '.join(self.command)}\nended with {self.returncode} after {self.seconds:.1f} s"
            f"\n--- standard output ---\n{self.stdout}\n--- standard error ---\n{self.stderr}"
        )


class TookTooLongError(AssertionError):
    """A program did not end in its time; the message has what it printed until then."""


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout: float,
    sweep: bool = False,
) -> Finished:
    """Run `command` to its end, in a process group of its own that does not outlive a timeout.

    With `sweep`, the rest of the group is killed also when the program ends in time.

    Output goes through files: with pipes, a grandchild that is left behind would hold them open and
    make a program that has ended look like one that hangs.

    Raises TookTooLongError after `timeout` seconds, when every process of the group is killed.
    """
    words = tuple(map(str, command))
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            words,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        timed_out = False
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            if process.poll() is None or sweep:
                _kill_group(process.pid)
            process.wait()
        seconds = time.monotonic() - began
        finished = Finished(words, process.returncode, _text(out), _text(err), seconds)
    if timed_out:
        raise TookTooLongError(f"no end after {timeout} s: {finished}")
    return finished


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@dataclass(frozen=True)
class Process:
    """A running process, or a zombie that its parent has not waited for."""

    pid: int
    parent: int
    state: str
    command: str


def all_processes() -> dict[int, Process]:
    """Return every process this user can see, by pid."""
    return _from_proc() if sys.platform == "linux" else _from_ps()


def related(mark: str) -> dict[int, Process]:
    """Return the processes a test started: children of this process, and all that carry `mark`.

    `mark` is text in a process's environment. It finds what children cannot: a grandchild whose
    parent has ended belongs to nobody any more. Where environments cannot be read (macOS), only
    children and their children are found. Python's own two helpers, which live as long as the test
    run does, are left out.
    """
    everyone = all_processes()
    own = {os.getpid()}
    while grown := {p.pid for p in everyone.values() if p.parent in own} - own:
        own |= grown
    own.discard(os.getpid())
    own |= {pid for pid in everyone if mark in _environment(pid)} - {os.getpid()}
    return {
        pid: everyone[pid]
        for pid in own - _helpers_of_python()
        if not (everyone[pid].state == "Z" and everyone[pid].parent != os.getpid())
    }


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Ask `true()` until it is, for at most `seconds`; return its last answer."""
    end = time.monotonic() + seconds
    while not (answer := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return answer


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _from_proc() -> dict[int, Process]:
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            # The command's name, in brackets, may itself hold brackets and blanks.
            name, _, rest = Path("/proc", entry, "stat").read_text().rpartition(")")
            words = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        state, parent = rest.split()[:2]
        command = words.strip() or name.partition("(")[2]
        found[int(entry)] = Process(int(entry), int(parent), state, command)
    return found


def _from_ps() -> dict[int, Process]:
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,state=,command="], capture_output=True, text=True, check=True
    )
    found = {}
    for line in listing.stdout.splitlines():
        pid, parent, state, command = line.split(None, 3)
        if not command.startswith("ps -axo"):
            found[int(pid)] = Process(int(pid), int(parent), state[:1], command)
    return found


def _helpers_of_python() -> set[int]:
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    server = sys.modules.get("multiprocessing.forkserver")
    pids = {
        getattr(getattr(tracker, "_resource_tracker", None), "_pid", None),
        getattr(getattr(server, "_forkserver", None), "_forkserver_pid", None),
    }
    return {pid for pid in pids if pid is not None}
