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
from macfix.darwin.segments.database import Race, Record, patiently, records
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

    def intend(db: sqlite3.Connection, own_tree: str) -> list[Record]:
        known = records(db, database.RECORDS_OF, (name,))
        if _mark_of(name) is None:  # else the kernel is going to refuse
            is_counter = size <= UNLABELLED
            head = _head(db, key, name) if is_counter else name
            creator = (os.getpid(), tree.program(), time.time())
            db.execute(database.ERASE, (name, ""))
            db.execute(database.INTEND, Record(name, mark, key, size, head, *creator, is_counter))
            db.execute(database.HOLD, (own_tree, name))
        patiently(db, "COMMIT")
        return known

    with tree.signed(intend) as (db, known):
        try:
            yield known or []
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if db is not None:
                    db.execute(database.WITHDRAW, (name, mark))
            raise
        if db is not None:
            patiently(db, "BEGIN IMMEDIATE")
            db.execute(database.COMPLETE, (name, mark))


@contextlib.contextmanager
def attachment(name: str) -> Iterator[list[Record]]:
    """Have it on record that this process's tree holds *name*, which is opened inside.

    So nobody can unlink it, or create it anew, between the one and the other. Yields what is on
    record of its creation.
    """

    def hold(db: sqlite3.Connection, own_tree: str) -> list[Record]:
        db.execute(database.HOLD, (own_tree, name))
        return records(db, database.RECORDS_OF, (name,))

    with tree.signed(hold) as (_, known):
        yield known or []


def unlink(name: str, key: str) -> None:
    """Unlink the segment *name*, and its record with it.

    Raises:
        FileNotFoundError: if there is none: a race, which is counted and told to `observers`.
        OSError: if the kernel refuses.
    """
    global _races
    gone: FileNotFoundError | None = None
    with tree.signed() as (db, _):
        mark = _mark_of(name)
        try:
            unlink_segment(name)
        except FileNotFoundError as error:
            gone = error
        if db is not None and gone is not None:
            db.execute(database.ADD_RACE, Race(key, os.getpid(), time.time()))
        elif db is not None:
            db.execute(database.ERASE, (name, mark))
    if gone is not None:
        _races += 1
        for observer in list(observers):
            observer(key, _races)
        raise gone


def races_here() -> int:
    """Return how many races this process has met."""
    return _races


def _head(db: sqlite3.Connection, key: str, name: str) -> str:
    """Return the name of the array whose index this is: its key is `<key of the array>_<word>`."""
    array = key.rpartition("_")[0]
    head = kernel_name(array) if array else name
    known = records(db, database.RECORDS_OF, (head,))
    return head if any(record.size > UNLABELLED for record in known) else name


def _mark_of(name: str) -> str | None:
    """Return the mark of what has *name*: None if nothing has, "" where no mark can be seen."""
    with contextlib.suppress(OSError):
        found = probe(name)
        if found is None:
            return None
        if found.label is not None:
            return found.label.mark
    return ""
