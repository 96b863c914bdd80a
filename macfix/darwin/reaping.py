"""Freeing the shared memory that dead processes left behind.

A segment is freed only if the process that created it is gone and no living process that keeps a
journal has it mapped, and only if what bears its name now is what that process created.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from macfix.darwin import journal
from macfix.darwin.journal import Gate, Journal
from macfix.darwin.journal_format import Claim, Owner
from macfix.darwin.journal_index import JournalFile, JournalIndex
from macfix.darwin.kernel_shm import unlink_segment
from macfix.darwin.segment_label import length_with_label
from macfix.darwin.segments import Probe, probe

_AT_ONCE = 64  # segments that are freed while creations wait
_PAGES = (1, 4096, 16384)
_BEGINNING_TAKES = 60.0  # seconds, generously, between creating a journal's file and its name
_CREATION_TAKES = 0.02  # seconds, generously, between a creator's shm_open and its ftruncate


@dataclass(frozen=True)
class Outcome:
    """What became of one segment of a dead process.

    Attributes:
        claim: what its creator wrote down.
        owner: the dead process.
        freed: whether it was (with `dry_run`: would be) unlinked.
        reason: why not.
        in_use: whether that is because a living process has it mapped.
    """

    claim: Claim
    owner: Owner
    freed: bool
    reason: str = ""
    in_use: bool = False


@dataclass
class _Round:
    """What one look at all journals showed; stays true while the gate is closed."""

    folder: int
    index: JournalIndex
    living: list[JournalFile] = field(default_factory=list)
    dead: list[JournalFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        for file in self.index.files():
            with contextlib.suppress(OSError):
                (self.living if file.alive(self.folder) else self.dead).append(file)

    def trees(self) -> set[str]:
        owners = (file.contents.owner for file in self.living)
        return {owner.tree for owner in owners if owner is not None}

    def users(self, name: str) -> list[JournalFile]:
        return [file for file in self.living if name in file.contents.uses]

    def created_anew(self, claim: Claim) -> bool:
        """Say whether a living process has created that name since; an older claim is void."""
        claims = (file.contents.claims.get(claim.name) for file in self.living)
        return any(other is not None and other.created > claim.created for other in claims)

    def unlinked_after(self, claim: Claim) -> bool:
        files = self.living + self.dead
        return any(file.contents.gone.get(claim.name, 0.0) > claim.created for file in files)


def reap(*, dry_run: bool = False) -> list[Outcome]:
    """Free what processes left that are gone, and return what became of each segment of theirs.

    Raises `TimeoutError` when other processes keep creating segments; other `OSError` when the
    journals cannot be read.
    """
    if not journal.shm_folder().is_dir():
        return []
    with _gate() as gate:
        return _reap(gate, spare=False, dry_run=dry_run)


def reap_dead_trees(own: Journal) -> list[Outcome]:
    """Free what dead process trees left, unless the tree of `own` has done so before.

    What a dead process of a living tree left stays: its relatives may have its tokens.

    Raises as `reap` does.
    """
    if own.gate is None:
        return []
    index = JournalIndex(journal.shm_folder())
    with index.opened() as folder:
        relatives = [
            file
            for file in _Round(folder, index).living
            if file.contents.owner is not None and file.contents.owner.tree == own.tree
        ]
        if any(file.contents.claims for file in relatives) or len(index.files()) == len(relatives):
            return []
    with own.mutex:
        return _reap(own.gate, spare=True, dry_run=False)


def _reap(gate: Gate, *, spare: bool, dry_run: bool) -> list[Outcome]:
    index = JournalIndex(journal.shm_folder())
    outcomes: list[Outcome] = []
    while True:
        with gate.closed(), index.opened() as folder:
            budget = None if dry_run else _AT_ONCE
            new = list(_one_round(_Round(folder, index), spare, dry_run, budget))
            if not dry_run:
                _sweep(folder)
        outcomes += [outcome for outcome in new if outcome not in outcomes]
        if dry_run or sum(outcome.freed for outcome in new) < _AT_ONCE:
            return outcomes


def _one_round(now: _Round, spare: bool, dry_run: bool, budget: int | None) -> Iterator[Outcome]:
    """Free at most `budget` segments; a journal none of whose segments are left is removed."""
    trees = now.trees()
    for file in now.dead:
        owner = file.contents.owner
        if owner is None:
            continue  # nothing is known about whose it was
        if spare and owner.tree in trees:
            continue
        finished = True
        for claim in list(file.contents.claims.values()):
            if budget == 0:
                return
            outcome, done = _settle(now, file, claim, dry_run)
            if outcome is not None:
                yield outcome
                if outcome.freed and budget is not None:
                    budget -= 1
            finished = finished and done
            if done and not dry_run:
                file.contents.withdrawn(claim.name)
        if finished and not dry_run:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name, dir_fd=now.folder)
            now.index.forget(file)


def _sweep(folder: int) -> None:
    """Remove the files of processes that died while they began their journals."""
    for name in os.listdir(folder):
        if name.startswith(journal.NEW_PREFIX):
            with contextlib.suppress(OSError):
                begun = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
                if time.time() - begun > _BEGINNING_TAKES:
                    os.unlink(name, dir_fd=folder)


def _settle(
    now: _Round, file: JournalFile, claim: Claim, dry_run: bool
) -> tuple[Outcome | None, bool]:
    """Free the segment of `claim`; returns what to tell, and whether the claim is settled."""
    users, owner = now.users(claim.name), file.contents.owner
    assert owner is not None
    if now.created_anew(claim):
        return None, True
    if users:
        who = ", ".join(str(f.contents.owner.pid) for f in users if f.contents.owner is not None)
        return Outcome(claim, owner, False, f"process {who} has it mapped", in_use=True), False
    try:
        if not _is_what_was_created(now, file, claim):
            return None, True
        if not dry_run:
            unlink_segment(claim.name)
    except FileNotFoundError:
        return None, True
    except OSError as error:
        return Outcome(claim, owner, False, str(error)), False
    return Outcome(claim, owner, True), True


def _is_what_was_created(now: _Round, file: JournalFile, claim: Claim) -> bool:
    """Say whether what has the name of `claim` now is what the owner of `file` created."""
    if not file.of_this_boot():
        return False  # no segment survives a restart of the machine
    found = probe(claim.name)
    if found is None:
        return False
    if found.label is not None:
        return found.label.mark == claim.mark
    if now.unlinked_after(claim):
        return False
    if claim.name not in file.contents.made:
        return _is_abandoned(claim, found)
    return found.length in _possible_lengths(claim.size)


def _is_abandoned(claim: Claim, found: Probe) -> bool:
    """Say whether a segment that may or may not be of `claim` never got a length.

    Its process died between the intent and the word that the kernel made it. It gives a segment
    its length only after that word, so one with a length is somebody else's; and one without a
    length might be somebody else's who is just about to give it one.
    """
    if found.length:
        return False
    time.sleep(_CREATION_TAKES)
    later = probe(claim.name)
    return later is not None and later.length == 0


def _possible_lengths(size: int) -> set[int]:
    wanted = length_with_label(size)
    return {0} | {-(-wanted // page) * page for page in _PAGES}


@contextlib.contextmanager
def _gate() -> Iterator[Gate]:
    """The gate of the journals' folder: a process must open it once only (closing unlocks)."""
    own = journal.current()
    if own is not None and own.gate is not None and own.folder == journal.shm_folder():
        with own.mutex:
            yield own.gate
        return
    gate = Gate(journal.shm_folder())
    try:
        yield gate
    finally:
        gate.shut_down()


__all__ = ["Outcome", "reap", "reap_dead_trees"]
