"""The ledger: the state of every patch in this process, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from macfix._log import log


class State(str, Enum):
    """The state of one patch at one target."""

    APPLIED = "applied"
    NOT_NEEDED = "not needed"
    UNKNOWN = "unknown upstream"
    FAILED = "failed"
    SKIPPED = "skipped by the user"
    LATE = "target already imported"
    PENDING = "pending"

    def __str__(self) -> str:
        return self.value


class Entry(NamedTuple):
    """One line of the ledger.

    Attributes:
        patch: the patch's name.
        target: the dotted name of the upstream module.
        state: the state of the patch there.
        reason: why.
        traceback: the whole traceback where the state is ``failed``.
    """

    patch: str
    target: str
    state: State
    reason: str
    traceback: str | None = None


class Problem(NamedTuple):
    """Something outside a single patch that went wrong or that the user should know.

    Attributes:
        where: the plugin, variable or folder that it is about.
        message: what was wrong and what macfix did about it.
        traceback: the whole traceback, if an exception was behind it.
    """

    where: str
    message: str
    traceback: str | None = None


class Status(NamedTuple):
    """What ``macfix.status()`` answers.

    Attributes:
        active: whether macfix patches what is imported from now on.
        reason: why it is, or is not.
        entries: the ledger's lines.
        problems: what went wrong outside of single patches.
        notes: facts that patches left about this process, by name (for instance how many
            files may now be open).
    """

    active: bool
    reason: str
    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: Mapping[str, str] = MappingProxyType({})

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return self._asdict() | {
            "entries": [each._asdict() for each in self.entries],
            "problems": [each._asdict() for each in self.problems],
            "notes": dict(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"macfix is {'active' if self.active else 'not active'}: {self.reason}"]
        lines += [f"  {e.target}: {e.patch}: {e.state}: {e.reason}" for e in self.entries]
        lines += [f"  note: {name}: {text}" for name, text in self.notes.items()]
        lines += [f"  problem: {p.where}: {p.message}" for p in self.problems]
        return "\n".join(lines)


class Ledger:
    """What happened to patches so far.

    Attributes:
        entries: the lines of patches to which something has happened, by patch and target.
        notes: facts about this process, by name.
    """

    def __init__(self, observe: Callable[[Entry], None]) -> None:
        """
        Args:
            observe: called with each entry, right after it was made.
        """
        self._observe = observe
        self.entries: dict[tuple[str, str], Entry] = {}
        self.notes: dict[str, str] = {}

    def enter(
        self, patch: str, target: str, state: State, reason: str, traceback: str | None = None
    ) -> None:
        """Put the state of *patch* at *target* in the place of an earlier one."""
        entry = Entry(patch, target, state, reason, traceback)
        self.entries[patch, target] = entry
        log.debug("%s: %s: %s: %s", target, patch, state, reason)
        self._observe(entry)

    def sum_up(self) -> None:
        """Log which patches were applied in this process."""
        done = {each.patch for each in self.entries.values() if each.state is State.APPLIED}
        log.info("patches applied: %s", ", ".join(sorted(done)) or "none")
