"""The hooks that a macfix plugin can implement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from ._hookimpl import hand_over

if TYPE_CHECKING:
    from ._ledger import Entry
    from ._patch import Patch

hookspec = pluggy.HookspecMarker("macfix")
mark = pluggy.HookimplMarker("macfix")


@hookspec
def macfix_patches() -> Iterable[Patch]:  # type: ignore[empty-body]
    """Contribute patches. Called once a process, when the first target is about to be imported.

    Do not import a target here or at the top of the plugin's module: it would be imported before
    the patches of this plugin are known.
    """


@hookspec
def macfix_outcome(entry: Entry) -> None:
    """Observe what became of one patch at one target, right after it was entered in the ledger."""


hand_over(mark)
