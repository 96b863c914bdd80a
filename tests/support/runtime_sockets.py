"""Socket files of a test's own actors.

They lie in the test's sandbox. Only where programs could not be given a view of their own (see
`isolation`), on a Mac for instance, are they in the folder that all of a user's actors share: there
a test looks only for the sockets of processes that it knows to be its own, and blames nobody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from tests.support import isolation
from tests.support.sandbox import Sandbox, sockets_below


def present(sandbox: Sandbox) -> frozenset[Path]:
    """Return all socket files in the sandbox."""
    return frozenset(sockets_below(sandbox.root))


def of(pids: Collection[int], sandbox: Sandbox) -> list[Path]:
    """Return the sockets of actors with these `pids`, which the test has started, sorted."""
    ends = tuple(f"@{pid}.sock" for pid in pids)
    places = [sandbox.root] if isolation.possible() else [sandbox.root, isolation.meeting_place()]
    found = (path for place in places for path in sockets_below(place))
    return sorted(path for path in found if path.name.endswith(ends))


def remove(paths: Iterable[Path]) -> None:
    """Delete the given sockets; one that is gone already is no error."""
    for path in paths:
        path.unlink(missing_ok=True)
