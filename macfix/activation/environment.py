"""The environment variables by which child interpreters come up mended.

A child is mended because ``PYTHONPATH`` starts with macfix's ``site`` folder: the interpreter then
executes the ``sitecustomize`` there. Children inherit ``os.environ``, grandchildren inherit theirs,
so one change in the first process serves a whole tree, whichever way it is spawned.

What this does not reach: a child whose environment the program composes afresh, and one that is
started with ``-E`` or ``-I`` (both ignore ``PYTHONPATH``) or with ``-S`` (no ``sitecustomize``).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # not typing's: this is imported before the program's first line runs
if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
"""The folder with macfix's ``sitecustomize.py``."""

_before: dict[str, str | None] = {}
_applied: dict[str, str] = {}


def variables(
    environ: Mapping[str, str], *, simulate: str | None = None, cure: bool = True
) -> dict[str, str]:
    """What to set, on top of *environ*, for children to come up like this process.

    Args:
        environ: the environment to build on; it is not changed.
        simulate: the specification of the simulation that children are to run under, if any.
        cure: False if macfix is to change nothing in the children (``MACFIX=off``).
    """
    changes = {"PYTHONPATH": with_site(environ.get("PYTHONPATH", ""))}
    if simulate is not None:
        changes["MACFIX_SIMULATE"] = simulate
    if not cure:
        changes["MACFIX"] = "off"
    return changes


def with_site(pythonpath: str) -> str:
    """*pythonpath* with macfix's ``site`` folder first, and there only."""
    rest = without_site(pythonpath)
    # An empty entry would mean the current directory, so none must come into being here.
    return SITE + os.pathsep + rest if rest else SITE


def without_site(pythonpath: str) -> str:
    """*pythonpath* without macfix's ``site`` folder; otherwise as it was."""
    parts = pythonpath.split(os.pathsep)
    return os.pathsep.join(part for part in parts if part != SITE)


def apply(*, cure: bool = True) -> None:
    """Set the :func:`variables` in ``os.environ``, for all children from now on.

    The simulation is not among them: it sets its own when it starts in this process, and cannot be
    taken back.

    Applying again changes only what is different now; :func:`restore` goes back all the way.
    """
    for name, value in variables(os.environ, cure=cure).items():
        if os.environ.get(name) != value:
            _before.setdefault(name, os.environ.get(name))
            os.environ[name] = value
        _applied[name] = value


def restore() -> None:
    """Take back what :func:`apply` did.

    What the program itself has set since then stays; only macfix's folder is taken out of it.
    """
    for name, before in _before.items():
        now = os.environ.get(name)
        if now == _applied[name]:
            _set(name, before)
        elif name == "PYTHONPATH" and now is not None:
            _set(name, without_site(now) or None)
    _before.clear()
    _applied.clear()


def leave_out() -> None:
    """Take macfix's folder out of a ``PYTHONPATH`` that this process has from its parent.

    It stays for a simulation, which cannot be taken back: children as plain Linux would give false
    answers.
    """
    pythonpath = os.environ.get("PYTHONPATH")
    if pythonpath is not None and not os.environ.get("MACFIX_SIMULATE"):
        rest = without_site(pythonpath)
        if rest != pythonpath:
            _set("PYTHONPATH", rest or None)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
