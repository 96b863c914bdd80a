"""Run piker and tractor on macOS without touching their source.

>>> import macfix
>>> macfix.activate()       # before tractor or piker is imported
>>> import tractor          # mended in memory, as it is imported
>>> print(macfix.status())  # what became of every patch

For plugin authors: :class:`Patch`, :data:`hookimpl`, :func:`needed`, :func:`not_needed`,
:func:`unknown`, :class:`Source` and :class:`Changes`.

Everything is imported when it is first used: this module is loaded into every interpreter of an
environment, also into those that never import a target.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: importing typing costs more than all of this module
if TYPE_CHECKING:
    from macfix.engine import (
        Changes,
        Entry,
        Ledger,
        MacfixError,
        MacfixWarning,
        Patch,
        Source,
        State,
        Status,
        Verdict,
        activate,
        deactivate,
        hookimpl,
        needed,
        not_needed,
        status,
        unknown,
    )

__version__ = "0.1.0"

__all__ = [
    "Changes",
    "Entry",
    "Ledger",
    "MacfixError",
    "MacfixWarning",
    "Patch",
    "Source",
    "State",
    "Status",
    "Verdict",
    "__version__",
    "activate",
    "deactivate",
    "hookimpl",
    "needed",
    "not_needed",
    "status",
    "unknown",
]


def __getattr__(name: str) -> object:
    if name.startswith("__") or name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import macfix.engine

    return getattr(macfix.engine, name)


def __dir__() -> list[str]:
    return sorted(__all__)
