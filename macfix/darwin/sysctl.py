"""Facts that XNU tells about itself through `sysctlbyname(3)` and `sysctl(3)`."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # where the kernel is not XNU

_boot = ""


def sysctl_text(name: str) -> str | None:
    """Return the text `name`, or None where there is none (or no `sysctlbyname`)."""
    answer = ctypes.create_string_buffer(256)
    return answer.value.decode(errors="replace") if _ask(name, answer) else None


def sysctl_int(name: str) -> int | None:
    """Return the C `int` `name`, or None where there is none (or no `sysctlbyname`)."""
    answer = ctypes.c_int()
    return answer.value if _ask(name, answer) else None


def sysctl_bytes(mib: Sequence[int]) -> bytes:
    """Return what the kernel answers to the numbers `mib`.

    The kernel is asked for the length first: some answers (`KERN_PROCARGS2`) are cut at the wrong
    end if the buffer is too small, and refused (`EINVAL`) if it is larger than `ARG_MAX`.

    Raises `OSError` where it refuses, and where there is no `sysctl`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "sysctl"):
        raise OSError(errno.ENOSYS, "there is no sysctl")
    numbers = (ctypes.c_int * len(mib))(*mib)
    size = ctypes.c_size_t()
    failed = libc.sysctl(numbers, len(mib), None, ctypes.byref(size), None, 0)
    if not failed:
        answer = ctypes.create_string_buffer(size.value or 1)
        failed = libc.sysctl(numbers, len(mib), answer, ctypes.byref(size), None, 0)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer.raw[: size.value]


def boot_id() -> str:
    """Return what tells this run of the machine from every other, or "" where nothing does.

    No shared memory segment outlives it. On Darwin that is `kern.bootsessionuuid`.
    """
    global _boot
    if not _boot:  # a failure is not kept: the next look may succeed
        with suppress(OSError):
            _boot = sysctl_text("kern.bootsessionuuid") or _LINUX_BOOT_ID.read_text().strip()
    return _boot


def _ask(name: str, answer: ctypes.Array[ctypes.c_char] | ctypes.c_int) -> bool:
    try:
        sysctlbyname = ctypes.CDLL(None).sysctlbyname
    except (AttributeError, OSError):
        return False
    size = ctypes.c_size_t(ctypes.sizeof(answer))
    failed = sysctlbyname(name.encode(), ctypes.byref(answer), ctypes.byref(size), None, 0)
    return not failed
