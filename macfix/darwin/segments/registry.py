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
from macfix.darwin.segments.database import Race, Record, patiently, records_of
from macfix.darwin.segments.kernel import Probe, probe, unlink_segment
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
    has_label = size > UNLABELLED
    creator = (os.getpid(), tree.program(), time.time())
    known: list[Record] = []

    def intend(db: sqlite3.Connection, own_tree: str) -> None:
        known.extend(records_of(db, name))
        if _look(name) is None:  # else the kernel is going to refuse
            head = name if has_label else _head(db, key, name)
            _erase(db, name, "")
            record = Record(name, mark, key, size, head, *creator, not has_label)
            db.execute(database.INTEND, record)
            db.execute(database.HOLD, (own_tree, name))
        patiently(db, "COMMIT")

    with tree.signed(intend) as db:
        try:
            yield known
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
    known: list[Record] = []

    def hold(db: sqlite3.Connection, own_tree: str) -> None:
        db.execute(database.HOLD, (own_tree, name))
        known.extend(records_of(db, name))

    with tree.signed(hold):
        yield known


def unlink(name: str, key: str) -> None:
    """Unlink the segment *name*, and its record with it.

    Raises:
        FileNotFoundError: if there is none: a race, which is counted and told to `observers`.
        OSError: if the kernel refuses.
    """
    global _races
    gone: FileNotFoundError | None = None
    with tree.signed() as db:
        found = None if db is None else _look(name)
        try:
            unlink_segment(name)
        except FileNotFoundError as error:
            gone = error
        if db is not None and gone is None:
            label = None if found is None else found.label
            _erase(db, name, "" if label is None else label.mark)
        elif db is not None:
            db.execute(database.ADD_RACE, Race(key, os.getpid(), time.time()))
            db.execute(database.DROP_OLD_RACES)
    if gone is not None:
        _races += 1
        for observer in list(observers):
            observer(key, _races)
        raise gone


def races_here() -> int:
    """Return how many races this process has met."""
    return _races


def _erase(db: sqlite3.Connection, name: str, mark: str) -> None:
    db.execute(database.ERASE, (name, mark))
    db.execute(database.ERASE_HOLDERS, (name,))


def _head(db: sqlite3.Connection, key: str, name: str) -> str:
    """Return the name of the array whose index this is: its key is `<key of the array>_<word>`."""
    array = key.rpartition("_")[0]
    head = kernel_name(array) if array else name
    is_known = any(one.size > UNLABELLED for one in records_of(db, head))
    return head if is_known else name


def _look(name: str) -> Probe | None:
    """Return what has *name*; a length of -1 where that cannot be seen."""
    try:
        return probe(name)
    except OSError:
        return Probe(-1)
