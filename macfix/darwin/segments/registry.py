"""What shared memory tells the registry: that a segment is created, attached, unlinked.

A creation is on record before the kernel is asked, so that nothing is lost if the process is killed
on the way. Where there is no registry, segments are what they are without one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator

from macfix.darwin.segments import database, tree
from macfix.darwin.segments.database import Race, Record
from macfix.darwin.segments.kernel import probe, unlink_segment
from macfix.darwin.segments.label import UNLABELLED
from macfix.darwin.segments.names import kernel_name

observers: list[Callable[[str, int], object]] = []
"""Called at each race, with the key and with how many races this process has met."""

_races = 0


@contextlib.contextmanager
def creation(name: str, key: str, size: int, mark: str) -> Iterator[list[Record]]:
    """Have the creation of a segment inside on record; if it fails, there is none afterwards.

    Yields what was on record of *name* before.
    """
    bears_no_label = size <= UNLABELLED
    creator = (os.getpid(), tree.program(), time.time())
    record = Record(name, mark, key, size, name, *creator, made=bears_no_label)
    known: list[Record] = []
    with tree.signed() as own:
        if own is not None:
            db, own_tree = own
            known = database.records_of(db, name)
            if not _exists(name):  # else the kernel is going to refuse
                database.intend(db, record._replace(head=_head(db, record)), own_tree)
    try:
        yield known
    except BaseException:
        with tree.signed() as own:
            if own is not None:
                database.withdraw(own[0], name, mark)
        raise
    if not bears_no_label:
        tree.made.append((name, mark))


@contextlib.contextmanager
def attachment(name: str) -> Iterator[list[Record]]:
    """Have it on record that this process's tree holds *name*, which is opened inside.

    So nobody can unlink it, or create it anew, between the one and the other. Yields what is on
    record of its creation.
    """
    with tree.signed() as own:
        if own is None:
            yield []
        else:
            database.hold(own[0], name, own[1])
            yield database.records_of(own[0], name)


def unlink(name: str, key: str) -> None:
    """Unlink the segment *name*, and its record with it.

    Raises:
        FileNotFoundError: if there is none: a race, which is counted and told to `observers`.
        OSError: if the kernel refuses.
    """
    global _races
    gone: FileNotFoundError | None = None
    with tree.signed() as own:
        mark = "" if own is None else _mark(name)
        try:
            unlink_segment(name)
        except FileNotFoundError as error:
            gone = error
        if own is not None and gone is None:
            database.erase(own[0], name, mark)
        elif own is not None:
            database.add_race(own[0], Race(key, os.getpid(), time.time()))
    if gone is not None:
        _races += 1
        for observer in list(observers):
            observer(key, _races)
        raise gone


def races_here() -> int:
    """Return how many races this process has met."""
    return _races


def _head(db: sqlite3.Connection, record: Record) -> str:
    """Return the name of the array whose index this counter is: `<key of the array>_<word>`."""
    array = record.key.rpartition("_")[0]
    if record.size > UNLABELLED or not array:
        return record.name
    name = kernel_name(array)
    has_label = any(other.size > UNLABELLED for other in database.records_of(db, name))
    return name if has_label else record.name


def _mark(name: str) -> str:
    with contextlib.suppress(OSError):
        found = probe(name)
        return found.label.mark if found is not None and found.label is not None else ""
    return ""


def _exists(name: str) -> bool:
    try:
        return probe(name) is not None
    except OSError:
        return True
