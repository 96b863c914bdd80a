"""What a process tells the registry: its tree, and what it does with shared memory.

A process belongs to its tree from birth, by a variable in its environment that names the tree and
the registry's file. Each process that uses shared memory is on record, and with each transaction of
its own again, so that a registration that failed is repeated. Of a tree that is not on record
nobody knows the processes: what it holds is never freed by itself.

A creation is on record before the kernel is asked: nothing is lost if the process is killed then.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from macfix import _once
from macfix._variables import is_off
from macfix.darwin.segments import database, place, reaping
from macfix.darwin.segments.database import Record, log, patiently, records, report
from macfix.darwin.segments.kernel import probe, unlink_segment
from macfix.darwin.segments.label import UNLABELLED
from macfix.darwin.segments.names import kernel_name
from macfix.darwin.segments.place import UnavailableError
from macfix.darwin.segments.processes import start_of

VARIABLE = place.TREE_VARIABLE
REAP_VARIABLE = "MACFIX_SHM_REAP"
"""Environment variable: `off` leaves what is leaked until `macfix shm reap`."""


class Member:
    """This process as a member of its tree, whose registry is the file `path`.

    What its environment says, its children inherit, even if nothing else can be done.
    """

    def __init__(self) -> None:
        self.path = place.location()
        tree, _, its_path = os.environ.get(VARIABLE, "").partition(":")
        self.is_first = not tree.isalnum() or its_path != self.path
        self.is_registered = False
        _once.join_tree()
        self._enter(secrets.token_hex(8) if self.is_first else tree)

    def _enter(self, tree: str) -> None:
        self.tree = tree
        os.environ[VARIABLE] = f"{tree}:{self.path}"

    def register(self, db: sqlite3.Connection) -> None:
        """Have this process on record, and its tree, which is entered once in its life."""
        pid = os.getpid()
        try:
            start = start_of(pid)
        except OSError as error:
            raise UnavailableError(str(error)) from error
        if not self.is_registered:
            if not self.is_first and not db.execute(database.HAS_TREE, (self.tree,)).fetchone():
                self._enter(secrets.token_hex(8))  # that one is over
            db.execute(database.ADD_TREE, (self.tree,))
        db.execute(database.ADD_PROCESS, (self.tree, pid, start, _program()))


_own: Member | None = None


def join() -> Callable[[], None] | None:
    """Make this process a member of its tree; if it has none, start one, which children inherit.

    The first of a tree to do so frees what is leaked. Never raises an `Exception`: where the
    registry cannot be used, that is said once. Returns what undoes a change of the environment.
    """
    before = os.environ.get(VARIABLE)
    with registered():
        pass
    is_wanted = not is_off(os.environ.get(REAP_VARIABLE))
    if is_wanted and _once.is_first("leaked memory", place.folder()):
        try:
            reaping.sort_out(place.location(), free=True)
        except Exception as error:  # what is leaked must not keep anybody from working
            log.info("leaked shared memory was not freed: %s", error)
    return None if os.environ.get(VARIABLE) == before else lambda: _leave(before)


def variables() -> dict[str, str]:
    """Return what makes a program a member of a tree from birth, to be put into its environment.

    That is the tree of this very process, which is about to `exec` the program. Never raises an
    `Exception`; returns nothing where the registry cannot be used: the program will say so.
    """
    with registered(tell=log.debug):
        pass
    return {VARIABLE: os.environ[VARIABLE]} if _own is not None and _own.is_registered else {}


@contextlib.contextmanager
def creation(name: str, key: str, size: int, mark: str) -> Iterator[list[Record]]:
    """Have the creation of a segment inside on record; if it fails, there is none afterwards.

    Yields what was on record of *name* before.
    """

    def add(db: sqlite3.Connection, own_tree: str) -> list[Record]:
        known = records(db, database.RECORDS_OF, (name,))
        if _mark_of(name) is None:  # else the kernel is going to refuse
            is_counter = size <= UNLABELLED
            head = _head(db, key, name) if is_counter else name
            creator = (os.getpid(), _program(), time.time())
            db.execute(database.ERASE, (name, ""))
            db.execute(
                database.ADD_SEGMENT, Record(name, mark, key, size, head, *creator, is_counter)
            )
            db.execute(database.HOLD, (own_tree, name))
        patiently(db, "COMMIT")
        return known

    with registered(add) as (db, known):
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

    with registered(hold) as (_, known):
        yield known or []


def unlink(name: str) -> None:
    """Unlink the segment *name*, and its record with it; raises what the kernel answers."""
    with registered() as (db, _):
        mark = _mark_of(name)
        unlink_segment(name)
        if db is not None:
            db.execute(database.ERASE, (name, mark))


@contextlib.contextmanager
def registered(
    begin: Callable[[sqlite3.Connection, str], Any] = lambda db, tree: None,
    tell: Callable[[Exception], None] = report,
) -> Iterator[tuple[sqlite3.Connection | None, Any]]:
    """A transaction of this process, and what *begin* (database, tree) returns of it.

    Both are None where there can be none: that, and what fails inside, is *tell*'s, not raised.
    """
    global _own
    has_begun = False
    try:
        _own = own = _own or Member()
        with database.transaction(own.path) as db:
            own.register(db)
            begun = begin(db, own.tree)
            has_begun = True
            yield db, begun
        own.is_registered = True
    except UnavailableError as error:
        tell(error)
    if not has_begun:
        yield None, None


def _leave(before: str | None) -> None:
    global _own
    _own = None
    os.environ.pop(VARIABLE, None)
    if before is not None:
        os.environ[VARIABLE] = before


def _program() -> str:
    """Return the command line of this process, of at most 200 characters."""
    words = getattr(sys, "argv", None) or [sys.executable or "?"]
    return " ".join(map(str, words)).encode(errors="replace").decode()[:200]


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
        return None if found is None else found.mark
    return ""


def _after_fork() -> None:
    if _own is not None:
        with contextlib.suppress(Exception), registered():
            pass


os.register_at_fork(after_in_child=_after_fork)
