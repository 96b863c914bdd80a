"""An index of four bytes is read and written as a whole page, and not at once.

Problem:
    `SharedInt.value` takes all of the segment's buffer for one number. XNU rounds that up to a page
    of 16384 bytes, which are not read and written at once: a reader may see half of a write.

Fix:
    `SharedInt` becomes a class derived from it and from ctypes' `c_uint32`, which lies on the first
    four bytes: `value` is read and written by C, in one aligned access. That is the same number:
    what a process without macfix writes behind the four bytes is zeros. (A number that four bytes
    cannot hold is cut, as C does; upstream says `OverflowError` where a segment has four bytes.)
    The memory of an index stays mapped as long as the index lives: reading one that was closed
    is no crash.

Repro:
    Leave something behind the four bytes of an index: it must not count.

Upstream:
    Not reported.

Remove when:
    Upstream reads and writes four bytes.
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

from macfix import Changes, Diagnosis, Source, needed, not_needed, unknown
from macfix.engine.syntax import contains, definition

from ._repro import KEY, upstream

_BYTES = 4


def diagnose(source: Source) -> Diagnosis:
    index = definition(source.tree, "SharedInt")
    if index is None:
        return not_needed("it has no SharedInt")
    if contains(index, "int.from_bytes(self._shm.buf, byteorder)"):
        return needed(f"SharedInt (line {index.lineno}) takes the whole buffer for one number")
    return unknown(f"SharedInt (line {index.lineno}) does not read as it used to")


def install(module: ModuleType, changes: Changes) -> None:
    changes.set(module, "SharedInt", _in_four_bytes(module.SharedInt))


def _in_four_bytes(upstreams: Any) -> type:
    """Return upstream's class, with a `value` that lies on the first four bytes of the segment."""

    class SharedInt(upstreams, ctypes.c_uint32):  # type: ignore[misc]
        # ctypes' own descriptor, ahead of upstream's property: no Python code is run
        value = vars(ctypes.c_uint32.__mro__[1])["value"]

        def __new__(cls, shm: Any) -> Any:
            if not hasattr(shm, "lend"):
                return upstreams(shm)  # not a segment of ours: `shm-names` was left out
            return cls.from_buffer(shm.lend())

        # what an object of upstream's class is, and ctypes' are not: true, hashable, sendable
        __eq__ = object.__eq__
        __hash__ = object.__hash__

        def __bool__(self) -> bool:
            return True

        def __reduce__(self) -> tuple[Any, ...]:
            return type(self), (self._shm,)

    SharedInt.__module__, SharedInt.__qualname__ = upstreams.__module__, upstreams.__qualname__
    SharedInt.__doc__ = upstreams.__doc__
    return SharedInt


def repro() -> None:
    module = upstream()
    segment = module.SharedMemory(name=KEY, create=True, size=2 * _BYTES)
    try:
        index = module.SharedInt(shm=segment)
        index.value = 7
        segment.buf[_BYTES] = 1
        assert index.value == 7, f"an index that was set to 7 is {index.value}"
    finally:
        segment.close()
        segment.unlink()
