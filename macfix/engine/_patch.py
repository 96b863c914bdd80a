"""What a patch is: the cure of exactly one defect, as a frozen value."""

from __future__ import annotations

import sys

from macfix._value import value

from ._errors import PatchDefinitionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable
    from types import ModuleType
    from typing import Literal

    from ._changes import Changes
    from ._source import Source


@value(frozen=True)
class Verdict:
    """What :attr:`Patch.needed` says of one target's source, and why."""

    state: Literal["needed", "not needed", "unknown"]
    reason: str


def needed(reason: str) -> Verdict:
    """The defect is in this source; *reason* says where."""
    return Verdict("needed", reason)


def not_needed(reason: str) -> Verdict:
    """The defect is not in this source: cured upstream, or the code is not there at all."""
    return Verdict("not needed", reason)


def unknown(reason: str) -> Verdict:
    """Neither the known defect nor a known cure: macfix does not guess and leaves it alone."""
    return Verdict("unknown", reason)


@value(frozen=True, kw_only=True)
class Patch:
    """The cure of exactly one defect.

    Attributes:
        name: kebab-case, unique among all plugins; what ``MACFIX_SKIP`` and the ledger call it.
        targets: dotted names of the upstream modules that have the defect.
        summary: the defect in one line.
        upstream: where upstream knows of it (a link), or "not reported".
        remove_when: what must be true for this patch to be deleted.
        needed: looks at a target's source and says whether this defect is in it.
        rewrite: changes the module's AST before it executes, and returns it. Only for what
            cannot execute otherwise; keeps line numbers; must not depend on anything but the tree.
        install: wraps live objects after the module executed, through the
            :class:`~macfix.engine.Changes` that it is given.
        repro: shows the defect on the real target: raises where it is present, returns where it
            is cured, and leaves nothing behind.
        platforms: values of ``sys.platform`` on which the defect exists.

    Raises:
        PatchDefinitionError: if a field is not well formed.
    """

    name: str
    targets: tuple[str, ...]
    summary: str
    upstream: str
    remove_when: str
    needed: Callable[[Source], Verdict]
    rewrite: Callable[[ast.Module], ast.Module] | None = None
    install: Callable[[ModuleType, Changes], None] | None = None
    repro: Callable[[], None] | None = None
    platforms: frozenset[str] = frozenset({"darwin"})

    def __post_init__(self) -> None:
        if not _is_kebab_case(self.name):
            raise PatchDefinitionError(
                f"patch name {self.name!r} is not kebab-case (a-z, 0-9 and single dashes)"
            )
        self._require(
            isinstance(self.targets, tuple)
            and bool(self.targets)
            and all(_is_dotted(target) for target in self.targets),
            "targets",
            "a non-empty tuple of dotted module names",
            self.targets,
        )
        for field in ("summary", "upstream", "remove_when"):
            value = getattr(self, field)
            self._require(
                isinstance(value, str) and bool(value.strip()), field, "a non-empty text", value
            )
        self._require(callable(self.needed), "needed", "a function of a Source", self.needed)
        self._require(
            self.rewrite is not None or self.install is not None,
            "rewrite and install",
            "at least one of the two",
            None,
        )
        self._require(
            isinstance(self.platforms, frozenset) and bool(self.platforms),
            "platforms",
            "a non-empty frozenset of sys.platform values",
            self.platforms,
        )

    def _require(self, holds: bool, field: str, wanted: str, got: object) -> None:
        if not holds:
            raise PatchDefinitionError(
                f"patch {self.name!r}: {field} must be {wanted}, not {got!r}"
            )

    def fits_platform(self) -> bool:
        """Whether this process runs where the defect exists (the simulation counts as Darwin)."""
        return sys.platform in self.platforms


def _is_kebab_case(name: object) -> bool:
    return isinstance(name, str) and all(
        part.isascii() and part.isalnum() and part == part.lower() for part in name.split("-")
    )


def _is_dotted(name: object) -> bool:
    return isinstance(name, str) and all(part.isidentifier() for part in name.split("."))
