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
from macfix.darwin.segments.database import Record, transaction
from macfix.darwin.segments.kernel import Probe, is_blank, probe, unlink_segment
from macfix.darwin.segments.label import UNLABELLED
from macfix.darwin.segments.processes import environments_with, is_alive

ALIVE, LEAKED, UNCLEAR = "alive", "leaked", "unclear"
_AT_ONCE = 500  # arrays that are sorted out while creations wait
_SIZING_TAKES = 0.02  # seconds, generously, between a creator's shm_open and its ftruncate
_LENGTHS_OF_INDEXES = (*range(UNLABELLED + 1), 4096, 16384)


@dataclass(frozen=True)
class Finding:
    """One segment that exists, and how it stands with it.

    Attributes:
        record: what its creator noted down.
        state: `ALIVE`; `LEAKED`; or `UNCLEAR`: nobody lives, but it may be another segment.
        reason: why.
        probe: what the kernel says of it, if it does.
        freed: whether it was unlinked.
    """

    record: Record
    state: str
    reason: str
    probe: Probe | None
    freed: bool = False


def sort_out(path: str, *, free: bool) -> list[Finding]:
    """Return all segments on record that exist, and free the leaked ones if *free* says so.

    Raises:
        UnavailableError: if the registry cannot be used; what was freed until then is freed.
        OSError: if the kernel does not tell who lives.
    """
    findings: list[Finding] = []
    after = ""
    while True:
        with transaction(path) as db:
            living = _Living(db)
            records = database.next_records(db, after, _AT_ONCE)
            for _, group in groupby(records, key=lambda record: record.head):
                findings += _settle(db, list(group), living, free)
            if not records:
                if free:
                    living.remove_dead()
                return findings
            after = records[-1].head


def remove(path: str, key: str, *, unlink: bool) -> list[Record]:
    """Remove what is on record of *key*, a key or kernel's name, and of its indexes.

    Args:
        unlink: whether the segments are unlinked as well, whoever lives.

    Returns:
        What was on record.

    Raises:
        UnavailableError: if the registry cannot be used.
        OSError: if the kernel refuses; nothing is removed from the registry then.
    """
    with transaction(path) as db:
        records = database.records_called(db, key)
        for record in records:
            if unlink:
                with contextlib.suppress(FileNotFoundError):
                    unlink_segment(record.name)
            database.forget(db, record.name)
    return records


class _Living:
    """Which trees have a living process: what is found out counts for one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[str, str] = {}
        self._named: dict[str, int] | None = None

    def who(self, tree: str) -> str:
        """Say who of *tree* lives or may live; nothing if nobody does."""
        if tree not in self._known:
            self._known[tree] = self._look(tree)
        return self._known[tree]

    def remove_dead(self) -> None:
        """Remove dead processes and trees that hold nothing."""
        for tree, holds in database.trees(self._db):
            for process, _ in database.members(self._db, tree):
                if not is_alive(process):
                    database.remove_process(self._db, tree, process)
            if not holds and not self.who(tree):
                database.remove_tree(self._db, tree)

    def _look(self, tree: str) -> str:
        for process, program in database.members(self._db, tree):
            if is_alive(process):
                return f"process {process.pid} lives: {program}"
        if not database.is_founded(self._db, tree):
            return "the registry does not know the processes of its tree"
        if self._named is None:
            values = environments_with(place.TREE_VARIABLE).items()
            self._named = {value.partition(":")[0]: pid for value, pid in values}
        pid = self._named.get(tree)
        return f"process {pid} lives" if pid else ""


def _settle(
    db: sqlite3.Connection, records: list[Record], living: _Living, free: bool
) -> Iterator[Finding]:
    """Sort out one array with its indexes, which come first: so the array vouches for them."""
    head = records[0].head
    creations = {name: list(rows) for name, rows in groupby(records, key=lambda row: row.name)}
    trees = sorted({tree for name in creations for tree in database.holders(db, name)})
    who = next(filter(None, map(living.who, trees)), "")
    array = _look(head, creations.get(head, []), "", who)
    for name, rows in creations.items():
        found, doubt = array if name == head else _look(name, rows, array[1], who)
        state, reason = (ALIVE, who) if who else (LEAKED, "no process of its trees lives")
        if doubt and doubt != _GONE:
            state, reason = UNCLEAR, doubt
        if free and state == LEAKED and doubt != _GONE:
            try:
                unlink_segment(name)
            except FileNotFoundError:
                doubt = _GONE
            except OSError as error:
                state, reason = UNCLEAR, f"it cannot be unlinked: {error}"
        if free and not who and (state == LEAKED or doubt == _OTHER):
            database.forget(db, name)
        if doubt != _GONE:
            bears = found.label.mark if found is not None and found.label is not None else ""
            record = next((row for row in rows if row.mark == bears), rows[0])
            yield Finding(record, state, reason, found, free and state == LEAKED)


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
    if not all(row.made for row in rows) and _is_unfinished(name, found):
        return ""
    return "it bears no mark, so that it may be another segment of the same name"


def _is_unfinished(name: str, found: Probe) -> bool:
    """Say whether its creator has died before it could label the segment."""
    if found.length:
        return is_blank(name)
    time.sleep(_SIZING_TAKES)  # or somebody else is just about to give it a size
    later = probe(name)
    return later is not None and later.length == 0
