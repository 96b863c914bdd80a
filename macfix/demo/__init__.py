"""``python -m macfix demo``: each cure at work, for someone who has neither piker nor tractor.

Small programs bundled here run on replicas of the upstream modules that have the defects (ours,
not upstream's), with real sockets, real shared memory and real processes: first without macfix
and then with it, through the same runner and engine as any program. On a Mac they meet the real
kernel, on Linux macfix's simulation of it.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] = ()) -> int:
    """Run the demo and print what was seen.

    Returns:
        0 if every cure works, 1 if one does not, 2 if the demo cannot run here.
    """
    from ._demo import run

    return run(arguments)
