"""The registry's database: one short transaction at a time, and every statement.

It is opened for one transaction and closed again: no descriptor, lock or connection outlives a
call: programs close descriptors, run out of them, and fork. One lock surrounds each call in this
process and is held across a fork: SQLite does not survive one amid another thread's call.
Nothing is synchronised to the disk: what ends the machine ends all segments as well.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from macfix.darwin.segments import place
from macfix.darwin.segments.place import NotWantedError, StrangeFileError, UnavailableError
from macfix.darwin.segments.processes import Process

log = logging.getLogger("macfix.shm")

SCHEMA = (
    "CREATE TABLE tree (id TEXT PRIMARY KEY, reaped INT) WITHOUT ROWID",
    "CREATE TABLE process (tree TEXT, pid INT, start TEXT, program TEXT, since REAL,"
    " PRIMARY KEY (tree, pid, start)) WITHOUT ROWID",
    "CREATE TABLE segment (name TEXT, mark TEXT, key TEXT, size INT, head TEXT NOT NULL, pid INT,"
    " program TEXT, created REAL, made INT, PRIMARY KEY (name, mark),"
    " CHECK (typeof(name) = 'text' AND typeof(head) = 'text')) WITHOUT ROWID",
    "CREATE INDEX heads ON segment (head)",
    "CREATE TABLE holder (name TEXT, tree TEXT, PRIMARY KEY (name, tree)) WITHOUT ROWID",
    "CREATE TABLE race (number INTEGER PRIMARY KEY, key TEXT, pid INT, at REAL)",
    f"PRAGMA user_version = {place.VERSION}",
)
# whatever is in the file, of what a record is made of has its type
_RECORDS = (
    "SELECT name, ifnull(CAST(mark AS TEXT), ''), ifnull(CAST(key AS TEXT), ''),"
    " ifnull(CAST(size AS INT), 0), head, ifnull(CAST(pid AS INT), 0),"
    " ifnull(CAST(program AS TEXT), ''), ifnull(CAST(created AS REAL), 0), made FROM segment"
)
RACES_KEPT = 1000
PATIENCE = 5.0
"""Seconds that a process waits for a locked database; when that was in vain, it waits no more."""

_lock = threading.RLock()
_busy = False
_patience = PATIENCE
_has_reported = False


class Record(NamedTuple):
    """The creation of one segment.

    Attributes:
        name: what the kernel calls it, slash included.
        mark: what its label calls this very segment.
        key: what its creator calls it.
        size: bytes that were asked for.
        head: the kernel's name of the array whose index it is, else its own name.
        pid, program, created: who created it and when, to be shown.
        made: whether its creation is known to be complete, or it bears no label anyway.
    """

    name: str
    mark: str
    key: str
    size: int
    head: str
    pid: int
    program: str
    created: float
    made: bool


class Race(NamedTuple):
    """A segment that was gone when the process *pid* came to unlink it."""

    key: str
    pid: int
    when: float


@contextlib.contextmanager
def transaction(
    path: str, begin: Callable[[sqlite3.Connection], None] = lambda db: None
) -> Iterator[sqlite3.Connection]:
    """One transaction that may write, committed at the end unless an exception leaves it.

    It begins with what *begin* writes.

    Raises:
        UnavailableError: if the database cannot be used; nothing was written then.
    """
    global _busy
    with _lock:
        if _busy:
            raise NotWantedError("a finalizer or a signal handler asks in the midst of a call")
        _busy = True
        try:
            with contextlib.closing(_open(path)) as db:
                begin(db)
                yield db
                db.execute("COMMIT")
        except (sqlite3.Error, OverflowError, StrangeFileError) as error:
            if _looks_damaged(error):
                _set_aside_if_damaged(path)
            raise _unavailable(path, error) from error
        finally:
            _busy = False


def report(problem: Exception) -> None:
    """Say once in a tree of processes that the registry cannot be used, and why."""
    global _has_reported
    if _has_reported or isinstance(problem, NotWantedError):
        return
    _has_reported = True
    if place.is_first_of_tree_to_report():
        log.warning("shared memory is not on record, and none is freed by itself: %s", problem)


def _open(path: str) -> sqlite3.Connection:
    try:
        return _connect(path)
    except (sqlite3.Error, StrangeFileError) as error:
        if not _looks_damaged(error):
            raise
    _set_aside_if_damaged(path)
    return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    """Return a connection in whose transaction nobody else can write."""
    place.prepare(path)
    db = sqlite3.connect(path, timeout=_patience, isolation_level=None)
    try:
        db.text_factory = lambda data: data.decode(errors="replace")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = PERSIST")
        # a transaction that reads first fails under load as soon as it comes to write
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, place.VERSION):
            raise StrangeFileError(f"its version is {version}, known is {place.VERSION}")
        for statement in SCHEMA if version == 0 else ():
            db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db


def _looks_damaged(error: Exception) -> bool:
    """Say whether *error* speaks of the file's content: SQLite has no class of its own for that."""
    return type(error) in (sqlite3.DatabaseError, StrangeFileError)


def _set_aside_if_damaged(path: str) -> None:
    """Move away what lies in the database's place if a second, fresh look finds it damaged, too.

    A sound file looks malformed to a call during which another thread closes all descriptors.
    """
    try:
        seen = os.lstat(path)
        with contextlib.closing(_connect(path)) as db:
            (answer,) = db.execute("PRAGMA quick_check(1)").fetchone()
            problem: object = None if answer == "ok" else answer
    except (sqlite3.Error, StrangeFileError) as error:
        problem = error if _looks_damaged(error) else None
    except OSError:
        return  # somebody else has moved it away
    aside = f"{path}.set-aside-{secrets.token_hex(4)}"
    with contextlib.suppress(OSError):
        if problem is not None and os.path.samestat(seen, os.lstat(path)):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}-journal", f"{aside}-journal")
            os.rename(path, aside)
            report(UnavailableError(f"{path} was damaged ({problem}); it is {aside} now"))


def _unavailable(path: str, error: Exception) -> UnavailableError:
    global _patience
    if "locked" not in str(error):
        return UnavailableError(f"{path}: {error}")
    waited, _patience = _patience, 0.0
    return UnavailableError(f"{path} is locked by another process (for {waited:g} s at least)")


# -- the statements: trees and processes -----------------------------------------------------------


def found(db: sqlite3.Connection, tree: str) -> None:
    db.execute("INSERT OR IGNORE INTO tree VALUES (?, 0)", (tree,))


def is_founded(db: sqlite3.Connection, tree: str) -> bool:
    return db.execute("SELECT 1 FROM tree WHERE id = ?", (tree,)).fetchone() is not None


def is_first_to_reap(db: sqlite3.Connection, tree: str) -> bool:
    changed = db.execute("UPDATE tree SET reaped = 1 WHERE id = ? AND NOT reaped", (tree,))
    return changed.rowcount == 1


def sign(db: sqlite3.Connection, tree: str, process: Process, program: str, now: float) -> None:
    row = (tree, *process, program, now)
    db.execute("INSERT OR IGNORE INTO process VALUES (?, ?, ?, ?, ?)", row)


def members(db: sqlite3.Connection, tree: str) -> list[tuple[Process, str]]:
    rows = db.execute("SELECT pid, start, program FROM process WHERE tree = ?", (tree,))
    return [(Process(pid, start), program) for pid, start, program in rows]


def trees(db: sqlite3.Connection) -> list[tuple[str, bool]]:
    """All trees, founded or not, and whether they hold segments."""
    every = "SELECT id FROM tree UNION SELECT tree FROM process"
    rows = db.execute(f"SELECT id, id IN (SELECT tree FROM holder) FROM ({every})")
    return [(tree, bool(holds)) for tree, holds in rows]


def remove_process(db: sqlite3.Connection, tree: str, process: Process) -> None:
    db.execute("DELETE FROM process WHERE tree = ? AND pid = ? AND start = ?", (tree, *process))


def remove_tree(db: sqlite3.Connection, tree: str) -> None:
    db.execute("DELETE FROM tree WHERE id = ?", (tree,))
    db.execute("DELETE FROM process WHERE tree = ?", (tree,))


# -- the statements: segments ----------------------------------------------------------------------


def records_of(db: sqlite3.Connection, name: str) -> list[Record]:
    """The creations under *name*; the first one counts, others may be on their way."""
    rows = db.execute(f"{_RECORDS} WHERE name = ? ORDER BY made DESC, created DESC", (name,))
    return [Record(*row) for row in rows]


def records_called(db: sqlite3.Connection, key: str) -> list[Record]:
    """The creations of segments with that key or kernel's name, and of their indexes."""
    names = "SELECT name FROM segment WHERE key = ? OR name = ? OR name = '/' || ?"
    rows = db.execute(f"{_RECORDS} WHERE head IN ({names}) OR name IN ({names})", (key,) * 6)
    return [Record(*row) for row in rows]


def next_records(db: sqlite3.Connection, after: str, heads: int) -> list[Record]:
    """The creations of the next arrays behind *after*: the indexes of each, then itself."""
    rows = db.execute(
        f"{_RECORDS} WHERE head IN"
        " (SELECT DISTINCT head FROM segment WHERE head > ? ORDER BY head LIMIT ?)"
        " ORDER BY head, name = head, name, made DESC, created DESC",
        (after, heads),
    )
    return [Record(*row) for row in rows]


def intend(db: sqlite3.Connection, record: Record, tree: str) -> None:
    """Note down a creation that is about to begin where there is no segment."""
    erase(db, record.name, "")
    db.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", record)
    db.execute("INSERT OR IGNORE INTO holder VALUES (?, ?)", (record.name, tree))


def complete(db: sqlite3.Connection, name: str, mark: str) -> None:
    """Note down that the creation was done: that segment bears its label."""
    db.execute("UPDATE segment SET made = 1 WHERE name = ? AND mark = ?", (name, mark))


def hold(db: sqlite3.Connection, name: str, tree: str) -> None:
    """Note down that *tree* holds *name*, if that is on record."""
    known = "SELECT DISTINCT name, ? FROM segment WHERE name = ?"
    db.execute(f"INSERT OR IGNORE INTO holder {known}", (tree, name))


def holders(db: sqlite3.Connection, name: str) -> list[str]:
    return [tree for (tree,) in db.execute("SELECT tree FROM holder WHERE name = ?", (name,))]


def withdraw(db: sqlite3.Connection, name: str, mark: str) -> None:
    """Note down that the creation of *name* with that mark has failed."""
    db.execute("DELETE FROM segment WHERE name = ? AND mark = ?", (name, mark))


def erase(db: sqlite3.Connection, name: str, mark: str) -> None:
    """Note down that the segment *name* was unlinked, which bore that mark, if any."""
    db.execute("DELETE FROM segment WHERE name = ? AND (made OR mark = ?)", (name, mark))
    db.execute(
        "DELETE FROM holder WHERE name = ? AND name NOT IN (SELECT name FROM segment)", (name,)
    )


def forget(db: sqlite3.Connection, name: str) -> None:
    """Remove all that is on record of *name*."""
    db.execute("DELETE FROM segment WHERE name = ?", (name,))
    db.execute("DELETE FROM holder WHERE name = ?", (name,))


def add_race(db: sqlite3.Connection, race: Race) -> None:
    added = db.execute("INSERT INTO race (key, pid, at) VALUES (?, ?, ?)", race)
    db.execute("DELETE FROM race WHERE number <= ?", ((added.lastrowid or 0) - RACES_KEPT,))


def races(db: sqlite3.Connection) -> list[Race]:
    return [Race(*row) for row in db.execute("SELECT key, pid, at FROM race ORDER BY number")]


# -- fork ------------------------------------------------------------------------------------------


def _after_fork_in_child() -> None:
    global _lock, _busy, _patience
    _lock, _busy, _patience = threading.RLock(), False, PATIENCE


os.register_at_fork(
    before=lambda: _lock.acquire(),
    after_in_parent=lambda: _lock.release(),
    after_in_child=_after_fork_in_child,
)
