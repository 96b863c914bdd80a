"""Start the simulation in this process, or refuse where it could not be faithful."""

from __future__ import annotations

import os
import sys
from _thread import RLock

from macfix._variables import if_on, xdg_folder

from ._errors import SimulationError
from ._spec import Spec

SPEC_VARIABLE = "MACFIX_SIMULATE"
"""Environment variable: the specification that children are to be started with."""

OLDEST, NEWEST = (3, 10), (3, 14)

_TOOK_DECISIONS = (
    "trio",
    "tractor",
    "piker",
    "multiprocessing.context",
    "multiprocessing.util",
    "multiprocessing.shared_memory",
    "multiprocessing.resource_tracker",
    "platformdirs",
    "appdirs",
)
"""Modules that ask for the platform, or copy what the simulation replaces, while they load."""

_active: Spec | None = None
_lock = RLock()


def active() -> Spec | None:
    """Return what kind of Mac this process is, None if it is none."""
    return _active


def start(spec: str | Spec | None = None) -> Spec:
    """Make this process a Mac, and tell children by ``MACFIX_SIMULATE``; return its kind.

    Args:
        spec: what kind, see :class:`Spec`; None takes ``MACFIX_SIMULATE``, else the default.

    Call it before the program's own imports. Starting again with the same spec does nothing.

    Raises SimulationError if the spec makes no sense, if the process is another kind of Mac
    already, or if the simulation could not be faithful: not on Linux or CPython 3.10 to 3.14, no
    place for segments, or a module loaded that took its decisions for Linux.
    """
    global _active
    if spec is None:
        spec = if_on(os.environ.get(SPEC_VARIABLE)) or ""
    wanted = spec if isinstance(spec, Spec) else Spec.parse(spec)
    with _lock:
        if _active is None:
            _refuse_where_unfaithful()
            name_folders()
            _install(wanted)
            _active = wanted
            os.environ[SPEC_VARIABLE] = str(wanted)
    if _active != wanted:
        raise SimulationError(
            f"simulation: this process is a Mac of kind {_active} already, not {wanted}"
        )
    return wanted


def _refuse_where_unfaithful() -> None:
    if sys.platform != "linux":
        raise SimulationError(f"simulation: needs Linux, this is {sys.platform}")
    version = sys.version_info[:2]
    if sys.implementation.name != "cpython" or not OLDEST <= version <= NEWEST:
        raise SimulationError(
            f"simulation: needs CPython {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, "
            f"this is {sys.implementation.name} {version[0]}.{version[1]}"
        )
    loaded = [name for name in _TOOK_DECISIONS if name in sys.modules]
    if loaded:
        raise SimulationError(
            f"simulation: {', '.join(loaded)} took decisions for Linux when imported; "
            "start the simulation before any import of the program"
        )
    if not os.path.isdir("/proc/self/fd"):
        raise SimulationError("simulation: needs /proc to recognise shared memory segments")


def name_folders() -> None:
    """Have macfix keep its own files where it does on Linux, whose homes have no ``~/Library``.

    The registry of the simulated segments is another one than that of Linux's, where none of them
    exists. Who is about to start a simulated program calls this, so that both have the same one.
    """
    cache = xdg_folder(os.environ, "XDG_CACHE_HOME", "~/.cache")
    state = xdg_folder(os.environ, "XDG_STATE_HOME", "~/.local/state")
    os.environ.setdefault("MACFIX_CACHE_DIR", cache)
    os.environ.setdefault("MACFIX_STATE_DIR", os.path.join(state, "simulated"))


def _install(spec: Spec) -> None:
    from . import _dev_shm, _files, _kqueue, _limits, _platform, _segments, _semaphores, _sockets

    calls = _segments.Segments(spec, _segments.prepare())
    _limits.install(spec)
    _dev_shm.install()
    _files.install(spec, calls)
    _sockets.install(spec)
    _semaphores.install()
    _kqueue.install()
    _platform.install(spec)
