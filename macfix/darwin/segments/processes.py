"""Which processes live, and with which environment they were started.

A process is its pid and the time it was started, which the kernel notes down at the fork and keeps
through `exec` and settings of the clock (XNU: `forkproc` in `bsd/kern/kern_fork.c`). A zombie is
dead. What cannot be found out is alive.

Which kernel answers is decided by what there is, `proc_pidinfo` in libc or `/proc`, not by
`sys.platform`, which simulations of a Mac change. XNU is asked by `sysctl` alone: `kern.proc` tells
of every user's processes and of zombies (`sysctl_prochandle` in `bsd/kern/kern_sysctl.c`).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import re
import struct
import time
from collections.abc import Iterator

from macfix.darwin.sysctl import sysctl_bytes

CTL_KERN, KERN_PROC, KERN_PROC_ALL, KERN_PROC_PID, KERN_PROCARGS2 = 1, 14, 0, 1, 49
KINFO = struct.Struct("=qi24xb3xi604x")
"""`struct kinfo_proc` (`bsd/sys/sysctl.h`): start in seconds and microseconds, status, pid."""
SZOMB = 5

_AGAIN_AFTER = 0.01  # seconds, generously, that an exec takes to fill in the environment
_ROUNDS = 50
# gone or another user's; XNU says EINVAL of those, and this or EIO in the midst of an exec
_NOT_SHOWN = (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EIO)


@functools.lru_cache(maxsize=1)  # this process may have no descriptor left when it asks again
def start_of(pid: int) -> str:
    """Return the start time of process *pid*; raises `OSError` where the kernel tells none."""
    if start := _start_of(pid):
        return start
    raise ProcessLookupError(errno.ESRCH, f"the kernel does not know process {pid}")


def is_alive(pid: int, start: str) -> bool:
    """Say whether this process lives or may live: False only where the kernel says it is gone."""
    try:
        return _start_of(pid) == start
    except (OSError, ValueError, TypeError):  # the latter of no pid at all
        return True


def environments_with(variable: str) -> Iterator[tuple[str, int, str | None]]:
    """Yield the values of *variable* in the environments of all processes, with pid and start.

    What processes changed after their start does not show. Neither do environments of other users
    and, on Darwin, of programs that the system protects (`cs_restricted` in `sysctl_procargsx`,
    `bsd/kern/kern_sysctl.c`). One that has ended meanwhile has no start.

    Raises `OSError` where the kernel does not tell, or processes come faster than it does.
    """
    seen: set[int] = set()
    pattern = re.compile(rb"(?:\A|\0)%b=([^\0]*)" % re.escape(variable.encode()))
    for _ in range(_ROUNDS):  # until nobody has been forked off by one that was looked at too late
        new = _pids() - seen
        if not new:
            return
        blocks = {pid: _environment(pid) for pid in new}
        if empty := [pid for pid in new if not blocks[pid]]:  # perhaps in the midst of an exec
            time.sleep(_AGAIN_AFTER)
            blocks.update((pid, _environment(pid)) for pid in empty)
        for pid, block in blocks.items():
            for value in pattern.findall(block):
                yield value.decode(errors="replace"), pid, _start_of(pid)
        seen |= new
    raise OSError(errno.EAGAIN, "processes come faster than they can be looked at")


@functools.cache
def _is_darwin() -> bool:
    return hasattr(ctypes.CDLL(None), "proc_pidinfo")


def _kinfo(*which: int) -> list[tuple[int, int, int, int]]:
    answer = sysctl_bytes((CTL_KERN, KERN_PROC, *which))
    if len(answer) % KINFO.size:
        raise OSError(errno.EPROTO, "the kernel has another kinfo_proc")
    return list(KINFO.iter_unpack(answer))


def _start_of(pid: int) -> str | None:
    """Return the start time of process *pid*, None if there is none or only its zombie.

    Raises `OSError` where that cannot be found out.
    """
    if _is_darwin():
        for seconds, microseconds, status, _ in _kinfo(KERN_PROC_PID, pid):
            if status != SZOMB:
                return f"{seconds}.{microseconds:06}"
        return None
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


def _pids() -> set[int]:
    if _is_darwin():
        return {pid for *_, pid in _kinfo(KERN_PROC_ALL)}
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def _environment(pid: int) -> bytes:
    """Return a block with the environment of process *pid*; none where it does not show, or yet."""
    try:
        if _is_darwin():
            return sysctl_bytes((CTL_KERN, KERN_PROCARGS2, pid))
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno in _NOT_SHOWN:
            return b""
        raise
