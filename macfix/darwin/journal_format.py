"""What a journal file says, and how it says it.

A journal is a text file of one record a line: the CRC-32 of the record in eight hexadecimal
digits, a space, and the record as a JSON list whose first item says what it is. A line that does
not pass its check was torn (a full disk, a crash) and counts as not written; reading goes on
behind it.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

HEADER = "journal"
INTENT = "intent"
MADE = "made"
WITHDRAWN = "withdrawn"
GONE = "gone"
USE = "use"
LEFT = "left"

VERSION = 1


@dataclass(frozen=True)
class Owner:
    """The process that a journal is of.

    Attributes:
        pid: its process id, for people: a pid may be another process's by now.
        program: its command line, shortened.
        started: when it opened the journal, in seconds since 1970.
        tree: which process tree it belongs to.
        boot: which run of the machine it lived in; "" where that cannot be known.
    """

    pid: int
    program: str
    started: float
    tree: str
    boot: str

    def record(self) -> list[Any]:
        """Return the record that stands first in this owner's journal."""
        return [HEADER, VERSION, self.pid, self.program, self.started, self.tree, self.boot]


@dataclass(frozen=True)
class Claim:
    """One segment that a process created.

    Attributes:
        name: what the kernel calls it, slash included.
        key: what its creator calls it.
        size: bytes that were asked for.
        mark: what its label calls this very segment.
        created: when, in seconds since 1970.
    """

    name: str
    key: str
    size: int
    mark: str
    created: float

    def record(self) -> list[Any]:
        """Return the record that announces this segment."""
        return [INTENT, self.name, self.key, self.size, self.mark, self.created]


@dataclass
class Contents:
    """What a journal says up to now.

    Attributes:
        owner: whose it is; None if that record cannot be read.
        claims: the segments that the owner created and did not unlink, by kernel name.
        made: the kernel names of those that the kernel has made. Of the others only the intent is
            known: the owner may have died before or after the kernel made them, but it had not
            given them a length yet.
        uses: the keys of segments that the owner has mapped, by kernel name.
        gone: when the owner unlinked segments, in seconds since 1970, by kernel name.
    """

    owner: Owner | None = None
    claims: dict[str, Claim] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    uses: dict[str, str] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)

    def apply(self, record: list[Any]) -> None:
        """Take one more record into account; one of an unknown kind or shape says nothing."""
        with contextlib.suppress(KeyError, IndexError, TypeError, ValueError):
            kind, *values = record
            _MEANING[kind](self, *values)

    def opened(self, version: int, *owner: Any) -> None:
        """`HEADER`: the journal was begun."""
        if version == VERSION:
            self.owner = Owner(*owner)

    def intended(self, name: str, key: str, size: int, mark: str, created: float) -> None:
        """`INTENT`: the owner is about to create a segment."""
        self.claims[name] = Claim(name, key, size, mark, created)
        self.made.discard(name)

    def was_made(self, name: str) -> None:
        """`MADE`: it did, and so it maps it.

        Raises `KeyError`, and changes nothing, if the intent was not written or is torn.
        """
        self.uses[name] = self.claims[name].key
        self.made.add(name)

    def withdrawn(self, name: str) -> None:
        """`WITHDRAWN`: it could not."""
        self.made.discard(name)
        self.claims.pop(name, None)

    def unlinked(self, name: str, when: float) -> None:
        """`GONE`: the owner unlinked it, or found that somebody else had."""
        self.withdrawn(name)
        self.gone[name] = when

    def used(self, name: str, key: str) -> None:
        """`USE`: the owner is about to map it."""
        self.uses[name] = key

    def left(self, name: str) -> None:
        """`LEFT`: the owner has it mapped no more."""
        self.uses.pop(name, None)

    def claim_on(self, name: str) -> Claim | None:
        """Return what the owner said of the segment `name`, if the kernel has made it.

        Another thread may unlink it meanwhile.
        """
        return self.claims.get(name) if name in self.made else None

    def records(self) -> list[list[Any]]:
        """Return the fewest records that say all of this."""
        lines = [] if self.owner is None else [self.owner.record()]
        lines += [[GONE, name, when] for name, when in self.gone.items()]
        lines += [claim.record() for claim in self.claims.values()]
        lines += [[MADE, name] for name in self.made]
        lines += [[USE, name, key] for name, key in self.uses.items()]
        lines += [[LEFT, name] for name in self.made if name not in self.uses]
        return lines


_MEANING: dict[str, Callable[..., None]] = {
    HEADER: Contents.opened,
    INTENT: Contents.intended,
    MADE: Contents.was_made,
    WITHDRAWN: Contents.withdrawn,
    GONE: Contents.unlinked,
    USE: Contents.used,
    LEFT: Contents.left,
}

_in_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(record: list[Any]) -> bytes:
    """Return `record` as one line."""
    text = _in_json(record).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def decode(data: bytes) -> Iterator[list[Any]]:
    """Yield the records of the whole lines in `data`, torn ones left out."""
    for line in data.split(b"\n"):
        record = _record(line)
        if record is not None:
            yield record


def _record(line: bytes) -> list[Any] | None:
    crc, _, text = line.partition(b" ")
    try:
        record = json.loads(text) if int(crc, 16) == zlib.crc32(text) else None
    except ValueError:
        return None
    return record if isinstance(record, list) and record else None
