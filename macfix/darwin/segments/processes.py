"""Which processes live, and with which environment they were started.

A process is its pid and the time it was started, which the kernel notes down at the fork and keeps
through `exec` and settings of the clock (XNU: `forkproc` in `bsd/kern/kern_fork.c`). A zombie is
dead. What cannot be found out is alive.

Which kernel answers is decided by what there is, `proc_pidinfo` in libc or `/proc`, not by
`sys.platform`, which simulations of a Mac change.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
import time
from typing import Any, NamedTuple

from macfix.darwin.sysctl import sysctl_bytes

PROC_PIDTBSDINFO = 3
BSDINFO = struct.Struct("=4xI112xQQ")
"""`struct proc_bsdinfo` (`bsd/sys/proc_info.h`): status, start in seconds and microseconds."""
KERN_PROC = (1, 14, 1)
"""`CTL_KERN`, `KERN_PROC`, `KERN_PROC_PID`; a pid follows."""
KINFO = struct.Struct("=qi24xb")
"""`struct kinfo_proc` (`bsd/sys/sysctl.h`): start in seconds and microseconds, status."""
KERN_PROCARGS2 = (1, 49)
"""`CTL_KERN`, `KERN_PROCARGS2`; a pid follows."""
SZOMB = 5

_AGAIN_AFTER = 0.01  # seconds, generously, that an exec takes to fill in the environment
_ROUNDS = 50


class Process(NamedTuple):
    """One process, and no other that ever has its pid: its pid and its start time."""

    pid: int
    start: str


_this: Process | None = None


def this_process() -> Process:
    """Return the process that asks; raises `OSError` where the kernel does not tell its start."""
    global _this
    pid = os.getpid()
    if _this is None or _this.pid != pid:
        start = _start_of(pid)
        if start is None:
            raise ProcessLookupError(errno.ESRCH, "the kernel does not know this process")
        _this = Process(pid, start)
    return _this


def is_alive(process: Process) -> bool:
    """Say whether *process* lives or may live: False only where the kernel says it is gone."""
    try:
        return _start_of(process.pid) == process.start
    except (OSError, ValueError, ctypes.ArgumentError):  # the latter of no pid at all
        return True


def environments_with(variable: str) -> dict[str, int]:
    """Return the values of *variable* in the environments of all processes, each with a pid.

    These are the environments that processes were started with: what they changed afterwards does
    not show. Neither do those of other users, nor, on Darwin, those of programs that the system
    protects (`cs_restricted` in `sysctl_procargsx`, `bsd/kern/kern_sysctl.c`).

    Raises `OSError` where the kernel does not tell, or processes come faster than it does.
    """
    found: dict[str, int] = {}
    seen: set[int] = set()
    mark = b"\0" + variable.encode() + b"="
    for _ in range(_ROUNDS):  # until nobody has been forked off by one that was looked at too late
        new = _pids() - seen
        if not new:
            return found
        blocks = {pid: _environment(pid) for pid in new}
        if empty := [pid for pid in new if blocks[pid] == b""]:  # in the midst of an exec
            time.sleep(_AGAIN_AFTER)
            blocks.update((pid, _environment(pid)) for pid in empty)
        for pid, block in blocks.items():
            for part in (b"\0" + (block or b"")).split(mark)[1:]:
                found.setdefault(part.partition(b"\0")[0].decode(errors="replace"), pid)
        seen |= new
    raise OSError(errno.EAGAIN, "processes come faster than they can be looked at")


# -- what the kernel is asked ----------------------------------------------------------------------


@functools.cache
def _libc() -> Any:
    """Return libc where it asks XNU about processes, None where `/proc` is there for that."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc if hasattr(libc, "proc_pidinfo") else None


def _start_of(pid: int) -> str | None:
    """Return the start time of process *pid*, None if there is none or only its zombie.

    Raises `OSError` where that cannot be found out.
    """
    return _start_in_proc(pid) if _libc() is None else _start_on_darwin(pid)


def _start_in_proc(pid: int) -> str | None:
    # proc(5): the name, which may hold anything, is in parentheses; then from the third field on
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        os.stat("/proc/self/stat")  # or there is no /proc, which says nothing
        return None
    state, threads, start = fields[0], fields[17], fields[19]
    # one whose first thread has ended looks like a zombie, and has other threads
    return None if state in b"ZX" and int(threads) <= 1 else start.decode()


def _start_on_darwin(pid: int) -> str | None:
    answer = ctypes.create_string_buffer(BSDINFO.size)
    size = _libc().proc_pidinfo(pid, PROC_PIDTBSDINFO, ctypes.c_uint64(0), answer, BSDINFO.size)
    if size == BSDINFO.size:
        status, seconds, microseconds = BSDINFO.unpack(answer.raw)
    elif ctypes.get_errno() == errno.ESRCH:  # what it says of a zombie, too
        return None
    else:  # another user's process: this older call tells about all of them
        answer_bytes = sysctl_bytes((*KERN_PROC, pid))
        if len(answer_bytes) < KINFO.size:
            raise OSError(errno.EPERM, "the kernel does not tell about this process")
        seconds, microseconds, status = KINFO.unpack_from(answer_bytes)
    return None if status == SZOMB else f"{seconds}.{microseconds:06}"


def _pids() -> set[int]:
    libc = _libc()
    if libc is None:
        return {int(name) for name in os.listdir("/proc") if name.isdigit()}
    room = libc.proc_listallpids(None, 0) + 256  # for those that are started meanwhile
    pids = (ctypes.c_int * room)()
    count = libc.proc_listallpids(pids, ctypes.sizeof(pids))
    if not 0 < count < room:
        raise OSError(ctypes.get_errno() or errno.EAGAIN, "the kernel does not list the processes")
    return set(pids[:count])


def _environment(pid: int) -> bytes | None:
    """Return a block with the environment of process *pid*: None if it is another user's or gone.

    It is empty where the kernel does not show it, or not yet.
    """
    if _libc() is not None:
        return sysctl_bytes((*KERN_PROCARGS2, pid))
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
