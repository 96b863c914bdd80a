"""The ledger: what became of every patch in this process, and why."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum

from macfix._value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal, TypeAlias

    StateName: TypeAlias = Literal[
        "applied",
        "not needed",
        "unknown upstream",
        "failed",
        "skipped by the user",
        "target already imported",
        "pending",
    ]
    Outcome: TypeAlias = tuple[StateName, str, str | None]
    """State, reason and traceback: an :class:`Entry` as long as nobody looks."""


class State(str, Enum):
    """What became of one patch at one target."""

    APPLIED = "applied"
    NOT_NEEDED = "not needed"
    UNKNOWN = "unknown upstream"
    FAILED = "failed"
    SKIPPED = "skipped by the user"
    LATE = "target already imported"
    PENDING = "pending"

    def __str__(self) -> str:
        return self.value


@value(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        patch: the patch's name.
        target: the dotted name of the upstream module.
        state: what became of the patch there.
        reason: why, in one line.
        traceback: the whole traceback where the state is ``failed``.
    """

    patch: str
    target: str
    state: State
    reason: str
    traceback: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {"state": self.state.value}


@value(frozen=True)
class Problem:
    """Something outside a single patch that went wrong or that the user should know.

    Attributes:
        where: the plugin, variable or folder that it is about.
        message: what was wrong and what macfix did about it.
        traceback: the whole traceback, if an exception was behind it.
    """

    where: str
    message: str
    traceback: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class Ledger:
    """Every patch at every target, in the order in which things happened.

    A view of what the engine has noted down, made when somebody looks.

    Attributes:
        problems: plugins that could not be loaded, patches that were refused, wrong names.
        notes: facts about this process, by name.
    """

    def __init__(
        self,
        outcomes: Mapping[tuple[str, str], Outcome],
        undecided: Callable[[], Iterable[Entry]],
        problems: list[Problem],
        notes: dict[str, str],
    ) -> None:
        """
        Args:
            outcomes: what became of patches so far, by patch and target.
            undecided: the lines of all patches at all targets as long as nothing has become of
                them.
            problems, notes: as the attributes.
        """
        self._outcomes = outcomes
        self._undecided = undecided
        self.problems = problems
        self.notes = notes

    def entries(self) -> list[Entry]:
        """All lines, by target and then by patch as the plugins contributed them."""
        lines = {(entry.patch, entry.target): entry for entry in self._undecided()}
        for (patch, target), (state, reason, traceback) in list(self._outcomes.items()):
            lines[patch, target] = Entry(patch, target, State(state), reason, traceback)
        return list(lines.values())

    def get(self, patch: str, target: str) -> Entry | None:
        """The line of *patch* at *target*, if there is one."""
        lines = (e for e in self.entries() if (e.patch, e.target) == (patch, target))
        return next(lines, None)
