"""The simulated Mac waits with kqueue: what asyncio and trio do with it, and what a patch cures."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import pytest

from tests.support import processes
from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="simulates on Linux")

PRELUDE = """
import errno, os, select, socket, subprocess, sys
from select import kevent, kqueue
R, W, P = select.KQ_FILTER_READ, select.KQ_FILTER_WRITE, select.KQ_FILTER_PROC
ADD, DELETE, ONESHOT = select.KQ_EV_ADD, select.KQ_EV_DELETE, select.KQ_EV_ONESHOT
a, b = socket.socketpair()
kq = kqueue()
def happens(timeout=0): return sorted((e.ident, e.filter) for e in kq.control(None, 10, timeout))
"""


@pytest.fixture
def on(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


def test_readiness_lasts_or_comes_once(on: Simulated) -> None:
    program = """
kq.control([kevent(a, R, ADD), kevent(a, W, ADD | ONESHOT)], 0)
is_writable = happens() == [(a.fileno(), W)]
b.send(b"four")
(event,) = kq.control([], 10, 5)
tell(writable=is_writable, data=event.data, again=happens() == [(a.fileno(), R)])
kq.control([kevent(a, W, ADD)], 0)
tell(few=len(kq.control([], 1, 5)), all=len(kq.control([], 10, 5)))
kq.control([kevent(a, R, DELETE)], 0)
tell(left=happens() == [(a.fileno(), W)])
"""
    seen = on.mac(PRELUDE + program)
    assert seen == {"writable": True, "data": 4, "again": True, "few": 1, "all": 2, "left": True}


def test_a_peer_that_closed_is_the_end_of_both(on: Simulated) -> None:
    program = """
kq.control([kevent(a, R, ADD), kevent(a, W, ADD)], 0)
b.close()
tell(flags=[(e.filter, bool(e.flags & select.KQ_EV_EOF)) for e in kq.control([], 10, 5)])
"""
    assert on.mac(PRELUDE + program)["flags"] == [[-1, True], [-2, True]]


def test_what_is_not_registered_cannot_be_deleted(on: Simulated) -> None:
    program = """
never = outcome(kq.control, [kevent(a, R, DELETE)], 0)
kq.control([kevent(a, R, ADD), kevent(b, R, ADD)], 0)
number = a.fileno(); a.close()
tell(never=never, closed=outcome(kq.control, [kevent(number, R, DELETE)], 0))
c, d = socket.socketpair()
assert c.fileno() == number
kq.control([kevent(c, R, ADD)], 0); d.send(b"x")
tell(anew=happens(5) == [(number, R), (b.fileno(), R)] or happens() == [(number, R)])
tell(bad=outcome(kq.control, [kevent(1000, R, ADD)], 0))
tell(filter=outcome(kq.control, [kevent(c, -7, ADD)], 0))
"""
    assert on.mac(PRELUDE + program) == {
        "never": "ENOENT",
        "closed": "ENOENT",
        "anew": True,
        "bad": "EBADF",
        "filter": "EINVAL",
    }


def test_the_end_of_a_process_is_an_event(on: Simulated) -> None:
    program = """
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
end = lambda flags: kevent(child.pid, P, flags, select.KQ_NOTE_EXIT)
kq.control([end(ADD | ONESHOT)], 0)
early = happens()
kq.control([end(DELETE)], 0)
kq.control([end(ADD | ONESHOT)], 0)
child.stdin.close()
late = happens(30); child.wait()
tell(early=early, late=late == [(child.pid, P)], then=happens())
tell(gone=outcome(kq.control, [end(ADD)], 0))
"""
    seen = on.mac(PRELUDE + program)
    assert seen == {"early": [], "late": True, "then": [], "gone": "ESRCH"}


def test_a_fork_inherits_no_queue(on: Simulated) -> None:
    program = """
kq.control([kevent(a, R, ADD)], 0)
pid = os.fork()
if not pid: os._exit(7 if kq.closed else 8)
b.send(b"x")
tell(child=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), here=len(happens(5)))
"""
    assert on.mac(PRELUDE + program) == {"child": 7, "here": 1}


def test_what_was_imported_before_goes_on_with_epoll(on: Simulated) -> None:
    before = "import selectors, select\n"
    program = """
with selectors.DefaultSelector() as chosen, selectors.EpollSelector():
    tell(chosen=type(chosen).__name__, epoll=hasattr(select, "epoll"))
import asyncio
asyncio.run(asyncio.sleep(0))
"""
    finished = on.finish(
        before + "import macfix.simulate; macfix.simulate.start()\n"
        "tell = lambda **what: print(what)\n" + program
    )
    assert finished.stdout == "{'chosen': 'EpollSelector', 'epoll': False}\n", finished


def test_asyncio_and_trio_choose_it(on: Simulated) -> None:
    program = """
import asyncio, selectors, trio
async def waits_in():
    return type(asyncio.get_running_loop()._selector).__name__
async def ends():
    with trio.move_on_after(0.1): await trio.run_process(["sleep", "60"])
    return (await trio.run_process([sys.executable, "-c", "exit(3)"], check=False)).returncode
tell(asyncio=asyncio.run(waits_in()), trio=type(trio.lowlevel.current_kqueue).__name__)
tell(ends=trio.run(ends), subprocess=trio._subprocess.wait_child_exiting.__module__)
"""
    assert on.mac(PRELUDE + program) == {
        "asyncio": "KqueueSelector",
        "trio": "function",
        "ends": 3,
        "subprocess": "trio._subprocess_platform.kqueue",
    }


# -- aio-kqueue-events -----------------------------------------------------------------------------

GUEST = """
import collections, socket, trio
steps, ended, scope = collections.deque(), [], trio.CancelScope()
reader, writer = socket.socketpair()
async def wait():
    with scope:
        await trio.lowlevel.wait_readable(reader)
writer.send(b"now it is readable")
trio.lowlevel.start_guest_run(
    wait, run_sync_soon_threadsafe=steps.append, done_callback=ended.append
)
steps.popleft()()  # the task waits, and its event is fetched, to be processed in the next step
scope.cancel()
while not ended:
    steps.popleft()()
error = getattr(ended[0], "error", None)
print(type(error).__name__, type(getattr(error, "__cause__", None)).__name__, flush=True)
import os; os._exit(0)  # what a dead trio has to say at the end is of no interest
"""


@pytest.mark.parametrize(
    ("imports", "words", "said"),
    [
        ("tractor", ["simulate"], "TrioInternalError KeyError"),
        ("tractor", ["--simulate"], "NoneType NoneType"),
        ("trio, tractor", ["--simulate"], "NoneType NoneType"),
        ("trio", ["--simulate"], "TrioInternalError KeyError"),
    ],
)
def test_a_guests_event_that_nobody_waits_for_is_dropped(
    on: Simulated, imports: str, words: Sequence[str], said: str
) -> None:
    program = on.sandbox.root / "guest.py"
    (on.sandbox.root / "tractor.py").write_text("")
    program.write_text(f"import {imports}\n{GUEST}")
    finished = processes.run(
        [sys.executable, "-m", "macfix", *words, str(program)],
        env=on.environment(),
        cwd=on.sandbox.root,
        timeout=60,
    )
    assert finished.stdout == f"{said}\n", finished
