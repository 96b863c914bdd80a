"""``macfix.status()`` and its answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from ._activate import activate, active_finder, is_wanted, waiting_finders
from ._config import Config
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


def status() -> Status:
    """The ledger of this process: what became of every patch, and why.

    Loads the plugins if no target has been imported yet, so that all patches are listed.
    """
    if active_finder() is None and waiting_finders():
        activate(children=False)  # it was to wait for an upstream; somebody asks before one came
    finder = active_finder()
    if finder is None:
        return Status(False, _why_not())
    engine = finder.load_or_give_up()
    if engine is None:
        return Status(False, "macfix cannot work here, and a warning said why")
    return Status(
        active=True,
        reason=f"on {sys.platform}",
        entries=tuple(engine.ledger.entries()),
        problems=tuple(engine.patches.problems),
        notes=dict(engine.notes),
    )


def why() -> str:
    """Whether macfix is active in this process and for what reason, in a few words."""
    active = active_finder() is not None
    return f"active on {sys.platform}" if active else f"not active: {_why_not()}"


def _why_not() -> str:
    config = Config.from_environ()
    if not config.enabled:
        return "MACFIX=off"
    if not is_wanted(config):
        return f"{sys.platform} does not need it"
    return "activate() was not called"
