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
import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from macfix import _once
from macfix.darwin.segments import place
from macfix.darwin.segments.place import NotWantedError, UnavailableError

log = logging.getLogger("macfix.shm")

PATIENCE = 5.0
"""Seconds that a process waits for a locked database; when that was in vain, it waits no more."""

_lock = threading.RLock()
_is_busy = False
_patience = PATIENCE


class Record(NamedTuple):
    """The creation of one segment, by the process *pid*.

    Its label bears *mark*. *head* is the name of the array whose index it is, else its own name.
    It is *made* when its creation is known to be complete, and from the start if it has no label.
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


SCHEMA = (
    "CREATE TABLE tree (id TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE process (tree TEXT, pid INT, start TEXT, program TEXT,"
    " PRIMARY KEY (tree, pid, start)) WITHOUT ROWID",
    "CREATE TABLE segment (name TEXT, mark TEXT, key TEXT, size INT, head TEXT NOT NULL, pid INT,"
    " program TEXT, created REAL, made INT, PRIMARY KEY (name, mark),"
    " CHECK (typeof(name) = 'text' AND typeof(head) = 'text')) WITHOUT ROWID",
    "CREATE TABLE holder (name TEXT, tree TEXT, PRIMARY KEY (name, tree)) WITHOUT ROWID",
    "CREATE TRIGGER nothing_to_hold AFTER DELETE ON segment"
    " WHEN NOT EXISTS (SELECT 1 FROM segment WHERE name = OLD.name)"
    " BEGIN DELETE FROM holder WHERE name = OLD.name; END",
    f"PRAGMA user_version = {place.VERSION}",
)

ADD_TREE = "INSERT OR IGNORE INTO tree VALUES (?)"
HAS_TREE = "SELECT 1 FROM tree WHERE id = ?"
EMPTY_TREES = "SELECT id FROM tree WHERE id NOT IN (SELECT tree FROM process)"
REMOVE_EMPTY_TREES = f"DELETE FROM tree WHERE id IN ({EMPTY_TREES} EXCEPT SELECT tree FROM holder)"

# not without a start: SQLite ignores a NULL in a key, too
ADD_PROCESS = "INSERT OR IGNORE INTO process VALUES (?, ?, ?, ?)"
REMOVE_DEAD = "DELETE FROM process WHERE NOT is_alive(pid, start)"

ADD_SEGMENT = "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
COMPLETE = "UPDATE segment SET made = 1 WHERE name = ? AND mark = ?"
IS_ON_RECORD = "SELECT 1 FROM segment WHERE name = ? AND mark = ?"
WITHDRAW = "DELETE FROM segment WHERE name = ? AND mark = ?"
# of a segment that was unlinked: who is about to create one of that name goes on
ERASE = "DELETE FROM segment WHERE name = ? AND (made OR mark = ?)"
FORGET = "DELETE FROM segment WHERE name = ?"

HOLD = "INSERT OR IGNORE INTO holder SELECT name, ? FROM segment WHERE name = ? LIMIT 1"
# of each array that has to stay, why
KEEPERS = (
    "SELECT head, ifnull((SELECT 'process ' || pid || ' lives: ' || program FROM process"
    " WHERE tree = holder.tree), 'the registry does not know the processes of its tree')"
    f" FROM segment JOIN holder USING (name) WHERE tree NOT IN ({EMPTY_TREES})"
)

_RECORDS = (  # the file may hold anything, a record does not
    "SELECT name, ifnull(CAST(mark AS TEXT), ''), ifnull(CAST(key AS TEXT), ''),"
    " ifnull(CAST(size AS INT), 0), head, ifnull(CAST(pid AS INT), 0),"
    " ifnull(CAST(program AS TEXT), ''), ifnull(CAST(created AS REAL), 0),"
    " ifnull(CAST(made AS INT), 0) FROM segment"
)
# the first one counts, others may be on their way
RECORDS_OF = f"{_RECORDS} WHERE name = ? ORDER BY made DESC, created DESC"
# here the last one of a name counts
ALL_RECORDS = f"{_RECORDS} ORDER BY name, made, name <> head, created"
# by key or name, with the indexes
_CALLED = "(SELECT name FROM segment WHERE key = :key OR name IN (:key, '/' || :key))"
RECORDS_CALLED = f"{_RECORDS} WHERE head IN {_CALLED} OR name IN {_CALLED}"


def records(db: sqlite3.Connection, statement: str, values: Any = ()) -> list[Record]:
    """Return what one of the statements that select records selects."""
    return [Record(*row) for row in db.execute(statement, values)]


@contextlib.contextmanager
def transaction(path: str) -> Iterator[sqlite3.Connection]:
    """One transaction that may write; what raises inside leaves nothing written.

    Raises `UnavailableError` if the database cannot be used.
    """
    global _is_busy
    with _lock:
        if _is_busy:
            raise NotWantedError("a finalizer or a signal handler asks in the midst of a call")
        _is_busy = True
        try:
            with contextlib.closing(_open(path)) as db:
                yield db
                patiently(db, "COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            _set_aside_if_damaged(path, error)
            raise UnavailableError(f"{path}: {error}") from error
        finally:
            _is_busy = False


def patiently(db: sqlite3.Connection, statement: str) -> None:
    """Execute what may find the database locked, again and again.

    SQLite's own timeout sleeps longer and longer, so that one of many who want to write starves.
    """
    global _patience
    deadline = time.monotonic() + _patience
    while True:
        try:
            db.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            if time.monotonic() > deadline:
                _patience = 0.0
                raise
        time.sleep(random.uniform(0.0005, 0.005))


def report(problem: Exception) -> None:
    """Say once in a tree of processes that the registry cannot be used, and why."""
    is_wanted = not isinstance(problem, NotWantedError)
    if is_wanted and _once.is_first("no record of shared memory", place.folder()):
        log.warning("macfix keeps no record of shared memory, nor frees any: %s", problem)


def _open(path: str) -> sqlite3.Connection:
    """Return a connection in whose transaction nobody else can write."""
    try:
        return _connect(path)
    except sqlite3.Error as error:
        _set_aside_if_damaged(path, error)
        return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    place.prepare(path)
    db = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    try:
        db.text_factory = lambda data: data.decode(errors="replace")
        patiently(db, "PRAGMA synchronous = OFF")
        patiently(db, "PRAGMA journal_mode = PERSIST")
        # a transaction that reads first fails under load as soon as it comes to write
        patiently(db, "BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, place.VERSION):
            raise sqlite3.DatabaseError(f"its version is {version}, known is {place.VERSION}")
        for statement in SCHEMA if version == 0 else ():
            db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db


def _set_aside_if_damaged(path: str, error: Exception) -> None:
    """Move away what lies in the database's place if a second, fresh look finds it damaged, too.

    A sound file looks malformed to a call during which another thread closes all descriptors.
    """
    if type(error) is not sqlite3.DatabaseError:  # SQLite has no class of its own for a damage
        return
    with contextlib.suppress(OSError):  # somebody else has moved it away
        seen = os.lstat(path)
        try:
            with contextlib.closing(_connect(path)) as db:
                (problem,) = db.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as again:
            problem = again if type(again) is type(error) else "ok"
        if problem != "ok" and os.path.samestat(seen, os.lstat(path)):
            aside = f"{path}.set-aside-{secrets.token_hex(4)}"
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}-journal", f"{aside}-journal")
            os.rename(path, aside)
            report(UnavailableError(f"{path} was damaged ({problem}); it is {aside} now"))


def _after_fork_in_child() -> None:
    global _is_busy, _patience
    _is_busy, _patience = False, PATIENCE
    _lock.release()


os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork_in_child
)
