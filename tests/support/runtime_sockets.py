"""Socket files of actors: in a sandbox, and in the folder that all of a Mac user's actors share.

In a sandbox every socket is the test's own. In the shared folder only one whose process is dead may
be called left behind: the names end with `@<pid>.sock`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from tests.support.isolation import meeting_place
from tests.support.sandbox import Sandbox, sockets_below

OWNER = re.compile(r"@(\d+)\.sock$")


def present(sandbox: Sandbox) -> frozenset[Path]:
    """Return all socket files, in the sandbox and in the shared folder."""
    return frozenset([*sockets_below(sandbox.root), *sockets_below(meeting_place())])


def abandoned(before: frozenset[Path], sandbox: Sandbox) -> list[Path]:
    """Return the sockets that are new since `before` and that no living process owns, sorted."""
    return sorted(
        path
        for path in present(sandbox) - before
        if sandbox.root in path.parents or not _owner_lives(path)
    )


def remove(paths: Iterable[Path]) -> None:
    """Delete the given sockets; one that is gone already is no error."""
    for path in paths:
        path.unlink(missing_ok=True)


def _owner_lives(path: Path) -> bool:
    named = OWNER.search(path.name)
    if named is None:
        return True  # not an actor's: not ours to judge
    try:
        os.kill(int(named.group(1)), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
