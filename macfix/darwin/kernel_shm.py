"""The two calls of the kernel that know a shared memory segment by its name.

Nothing is done to the name: it is what the kernel sees, slash included.
"""

from __future__ import annotations

import importlib

MODE = 0o600
"""Segments are open to their owner only, as the standard library makes them."""

_calls = importlib.import_module("_posixshmem")


def open_segment(name: str, flags: int) -> int:
    """Return a descriptor (closed on exec) of the segment `name`; raises `OSError`."""
    descriptor: int = _calls.shm_open(name, flags, mode=MODE)
    return descriptor


def unlink_segment(name: str) -> None:
    """Take the name from the segment `name`; raises `OSError`."""
    _calls.shm_unlink(name)
