"""Who sees a Mac: ``sys.platform``, ``platform`` and ``os.uname`` answer according to their caller.

*Guests* see Darwin: the upstreams, macfix, the program's own files, and pure-Python packages whose
Darwin branch matters. *Hosts* see Linux: the standard library and everything else that is
installed, because their compiled parts were built for Linux. ``multiprocessing`` is a guest: it is
Python all through, and its C parts are simulated (start method, ``/dev/shm``, abstract sockets).
"""

from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Callable

from . import _hooks, _linux
from ._replace import replace
from ._spec import Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GUESTS = frozenset(
    {"tractor", "piker", "macfix", "_macfix_autoload"}
    | {"multiprocessing", "platformdirs", "appdirs", "click"}
)
"""Top-level modules that are guests wherever they lie."""

_GUESTS_INSIDE = frozenset(
    {"trio._core", "trio._core._run", "trio.lowlevel"}
    | {"trio._subprocess", "trio._subprocess_platform"}
)
"""Modules of hosts that decide how trio waits: with kqueue, as on a Mac."""

_KNOWN_HOSTS = """
    _pytest aiohttp anyio asyncio cffi greenlet llvmlite msgspec mypy numba numpy outcome pandas
    pexpect pip pluggy polars psutil ptyprocess pyarrow PyQt5 PyQt6 pyqtgraph PySide6 pytest scipy
    setproctitle setuptools sip sniffio trio uvloop wrapt
"""

HOSTS = frozenset(_KNOWN_HOSTS.split())
"""Top-level modules that are hosts wherever they lie, also in a checkout of their own."""

_TRUTH = "macfix.simulate"
_MAIN = ("__main__", "__mp_main__")
_INSTALLED = ("/site-packages/", "/dist-packages/")

_guests: frozenset[str] = GUESTS
_standard_library: tuple[str, ...] = ()


def install(spec: Spec) -> None:
    """Make the three sources of the platform's name answer by caller."""
    global _guests, _standard_library
    _guests = GUESTS | frozenset(spec.guests)
    folder = os.path.dirname(os.__file__)
    _standard_library = (folder + os.sep, os.path.realpath(folder) + os.sep, "<frozen ")
    is_guest.cache_clear()
    machine = _Machine(spec)
    SimulatedSys._true_platform = sys.platform
    sys.__class__ = SimulatedSys
    replace(os, "uname", _by_caller(_linux.uname, machine.uname))
    _hooks.after_import("platform", lambda module: _install_in_platform(module, machine))


@functools.cache
def is_guest(name: str, filename: str) -> bool:
    """Say whether code of module `name`, compiled from `filename`, is to see Darwin."""
    if name == _TRUTH or name.startswith(_TRUTH + "."):
        return False
    if name in _GUESTS_INSIDE:
        return True
    top = name.partition(".")[0]
    if name not in _MAIN and (top in _guests or top in HOSTS):
        return top in _guests
    if filename.startswith("<") and not filename.startswith("<frozen "):
        # Generated code (dataclasses, named tuples, exec) belongs to the module it runs in.
        filename = getattr(sys.modules.get(name), "__file__", None) or filename
    if filename.startswith(_standard_library) and not any(i in filename for i in _INSTALLED):
        return False
    for mark in _INSTALLED:
        _, installed, inside = filename.rpartition(mark)
        if installed:
            return inside.partition("/")[0].partition(".")[0] in _guests
    return True


def _caller_is_guest(depth: int) -> bool:
    try:
        frame = sys._getframe(depth + 1)
    except ValueError:
        return False  # C code asks, with no Python code behind it
    return is_guest(frame.f_globals.get("__name__") or "", frame.f_code.co_filename)


class _PassesForModuleType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, types.ModuleType)


class SimulatedSys(types.ModuleType, metaclass=_PassesForModuleType):
    """The class of ``sys`` while the simulation runs: ``platform`` depends on who asks.

    The module's dictionary keeps the truth, for C code that looks there. And since ``type(sys)`` is
    a common way to say ModuleType, in the import system too, calling this makes a plain module.
    """

    _true_platform = "linux"
    _set_by_program: str | None = None
    _before_program: str | None = None

    def __new__(cls, name: str, doc: str | None = None) -> Any:
        return types.ModuleType(name, doc)

    @property
    def platform(self) -> str:
        """``"darwin"`` for guests, the truth for hosts; what a program has set, for both."""
        set_by_program = SimulatedSys._set_by_program
        if set_by_program is not None:
            return set_by_program
        return "darwin" if _caller_is_guest(1) else SimulatedSys._true_platform

    @platform.setter
    def platform(self, value: str) -> None:
        # Who puts back what they saw before (a test's monkeypatch, which is a host) ends the
        # change, for all; a first change counts whatever its value is.
        if SimulatedSys._set_by_program is None:
            SimulatedSys._before_program = (
                "darwin" if _caller_is_guest(1) else SimulatedSys._true_platform
            )
            SimulatedSys._set_by_program = value
        else:
            ended = value == SimulatedSys._before_program
            SimulatedSys._set_by_program = None if ended else value


class _Machine:
    """What a Mac says of itself; its release fits the spec's page and name length."""

    def __init__(self, spec: Spec) -> None:
        apple_silicon = spec.page == 16384
        self.machine = "arm64" if apple_silicon else "x86_64"
        self.processor = "arm" if apple_silicon else "i386"
        old = spec.names == 30 and not apple_silicon
        self.macos, self.release = ("10.13.6", "17.7.0") if old else ("14.6.1", "23.6.0")
        kernel = "RELEASE_ARM64_T6000" if apple_silicon else "RELEASE_X86_64"
        self.version = f"Darwin Kernel Version {self.release}: root:xnu/{kernel}"

    def uname(self) -> os.uname_result:
        """``os.uname()``; the node's name is this machine's."""
        node = _linux.uname().nodename
        return os.uname_result(("Darwin", node, self.release, self.version, self.machine))

    def platform(self, *, terse: bool) -> str:
        """``platform.platform()``."""
        short = f"macOS-{self.macos}"
        return short if terse else f"{short}-{self.machine}-{self.machine}-64bit-Mach-O"


def _install_in_platform(module: Any, machine: _Machine) -> None:
    def freedesktop_os_release() -> dict[str, str]:
        raise OSError("Unable to read files /etc/os-release, /usr/lib/os-release")

    answers: dict[str, Callable[..., Any]] = {
        "system": lambda: "Darwin",
        "release": lambda: machine.release,
        "version": lambda: machine.version,
        "machine": lambda: machine.machine,
        "processor": lambda: machine.processor,
        "uname": lambda: module.uname_result(*machine.uname()),
        "platform": lambda aliased=False, terse=False: machine.platform(terse=terse),
        "mac_ver": lambda *_, **__: (machine.macos, ("", "", ""), machine.machine),
        "libc_ver": lambda *_, **__: ("", ""),
        "architecture": lambda *_, **__: ("64bit", ""),
        "freedesktop_os_release": freedesktop_os_release,
    }
    for name, answer in answers.items():
        replace(module, name, _by_caller(getattr(module, name), answer))


def _by_caller(truth: Callable[..., Any], darwin: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*args: Any, **kwargs: Any) -> Any:
        guest = _caller_is_guest(2)  # behind the built-in function that stands for this one
        return (darwin if guest else truth)(*args, **kwargs)

    return ask
