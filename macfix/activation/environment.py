"""The environment variables by which child interpreters come up with macfix.

``PYTHONPATH`` starts with macfix's ``site`` folder, so interpreters execute the ``sitecustomize``
there. Children inherit ``os.environ``, grandchildren inherit theirs: one change in the first
process serves a whole tree, whichever way it is spawned.

What this does not reach: a child whose environment the program composes afresh, and one that is
started with ``-E`` or ``-I`` (both ignore ``PYTHONPATH``) or with ``-S`` (no ``sitecustomize``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module

from macfix._variables import if_on

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder or zip file that the package ``macfix`` is in."""

SITE = os.path.join(ROOT, "macfix", "activation", "site")
"""The folder with macfix's ``sitecustomize.py``."""

OBSTACLE = ""
"""Why children cannot come up with macfix in this way; nothing if they can."""
if os.pathsep in ROOT:
    OBSTACLE = f"a path with {os.pathsep!r} in it ({ROOT}) cannot go on PYTHONPATH"

_added = False
"""Whether :func:`apply` has put macfix's folder on ``PYTHONPATH``."""


def variables(
    environ: Mapping[str, str], *, simulate: str | None = None, patched: bool = True
) -> dict[str, str]:
    """What to set, on top of *environ*, for interpreters to come up with macfix.

    Args:
        environ: the environment to build on; it is not changed.
        simulate: the specification of the simulation that they are to run under, if any.
        patched: False if macfix is to change nothing in them (``MACFIX=off``).
    """
    rest = without_site(environ.get("PYTHONPATH", ""))
    # An empty entry would mean the current directory, so none must come into being here.
    changes = {}
    if not OBSTACLE:  # else `macfix enable` is the way in
        changes["PYTHONPATH"] = SITE + os.pathsep + rest if rest else SITE
    if simulate is not None:
        changes["MACFIX_SIMULATE"] = simulate
    if not patched:
        changes["MACFIX"] = "off"
    return changes


def without_site(pythonpath: str) -> str:
    """*pythonpath* without macfix's ``site`` folder; otherwise as it was."""
    parts = pythonpath.split(os.pathsep)
    return os.pathsep.join(part for part in parts if part != SITE)


def start_late() -> None:
    """Do what macfix's ``sitecustomize`` would have done, if another one kept it from running.

    opentelemetry's does not run the next one. It calls this, by the entry-point group
    ``opentelemetry_pre_instrument``.
    """
    if SITE in sys.path:  # ours would have taken it off
        import_module("_macfix_autoload").start(ROOT, SITE)
        sys.path[:] = [place for place in sys.path if place != SITE]


def apply() -> None:
    """Have all children from now on come up with macfix; :func:`restore` takes that back."""
    global _added
    before = os.environ.get("PYTHONPATH", "")
    _added = _added or without_site(before) == before
    os.environ.update(variables(os.environ))


def restore(*, inherited: bool = False) -> None:
    """Take macfix's folder out of ``PYTHONPATH`` again, if :func:`apply` has put it there.

    Args:
        inherited: also if this process has it from its parent; but not in a simulation, which
            cannot be taken back: children as plain Linux would give false answers.
    """
    global _added
    ours = _added or (inherited and not if_on(os.environ.get("MACFIX_SIMULATE")))
    if ours and (rest := without_site(os.environ.pop("PYTHONPATH", ""))):
        os.environ["PYTHONPATH"] = rest
    _added = False
