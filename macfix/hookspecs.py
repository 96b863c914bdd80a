"""The contract with plugins: what macfix asks them, through pluggy.

A plugin is a module (or any object) that an installed distribution names in the entry-point group
``macfix``. macfix loads it when ``tractor`` or ``piker`` is about to be imported, and asks for the
patches of one target at a time, when that target is. A patch is a module, see
:mod:`macfix.engine.patch`. The built-in plugins below ``macfix/patches`` are of the same kind.

What a plugin raises, while it is loaded or asked, is kept in the ledger and costs that plugin only.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from macfix.engine.ledger import Entry

PROJECT = "macfix"
"""The name of the pluggy project, and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def macfix_targets() -> Iterable[str]:  # type: ignore[empty-body]
    """Name the upstream modules that this plugin has patches for, by their dotted names.

    Called at the first import of an upstream, and once more where macfix is activated anew. It
    must be cheap: import no patch and no target here, nor at the top of the plugin's module.
    """


@hookspec
def macfix_patches(target: str) -> Iterable[ModuleType]:  # type: ignore[empty-body]
    """Give the patches of *target* as modules, in the order in which they are to be applied.

    Called when *target* is about to be executed, for the targets that this plugin has named.
    """


@hookspec
def macfix_outcome(entry: Entry) -> None:
    """Observe the state of one patch at one target, right after it was entered in the ledger."""
