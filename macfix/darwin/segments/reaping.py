"""Which segments are alive and which are leaked, and freeing those.

A segment belongs to every tree of processes that created or attached it. It is leaked when no
process of any of them lives, neither a registered one nor one whose environment names the tree. It
is freed only if what bears its name is what was created: its label bears the record's mark. An
index bears none (`label.UNLABELLED`): it is freed with its array, or when that is gone.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass

from macfix.darwin.segments import database, place
from macfix.darwin.segments.database import Record, records, transaction
from macfix.darwin.segments.kernel import Probe, is_unused, probe, unlink_segment
from macfix.darwin.segments.label import UNLABELLED, length_with_label, lengths_of
from macfix.darwin.segments.processes import environments_with, is_alive

ALIVE, LEAKED, UNCLEAR = "alive", "leaked", "unclear"

_OTHER = "a segment that was created since has its name"
_SIZING_TAKES = 0.02  # seconds, generously, between a creator's shm_open and its ftruncate


@dataclass(frozen=True)
class Finding:
    """One segment that exists; `UNCLEAR`: nobody lives, but it may not be the one on record."""

    record: Record
    state: str
    reason: str
    probe: Probe | None
    freed: bool = False


def sort_out(path: str, *, free: bool) -> list[Finding]:
    """Return all segments on record that exist, and free the leaked ones if *free* says so.

    All is decided and done in one transaction, so that nobody creates, attaches or joins meanwhile.

    Raises `UnavailableError`, and `OSError` if the kernel does not tell who lives.
    """
    findings = []
    with transaction(path) as db:
        keepers = _keepers(db)
        newest = {record.name: record for record in records(db, database.ALL_RECORDS)}
        for name, record in newest.items():
            who = keepers.get(record.head, "")
            found = _judge(db, record, who, free)
            if free and not who and (found is None or found.freed or found.reason == _OTHER):
                db.execute(database.FORGET, (name,))
            if found is not None:
                findings.append(found)
        db.execute(database.REMOVE_EMPTY_TREES)
    return findings


def remove(path: str, key: str, *, unlink: bool) -> list[Record]:
    """Remove the record of *key* (or kernel's name) and its indexes, and *unlink* them, or not.

    Raises `UnavailableError`, and `OSError` if the kernel refuses.
    """
    with transaction(path) as db:
        called = records(db, database.RECORDS_CALLED, {"key": key})
        for name in {record.name for record in called}:
            if unlink:
                with contextlib.suppress(FileNotFoundError):
                    unlink_segment(name)
            db.execute(database.FORGET, (name,))
    return called


def _keepers(db: sqlite3.Connection) -> dict[str, str]:
    """Return why arrays (by their names) have to stay: who lives of the trees that hold them.

    The dead are removed from the registry; who lives by its environment alone is added.
    """
    db.create_function("is_alive", 2, is_alive)
    db.execute(database.REMOVE_DEAD)
    if db.execute(database.EMPTY_TREES).fetchone():
        for value, pid, start in environments_with(place.TREE_VARIABLE):
            tree = value.partition(":")[0]
            db.execute(database.ADD_PROCESS, (tree, pid, start, "known by its environment"))
    return dict(db.execute(database.KEEPERS).fetchall())


def _judge(db: sqlite3.Connection, record: Record, who: str, free: bool) -> Finding | None:
    """Judge the segment *record*, of whose trees *who* lives, and free it if it is leaked."""
    found, doubt = None, ""
    try:
        found = probe(record.name)
        if found is None:
            return None
        doubt = "" if who else _doubt(db, record, found)
        if free and not who and not doubt:
            unlink_segment(record.name)
    except (OSError, ValueError) as error:  # the latter for a NUL
        doubt = f"it cannot be opened or unlinked: {error}"
    leaked = (LEAKED, "no process of its trees lives")
    state, reason = (UNCLEAR, doubt) if doubt else (ALIVE, who) if who else leaked
    return Finding(record, state, reason, found, freed=free and state == LEAKED)


def _doubt(db: sqlite3.Connection, record: Record, found: Probe) -> str:
    """Return what speaks against *found* being what was created under that name."""
    if found.label is not None:
        return "" if _is_on_record(db, record.name, found.mark) else _OTHER
    if record.head != record.name:
        if found.length not in (*range(UNLABELLED + 1), *lengths_of(1)):
            return _OTHER
        array = probe(record.head)
        if array is None or _is_on_record(db, record.head, array.mark):
            return ""
        return "it is an index, and its array is not the one on record"
    if not record.made and _is_unfinished(record, found):
        return ""
    return "it bears no mark, so that it may be another segment of the same name"


def _is_on_record(db: sqlite3.Connection, name: str, mark: str) -> bool:
    return db.execute(database.IS_ON_RECORD, (name, mark)).fetchone() is not None


def _is_unfinished(record: Record, found: Probe) -> bool:
    """Say whether its creator has died before it had labelled the segment."""
    if found.length:
        is_as_long = found.length in lengths_of(length_with_label(record.size))
        return is_as_long and is_unused(record.name)
    time.sleep(_SIZING_TAKES)  # or somebody else is just about to give it a size
    later = probe(record.name)
    return later is not None and later.length == 0
