"""Run piker and tractor on macOS without touching their source.

>>> import macfix
>>> macfix.activate()       # before tractor or piker is imported
>>> import tractor          # patched in memory, as it is imported
>>> print(macfix.status())  # the state of every patch, with the reason

For the authors of plugins and patches: :data:`hookimpl`, :class:`Source`, :class:`Diagnosis` with
:func:`needed`, :func:`not_needed` and :func:`unknown`, and :class:`Changes`.

Each name is imported when it is first used, so that importing macfix costs nothing.

PYTEST_DONT_REWRITE: pytest would warn that macfix, a plugin of its own, is imported before it.
"""

# Only what `python -m macfix` has loaded already: all else may come from the current directory.
import sys
from importlib import import_module

if sys.version_info < (3, 10):  # noqa: UP036  from a folder on PYTHONPATH: pip refuses it
    raise ImportError(
        f"macfix needs Python 3.10 or newer, and this is {sys.version.split()[0]}", name=__name__
    )

TYPE_CHECKING = False
if TYPE_CHECKING:
    from macfix.activation.activate import activate, deactivate, status
    from macfix.engine.changes import Changes
    from macfix.engine.errors import MacfixError, MacfixWarning
    from macfix.engine.ledger import Entry, Problem, State, Status
    from macfix.engine.patch import Diagnosis, needed, not_needed, unknown
    from macfix.engine.source import Source
    from macfix.hookspecs import hookimpl

__version__ = "0.1.0"

__all__ = [
    "Changes",
    "Diagnosis",
    "Entry",
    "MacfixError",
    "MacfixWarning",
    "Problem",
    "Source",
    "State",
    "Status",
    "__version__",
    "activate",
    "deactivate",
    "hookimpl",
    "needed",
    "not_needed",
    "status",
    "unknown",
]

_HOMES = {
    "activation.activate": ("activate", "deactivate", "status"),
    "engine.changes": ("Changes",),
    "engine.errors": ("MacfixError", "MacfixWarning"),
    "engine.ledger": ("Entry", "Problem", "State", "Status"),
    "engine.patch": ("Diagnosis", "needed", "not_needed", "unknown"),
    "engine.source": ("Source",),
    "hookspecs": ("hookimpl",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
