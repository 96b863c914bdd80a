"""The ledger: what became of every patch in this process, and why."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import Enum

from macfix._value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal, TypeAlias

    from ._config import Config
    from ._patch import Patch
    from ._patch_set import Deferred, PatchSet

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
        patches: PatchSet,
        config: Config,
        outcomes: Mapping[tuple[str, str], Outcome],
        notes: dict[str, str],
    ) -> None:
        """
        Args:
            patches: all there are.
            config: says which of them the user wants.
            outcomes: what became of patches so far, by patch and target.
            notes: as the attribute.
        """
        self._patches = patches
        self._config = config
        self._outcomes = outcomes
        self.problems = patches.problems
        self.notes = notes

    def entries(self) -> list[Entry]:
        """All lines, by target and then by patch as the plugins contributed them."""
        lines = {
            (patch.name, target): self._undecided(patch, target)
            for target, patches in self._patches.by_target.items()
            for patch in patches
        }
        for (name, target), (state, reason, traceback) in list(self._outcomes.items()):
            lines[name, target] = Entry(name, target, State(state), reason, traceback)
        return list(lines.values())

    def _undecided(self, patch: Patch | Deferred, target: str) -> Entry:
        """The line of *patch* at *target* as long as nothing has become of it there."""
        if not self._config.selects(patch.name):
            reason = "MACFIX_SKIP or MACFIX_ONLY leaves it out"
            return Entry(patch.name, target, State.SKIPPED, reason)
        if not (patch.fits_platform() or patch.name in self._config.force):
            reason = f"this defect exists on {', '.join(sorted(patch.platforms))} only"
            return Entry(patch.name, target, State.NOT_NEEDED, reason)
        if target in sys.modules:
            reason = "it was imported past macfix, by an import hook that stands before it"
            return Entry(patch.name, target, State.LATE, reason)
        return Entry(patch.name, target, State.PENDING, "not imported yet")

    def get(self, patch: str, target: str) -> Entry | None:
        """The line of *patch* at *target*, if there is one."""
        lines = (e for e in self.entries() if (e.patch, e.target) == (patch, target))
        return next(lines, None)
