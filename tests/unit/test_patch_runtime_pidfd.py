"""runtime-pidfd: what it says of a class that waits for a forked process, and how that is done."""

from __future__ import annotations

import os
import subprocess
from types import ModuleType
from typing import Any

import pytest
import trio

from macfix import Changes, Source
from macfix.patches.runtime import pidfd

FORKED = """
class _ForkedProc:
    def __init__(self, pid):
        self.pid, self._pidfd = pid, os.pidfd_open(pid)
    def poll(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None
    async def wait(self):
        raise NotImplementedError
"""


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (FORKED, "needed"),
        (FORKED.replace("pidfd_open", "getpgid"), "not needed"),
        ("available = hasattr(os, 'pidfd_open')\n" + FORKED, "not needed"),
        (FORKED.replace("def poll", "def ask"), "unknown"),
        (FORKED + "os.pidfd_open(1)\n", "unknown"),
    ],
)
def test_the_shape_decides(text: str, state: str) -> None:
    answer = pidfd.diagnose(Source("tractor.spawn._main_thread_forkserver", "", text.encode()))
    assert answer.state == state, answer.reason


def test_a_process_is_waited_for_without_a_pidfd_and_waiting_can_be_cancelled() -> None:
    module: Any = ModuleType("tractor.spawn._main_thread_forkserver")
    module.os = os
    exec(FORKED, vars(module))

    async def wait_for_a_process() -> int:
        started = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        process = module._ForkedProc(started.pid)
        with trio.move_on_after(0) as waiting:
            await process.wait()
        assert waiting.cancelled_caught
        assert started.stdin
        started.stdin.close()
        status = await process.wait()
        started.wait()  # somebody else has: it only takes note of that
        return int(status)

    changes = Changes()
    pidfd.install(module, changes)
    assert trio.run(wait_for_a_process) == 0
    changes.revert()
    assert module.os is os
