"""The environment of a Mac's login session: temporary folder, open files, no XDG_RUNTIME_DIR.

These are inherited, so they are set up once, by the first simulated process of a tree: a program
may change them for itself and for its children, and the simulation must not change them back.
"""

from __future__ import annotations

import os
import sys

from . import _linux
from ._constants import CS_DARWIN_USER_TEMP_DIR
from ._errors import SimulationError
from ._replace import replace
from ._segments import own_folder
from ._spec import Spec

SESSION_VARIABLE = "MACFIX_SIMULATE_SESSION"
"""Environment variable, private: the temporary folder of the session that is set up already."""

TEMP_BYTES = 49
"""Bytes of a Mac's own TMPDIR, its last slash included: ``/var/folders/xx/<30 bytes>/T/``."""


def install(spec: Spec) -> None:
    """Set up the session if this process is its first, and answer ``os.confstr``."""
    temporary = os.environ.get(SESSION_VARIABLE) or _set_up_session(spec)

    # CPython's table of names lacks this one on macOS too: only the number works.
    def confstr(name: str | int, /) -> str | None:
        return temporary if name == CS_DARWIN_USER_TEMP_DIR else _linux.confstr(name)

    replace(os, "confstr", confstr)


def _set_up_session(spec: Spec) -> str:
    import resource

    temporary = temporary_folder()
    os.environ.pop("XDG_RUNTIME_DIR", None)
    os.environ["TMPDIR"] = temporary
    os.environ[SESSION_VARIABLE] = temporary
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None  # type: ignore[attr-defined]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = spec.files if hard == resource.RLIM_INFINITY else min(spec.files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return temporary


def temporary_folder() -> str:
    """Create a temporary folder as a Mac's user has one, and return it with its last slash.

    It lies in TMPDIR if that is short enough, else in /tmp, and its path has exactly 49 bytes.

    Raises SimulationError if it cannot be created or is not ours alone.
    """
    name = f"macfix-{_linux.geteuid()}-"
    base = os.environ.get("TMPDIR", "").rstrip("/")
    room = TEMP_BYTES - len(os.fsencode(base)) - len("//T/")
    if room < len(name) or not os.path.isabs(base) or not os.path.isdir(base):
        base = "/tmp"
        room = TEMP_BYTES - len("/tmp//T/")
    outer = f"{base}/{name.ljust(room, 'n')}"
    for folder in (outer, f"{outer}/T"):
        try:
            own_folder(folder)
        except OSError as error:
            raise SimulationError(
                f"simulation: cannot make the temporary folder {folder}: {error.strerror}"
            ) from None
    return f"{outer}/T/"
