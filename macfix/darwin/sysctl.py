"""Facts that XNU tells about itself through `sysctlbyname(3)`."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

_LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # where the kernel is not XNU


def sysctl_text(name: str) -> str | None:
    """Return the text `name`, or None where there is none (or no `sysctlbyname`)."""
    answer = ctypes.create_string_buffer(256)
    return answer.value.decode(errors="replace") if _ask(name, answer) else None


def sysctl_int(name: str) -> int | None:
    """Return the C `int` `name`, or None where there is none (or no `sysctlbyname`)."""
    answer = ctypes.c_int()
    return answer.value if _ask(name, answer) else None


@functools.cache
def boot_id() -> str:
    """Return what tells this run of the machine from every other, or "" where nothing does.

    No shared memory segment outlives it. On Darwin that is `kern.bootsessionuuid`.
    """
    on_darwin = sysctl_text("kern.bootsessionuuid")
    if on_darwin is not None:
        return on_darwin
    try:
        return _LINUX_BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _ask(name: str, answer: ctypes.Array[ctypes.c_char] | ctypes.c_int) -> bool:
    try:
        sysctlbyname = ctypes.CDLL(None).sysctlbyname
    except (AttributeError, OSError):
        return False
    size = ctypes.c_size_t(ctypes.sizeof(answer))
    failed = sysctlbyname(name.encode(), ctypes.byref(answer), ctypes.byref(size), None, 0)
    return not failed
