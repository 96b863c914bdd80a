"""The shared memory segments that the journals of this user's processes know of."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass

from macfix.darwin.journal import shm_folder
from macfix.darwin.journal_format import Claim, Owner
from macfix.darwin.journal_index import JournalFile, JournalIndex
from macfix.darwin.kernel_shm import open_segment
from macfix.darwin.segment_label import Label, read_label, read_note


@dataclass(frozen=True)
class Probe:
    """What the kernel and the segment itself say about a segment.

    Attributes:
        length: bytes as the kernel counts them; 0 where the creator has not sized it yet.
        label: what the segment says about itself, if it does.
        note: what its creator noted about its contents, if anything.
    """

    length: int
    label: Label | None = None
    note: str | None = None


@dataclass(frozen=True)
class Segment:
    """One segment that exists.

    Attributes:
        claim: what its creator wrote down.
        owner: the process that created it.
        owner_lives: whether that process is still there.
        tree_lives: whether any process of its tree is.
        users: the living processes that have it mapped.
        probe: what the kernel says.
    """

    claim: Claim
    owner: Owner
    owner_lives: bool
    tree_lives: bool
    users: tuple[Owner, ...]
    probe: Probe

    @property
    def state(self) -> str:
        """Return "live", or why it is still there: "in use", "tree lives", "left behind"."""
        if self.owner_lives:
            return "live"
        if self.users:
            return "in use"
        return "tree lives" if self.tree_lives else "left behind"


def probe(name: str) -> Probe | None:
    """Look at the segment that the kernel knows as `name`; None if there is none.

    Raises `OSError` when it cannot be looked at.
    """
    try:
        descriptor = open_segment(name, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        length = os.fstat(descriptor).st_size
        if not length:
            return Probe(0)
        with (
            mmap.mmap(descriptor, length, prot=mmap.PROT_READ) as mapped,
            memoryview(mapped) as whole,
        ):
            return Probe(length, read_label(whole), read_note(whole))
    finally:
        os.close(descriptor)


def list_segments() -> list[Segment]:
    """Return the segments that exist, as the journals know them, oldest first.

    Raises `OSError` when the journals' folder cannot be read.
    """
    index = JournalIndex(shm_folder())
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(index.opened())
        except FileNotFoundError:
            return []
        lives = {file.name: _lives(file, folder) for file in index.files()}
        files = [file for file in index.files() if file.of_this_boot()]
        living = [file for file in files if lives[file.name]]
        segments = [
            segment
            for claims in _claims_by_name(files).values()
            if (segment := _segment(claims, lives, living)) is not None
        ]
    return sorted(segments, key=lambda segment: segment.claim.created)


def find_segments(key_or_name: str) -> list[Segment]:
    """Return the segments with that key or kernel name, oldest first.

    Raises `OSError` when the journals' folder cannot be read.
    """
    wanted = (key_or_name, "/" + key_or_name)
    return [s for s in list_segments() if s.claim.key == key_or_name or s.claim.name in wanted]


def _lives(file: JournalFile, folder: int) -> bool:
    try:
        return file.alive(folder)
    except OSError:
        return False


_Claims = list[tuple[JournalFile, Claim]]


def _claims_by_name(files: Iterable[JournalFile]) -> dict[str, _Claims]:
    """Return all claims: who creates a name anew does not tell its first creator."""
    claims: dict[str, _Claims] = {}
    for file in files:
        for claim in list(file.contents.claims.values()):
            claims.setdefault(claim.name, []).append((file, claim))
    return claims


def _owner(claims: _Claims, label: Label | None) -> tuple[JournalFile, Claim] | None:
    """Return the claim that the segment is of: the label says so, else the newest that is made."""
    if label is not None:
        return next((one for one in claims if one[1].mark == label.mark), None)
    return max(claims, key=lambda one: (one[1].name in one[0].contents.made, one[1].created))


def _segment(claims: _Claims, lives: dict[str, bool], living: list[JournalFile]) -> Segment | None:
    try:
        found = probe(claims[0][1].name)
    except PermissionError:
        found = None  # somebody else's, under a name that was this user's once
    owner = None if found is None else _owner(claims, found.label)
    if found is None or owner is None:
        return None
    file, claim = owner
    owners = [f.contents.owner for f in living if claim.name in f.contents.uses]
    assert file.contents.owner is not None
    return Segment(
        claim=claim,
        owner=file.contents.owner,
        owner_lives=lives[file.name],
        tree_lives=any(_same_tree(file, other) for other in living),
        users=tuple(owner for owner in owners if owner is not None),
        probe=found,
    )


def _same_tree(file: JournalFile, other: JournalFile) -> bool:
    mine, others = file.contents.owner, other.contents.owner
    return mine is not None and others is not None and mine.tree == others.tree
