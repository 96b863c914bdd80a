"""File calls of a Mac: descriptors of segments behave like segments, and pages are a Mac's.

Only ``os``, ``mmap`` and ``resource`` are touched, where Python code looks the calls up.
"""

from __future__ import annotations

import errno
import functools
import mmap
import os
from collections.abc import Callable

from . import _linux
from ._errors import error
from ._replace import replace
from ._segments import Segments, simulated_mmap
from ._spec import Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_REFUSED_ON_SEGMENTS = {
    # bsd/kern/kern_descrip.c fo_no_read, fo_no_write; sys_generic.c valid_for_random_access
    "read": errno.ENXIO,
    "readv": errno.ENXIO,
    "write": errno.ENXIO,
    "writev": errno.ENXIO,
    "pread": errno.ESPIPE,
    "preadv": errno.ESPIPE,
    "pwrite": errno.ESPIPE,
    "pwritev": errno.ESPIPE,
    "lseek": errno.ESPIPE,
}


def install(spec: Spec, calls: Segments) -> None:
    """Put the simulated calls where Python code finds them."""
    import _posixshmem  # type: ignore[import-not-found]

    replace(_posixshmem, "shm_open", calls.shm_open)
    replace(_posixshmem, "shm_unlink", calls.shm_unlink)
    _install_descriptors(calls)
    _install_page(spec)


def _install_descriptors(calls: Segments) -> None:
    def on_segments(name: str, simulated: Callable[..., Any]) -> None:
        truth = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            found = calls.stat_of(args[0]) if args else None
            return truth(*args, **kwargs) if found is None else simulated(found, *args, **kwargs)

        replace(os, name, call)

    on_segments("fstat", calls.fstat)
    on_segments("stat", calls.fstat)
    on_segments("ftruncate", calls.ftruncate)
    on_segments("truncate", calls.ftruncate)
    for name, number in _REFUSED_ON_SEGMENTS.items():
        on_segments(name, functools.partial(_refuse, number))
    mmap.mmap = simulated_mmap(calls)  # type: ignore[misc]


def _refuse(number: int, *_: object) -> NoReturn:
    raise error(number)


def _install_page(spec: Spec) -> None:
    """Let the page be as big as the Mac's: always a multiple of the real one."""
    import resource

    mmap.PAGESIZE = mmap.ALLOCATIONGRANULARITY = spec.page  # type: ignore[misc]
    names = {"SC_PAGESIZE", "SC_PAGE_SIZE", os.sysconf_names["SC_PAGESIZE"]}

    def sysconf(name: str | int, /) -> int:
        return spec.page if name in names else _linux.sysconf(name)

    replace(os, "sysconf", sysconf)
    replace(resource, "getpagesize", lambda: spec.page)
