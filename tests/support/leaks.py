"""What a test left behind: processes, sockets, shared memory segments of its own.

Its own are its children, the processes that carry its sandbox in their environment, and what lies
in the sandbox. What else runs on the machine, another tractor for instance, is no test's business.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.support import processes, runtime_sockets
from tests.support.sandbox import Sandbox

PATIENCE = 5.0
"""Seconds that what is still going away has to be gone, before it counts as left behind."""


@dataclass(frozen=True)
class Snapshot:
    """What there was before a test."""

    pids: frozenset[int]
    sockets: frozenset[Path]


def look(sandbox: Sandbox) -> Snapshot:
    """Take note of what there is now."""
    return Snapshot(
        frozenset(processes.related(str(sandbox.root))), runtime_sockets.present(sandbox)
    )


def since(before: Snapshot, sandbox: Sandbox) -> list[str]:
    """Say, a line each, what there is that was not there `before`; kill or remove it."""
    return [*_processes(before, sandbox), *_sockets(before, sandbox), *_segments(sandbox)]


def _processes(before: Snapshot, sandbox: Sandbox) -> list[str]:
    def new() -> dict[int, processes.Process]:
        found = processes.related(str(sandbox.root))
        return {pid: process for pid, process in found.items() if pid not in before.pids}

    if processes.wait_until(lambda: not new(), PATIENCE):
        return []
    left = new()
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"process {p.pid} ({p.state}, child of {p.parent}): {p.command}" for p in left.values()]


def _sockets(before: Snapshot, sandbox: Sandbox) -> list[str]:
    left = sorted(runtime_sockets.present(sandbox) - before.sockets)
    runtime_sockets.remove(left)
    return [f"socket {path}" for path in left]


def _segments(sandbox: Sandbox) -> list[str]:
    """Only simulated ones: on a Mac no call lists them."""
    if not sandbox.segments.is_dir():
        return []
    return [f"shared memory segment {path.name}" for path in sorted(sandbox.segments.iterdir())]
