"""How many files a process may have open.

macOS gives a process 256 unless asked for more, and every socket and (before Python 3.13) every
segment of shared memory is a file.

What `setrlimit(RLIMIT_NOFILE)` takes is another matter than what counts. Since macOS 11 it refuses
no number for its size: it is capped where it is used, at `kern.maxfilesperproc`. Before, it
refused more than `OPEN_MAX` (10240, Apple's `sys/syslimits.h`) with `EINVAL`. So the number to
ask for is `kern.maxfilesperproc`, and `OPEN_MAX` where that is refused. `posix_spawn` refuses file
actions on descriptors of 10240 and more, whatever the limit is.

Sources: apple-oss-distributions/xnu, `bsd/kern/kern_resource.c` (`dosetrlimit`).
"""

from __future__ import annotations

import resource
from typing import NamedTuple

from macfix.darwin.sysctl import sysctl_int

OPEN_MAX = 10240


class OpenFiles(NamedTuple):
    """How the soft limit of open files was changed: numbers of descriptors.

    Attributes:
        before: the soft limit as it was found.
        after: the soft limit as it is now.
        allowed: the most that the kernel lets this process have.
    """

    before: int
    after: int
    allowed: int

    def __str__(self) -> str:
        if self.after == self.before:
            return f"{self.after} files may be open; the kernel allows {self.allowed}"
        return f"{self.after} files may be open, {self.before} before; the kernel allows no more"


def allowed_open_files() -> int:
    """Return how many files the kernel lets this process have open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    kernels = sysctl_int("kern.maxfilesperproc") or OPEN_MAX
    return kernels if hard == resource.RLIM_INFINITY else min(hard, kernels)


def raise_open_files() -> OpenFiles:
    """Raise this process's soft limit of open files to what the kernel allows.

    Never lowers it. Where the kernel refuses what it says it allows, the largest number that it
    takes is set. Children inherit the limit.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = allowed_open_files()
    for wanted in sorted({allowed, min(allowed, OPEN_MAX)}, reverse=True):
        if before == resource.RLIM_INFINITY or wanted <= before:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            continue
        return OpenFiles(before, wanted, allowed)
    return OpenFiles(before, before, allowed)
