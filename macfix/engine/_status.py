"""The answer of ``macfix.status()``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ._ledger import Entry, Problem


@dataclass(frozen=True)
class Status:
    """What ``macfix.status()`` answers.

    Attributes:
        active: whether macfix mends what is imported from now on.
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
    notes: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "active": self.active,
            "reason": self.reason,
            "entries": [entry.as_dict() for entry in self.entries],
            "problems": [problem.as_dict() for problem in self.problems],
            "notes": dict(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"macfix is {'active' if self.active else 'not active'}: {self.reason}"]
        lines += [f"  {e.target}: {e.patch}: {e.state}: {e.reason}" for e in self.entries]
        lines += [f"  note: {name}: {text}" for name, text in self.notes.items()]
        lines += [f"  problem: {p.where}: {p.message}" for p in self.problems]
        return "\n".join(lines)
