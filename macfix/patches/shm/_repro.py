"""What the `repro()` of several patches needs: the target, and segments for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from macfix.patches._modules import first_module

KEY = f"mf.{os.getpid()}"
"""A key that no other process has, short enough for any kernel with every suffix of upstream's."""


def upstream() -> ModuleType:
    """Import the target that this environment has: tractor's of either time, else piker's."""
    try:
        return first_module("tractor.ipc._shm", "tractor._shm")
    except ModuleNotFoundError:
        return import_module("piker.data._sharedmem")


@contextmanager
def array_segments(module: ModuleType, size: int = 16) -> Iterator[list[Any]]:
    """Yield the segments of an array with the key `KEY`: `size` bytes of data, and its indexes."""
    segments = [
        module.SharedMemory(name=name, create=True, size=size)
        for name, size in ((KEY, size), (f"{KEY}_first", 4), (f"{KEY}_last", 4))
    ]
    try:
        yield segments
    finally:
        for segment in segments:
            segment.close()
            segment.unlink()
