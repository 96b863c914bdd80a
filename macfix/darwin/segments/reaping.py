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
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from macfix.darwin.segments import database, place
from macfix.darwin.segments.database import Record, records, transaction
from macfix.darwin.segments.kernel import Probe, is_unused, probe, unlink_segment
from macfix.darwin.segments.label import UNLABELLED, length_with_label
from macfix.darwin.segments.processes import environments_with, is_alive

ALIVE, LEAKED, UNCLEAR = "alive", "leaked", "unclear"
_SIZING_TAKES = 0.02  # seconds, generously, between a creator's shm_open and its ftruncate
_PAGES = (1, 4096, 16384)  # up to which kernels round a length: Linux not at all
_LENGTHS_OF_INDEXES = (*range(UNLABELLED + 1), *_PAGES)


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

    Raises:
        UnavailableError: if the registry cannot be used.
        OSError: if the kernel does not tell who lives.
    """
    with transaction(path) as db:
        living, dead = _living(db)
        groups = groupby(records(db, database.ALL_RECORDS), key=lambda row: row.head)
        findings = [one for _, group in groups for one in _settle(db, list(group), living, free)]
        if free:
            db.executemany(database.REMOVE_MEMBER, dead)
            gone = [(tree,) for tree, who in living.items() if not who]
            db.executemany(database.REMOVE_TREE_UNLESS_IT_HOLDS, gone)
    return findings


def remove(path: str, key: str, *, unlink: bool) -> list[Record]:
    """Remove the record of *key* (or kernel's name) and its indexes, and *unlink* them, or not.

    Raises:
        UnavailableError: if the registry cannot be used.
        OSError: if the kernel refuses.
    """
    with transaction(path) as db:
        called = [Record(*row) for row in db.execute(database.RECORDS_CALLED, {"key": key})]
        for name in {record.name for record in called}:
            if unlink:
                with contextlib.suppress(FileNotFoundError):
                    unlink_segment(name)
            _forget(db, name)
    return called


def _living(db: sqlite3.Connection) -> tuple[dict[str, str], list[tuple[str, int, str]]]:
    """Return who lives of each founded tree, "" if nobody, and the dead processes of all."""
    living = {tree: "" for (tree,) in db.execute(database.TREES)}
    dead = []
    for tree, pid, start, program in db.execute(database.MEMBERS).fetchall():
        if not is_alive(pid, start):
            dead.append((tree, pid, start))
        elif not living.get(tree, "founded nowhere"):
            living[tree] = f"process {pid} lives: {program}"
    if not all(living.values()):
        for value, pid in environments_with(place.TREE_VARIABLE).items():
            tree = value.partition(":")[0]
            if tree in living:
                living[tree] = living[tree] or f"process {pid} lives"
    return living, dead


def _settle(
    db: sqlite3.Connection, group: list[Record], living: dict[str, str], free: bool
) -> Iterator[Finding]:
    """Sort out one array with its indexes, which come first: so the array vouches for them."""
    head = group[0].head
    creations = {name: list(rows) for name, rows in groupby(group, key=lambda row: row.name)}
    trees = (tree for name in creations for (tree,) in db.execute(database.HOLDERS, (name,)))
    who = next(filter(None, (living.get(tree, _UNKNOWN) for tree in trees)), "")
    array = _look(head, creations.get(head, []), "", who)
    for name, rows in creations.items():
        found, doubt = array if name == head else _look(name, rows, array[1], who)
        state, reason = (ALIVE, who) if who else (LEAKED, "no process of its trees lives")
        if doubt and doubt != _GONE:
            state, reason = UNCLEAR, doubt
        elif free and not who and not doubt:
            try:
                unlink_segment(name)
            except FileNotFoundError:
                doubt = _GONE
            except OSError as error:
                state, reason = UNCLEAR, f"it cannot be unlinked: {error}"
        if free and not who and (state == LEAKED or doubt == _OTHER):
            _forget(db, name)
        if doubt != _GONE:
            bears = found.label.mark if found is not None and found.label is not None else ""
            record = next((row for row in rows if row.mark == bears), rows[0])
            yield Finding(record, state, reason, found, free and state == LEAKED)


def _forget(db: sqlite3.Connection, name: str) -> None:
    db.execute(database.FORGET, (name,))
    db.execute(database.ERASE_HOLDERS, (name,))


_UNKNOWN = "the registry does not know the processes of its tree"
_GONE = "there is no such segment any more"
_OTHER = "a segment that was created since has its name"


def _look(name: str, rows: list[Record], array: str, who: str) -> tuple[Probe | None, str]:
    """Return what there is under *name*, and what speaks against its being what *rows* created."""
    try:
        found = probe(name)
        if found is None:
            return None, _GONE
        return found, "" if who else _doubt(name, found, rows, array)
    except (OSError, ValueError) as error:  # the latter for a NUL
        return None, f"it cannot be looked at: {error}"


def _doubt(name: str, found: Probe, rows: list[Record], array: str) -> str:
    if not rows or (found.label is not None and found.label.mark not in {r.mark for r in rows}):
        return _OTHER
    if found.label is not None:
        return ""
    if rows[0].head != name:
        if found.length not in _LENGTHS_OF_INDEXES:
            return _OTHER
        return "" if array in ("", _GONE) else f"it is an index, and of its array, {array}"
    if not rows[0].made and _is_unfinished(name, found, rows[0]):
        return ""
    return "it bears no mark, so that it may be another segment of the same name"


def _is_unfinished(name: str, found: Probe, record: Record) -> bool:
    """Say whether its creator has died before it had labelled the segment."""
    if found.length:
        length = length_with_label(record.size)
        return found.length in (-(-length // page) * page for page in _PAGES) and is_unused(name)
    time.sleep(_SIZING_TAKES)  # or somebody else is just about to give it a size
    later = probe(name)
    return later is not None and later.length == 0
