"""How upstream's code gets mended: patches, plugins, finder, loader, bytecode cache, ledger.

This package knows neither the Darwin kernel nor any upstream. Its names are imported when they
are first used, so that activating costs no more than putting a finder on ``sys.meta_path``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._activate import activate
    from ._changes import Changes
    from ._config import Config
    from ._deactivate import deactivate
    from ._engine import Engine
    from ._errors import MacfixError, MacfixWarning, PatchDefinitionError, PatchFailedError
    from ._hookimpl import hookimpl
    from ._hookspecs import hookspec
    from ._ledger import Entry, Ledger, Problem, State
    from ._patch import Patch, Verdict, needed, not_needed, unknown
    from ._plugins import load_patches
    from ._source import Source
    from ._status import Status, status
    from ._survey import survey

_HOME = {
    "activate": "_activate",
    "deactivate": "_deactivate",
    "status": "_status",
    "Changes": "_changes",
    "Config": "_config",
    "Engine": "_engine",
    "MacfixError": "_errors",
    "MacfixWarning": "_errors",
    "PatchDefinitionError": "_errors",
    "PatchFailedError": "_errors",
    "Entry": "_ledger",
    "Ledger": "_ledger",
    "Problem": "_ledger",
    "State": "_ledger",
    "Status": "_status",
    "Patch": "_patch",
    "Verdict": "_patch",
    "needed": "_patch",
    "not_needed": "_patch",
    "unknown": "_patch",
    "hookimpl": "_hookimpl",
    "hookspec": "_hookspecs",
    "load_patches": "_plugins",
    "Source": "_source",
    "survey": "_survey",
}

__all__ = [
    "Changes",
    "Config",
    "Engine",
    "Entry",
    "Ledger",
    "MacfixError",
    "MacfixWarning",
    "Patch",
    "PatchDefinitionError",
    "PatchFailedError",
    "Problem",
    "Source",
    "State",
    "Status",
    "Verdict",
    "activate",
    "deactivate",
    "hookimpl",
    "hookspec",
    "load_patches",
    "needed",
    "not_needed",
    "status",
    "survey",
    "unknown",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
