"""What the kernel knows of a shared memory segment, by its name.

Nothing is done to the name: it is what the kernel sees, slash included.
"""

from __future__ import annotations

import importlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from macfix.darwin.segments.label import ROOM, Label, read_label, read_note

MODE = 0o600
"""Segments are open to their owner only, as the standard library makes them."""

_calls = importlib.import_module("_posixshmem")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Probe:
    """What the kernel and the segment itself say about a segment.

    Attributes:
        length: bytes as the kernel counts them; 0 where the creator has not sized it yet.
        label: what the segment says about itself, if it does.
        note: what its creator noted about its contents, if anything.
    """

    length: int
    label: Label | None = None
    note: str | None = None

    @property
    def mark(self) -> str:
        """The mark on its label; "" where it has none."""
        return self.label.mark if self.label is not None else ""


def open_segment(name: str, flags: int) -> int:
    """Return a descriptor (closed on exec) of the segment `name`; raises `OSError`."""
    descriptor: int = _calls.shm_open(name, flags, mode=MODE)
    return descriptor


def unlink_segment(name: str) -> None:
    """Take the name from the segment `name`; raises `OSError`."""
    _calls.shm_unlink(name)


def probe(name: str) -> Probe | None:
    """Look at the segment that the kernel knows as `name`; None if there is none.

    Raises `OSError` when it cannot be looked at.
    """
    with _mapped(name) as whole:
        if whole is None:
            return None
        return Probe(len(whole), read_label(whole), read_note(whole))


def is_unused(name: str) -> bool:
    """Say whether the segment *name* has a length, and nothing but zeros where its data is.

    So it is when its creator is killed before it has labelled it, even halfway through the label.

    Raises `OSError` when it cannot be looked at.
    """
    with _mapped(name) as whole:
        if whole is None or len(whole) < ROOM:
            return False
        end = len(whole) - ROOM
        chunks = (whole[start : min(start + _CHUNK, end)] for start in range(0, end, _CHUNK))
        return not any(bytes(chunk).strip(b"\0") for chunk in chunks)


@contextmanager
def _mapped(name: str) -> Iterator[memoryview | None]:
    """Map all of the segment, read-only; None if there is none."""
    try:
        descriptor = open_segment(name, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        length = os.fstat(descriptor).st_size
        if not length:
            yield memoryview(b"")
            return
        with (
            mmap.mmap(descriptor, length, prot=mmap.PROT_READ) as mapped,
            memoryview(mapped) as whole,
        ):
            yield whole
    finally:
        os.close(descriptor)
