"""The ``.pth`` file by which every interpreter of an environment comes up with macfix.

``site`` executes the lines of ``.pth`` files in the environment's ``site-packages``; ours executes
``early.py`` by its absolute path. It does so also with ``-I``, ``-E``, ``-P`` and where a program
composes the environment variables of its children afresh; only ``-S`` leaves it out. Where the path
does not exist any more, because macfix was uninstalled, the line does nothing.
"""

from __future__ import annotations

import contextlib
import os
import site
import sys
import sysconfig
import tempfile

from macfix.engine._trust import what_others_can_change

from .root import ROOT

NAME = "macfix.pth"
EARLY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "early.py")

_MARK = "# Written by `macfix enable`; `macfix disable` removes it."
_IMPORT = "import os, _frozen_importlib_external as x; "
_ON_LINUX = "('MACFIX_SIMULATE' in os.environ or 'MACFIX_FORCE' in os.environ) and "
_EXECUTE = (
    "os.access({file!a}, 4) and "
    "x.SourceFileLoader('macfix_early', {file!a}).exec_module(type(os)('macfix_early'))"
)


class CannotEnableError(Exception):
    """This environment must not, or cannot, be changed; the message says why and what to do."""


def content(early: str = EARLY) -> str:
    """The text of the file: one line that ``site`` executes.

    It is short, because every start compiles it, and it is no import, because that would search
    ``sys.path``. On a Mac there is nothing to ask; elsewhere only the environment.
    """
    condition = "" if sys.platform == "darwin" else _ON_LINUX
    return f"{_MARK}\n{_IMPORT}{condition}{_EXECUTE.format(file=early)}\n"


def folder() -> str:
    """The folder of this environment that the file belongs in.

    Raises:
        CannotEnableError: if there is none that the interpreter looks into.
    """
    user = site.getusersitepackages()
    if site.ENABLE_USER_SITE and os.path.realpath(ROOT) == os.path.realpath(user):
        return user
    chosen = sysconfig.get_path("purelib")
    known = {os.path.realpath(place) for place in site.getsitepackages()}
    if os.path.realpath(chosen) not in known:
        raise CannotEnableError(
            f"{sys.executable} does not look for .pth files in {chosen}, where packages are "
            "installed: make a virtual environment, or start programs with `python -m macfix`"
        )
    return chosen


def enable() -> tuple[str, bool]:
    """Write the file, unless it is there already.

    Returns:
        Its path, and whether anything was changed.

    Raises:
        CannotEnableError: if the environment is managed by somebody else, cannot be written to, or
            if macfix itself lies where others could change it.
    """
    _refuse_managed()
    _refuse_unsafe()
    file = os.path.join(folder(), NAME)
    before = _read(file)
    if before == content():
        return file, False
    if before is not None and not before.startswith(_MARK):
        raise CannotEnableError(f"{file} was not written by macfix: look at it, and remove it")
    try:
        _write_atomically(file, content())
    except OSError as error:
        raise CannotEnableError(
            f"cannot write {file}: {error.strerror}; enable macfix in a virtual environment of "
            "your own, or start programs with `python -m macfix`"
        ) from None
    return file, True


def disable() -> list[str]:
    """Remove the file wherever this interpreter looks for it; the answer is what was removed.

    Raises:
        CannotEnableError: if it cannot be removed.
    """
    removed = []
    for file in written():
        try:
            os.unlink(file)
        except OSError as error:
            raise CannotEnableError(f"cannot remove {file}: {error.strerror}") from None
        removed.append(file)
    return removed


def written() -> list[str]:
    """The files that macfix wrote, of this version or another one, in this environment."""
    folders = [sysconfig.get_path("purelib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    files = [os.path.join(place, NAME) for place in dict.fromkeys(folders)]
    return [file for file in files if (_read(file) or "").startswith(_MARK)]


def is_current(file: str) -> bool:
    """Whether *file* starts this very macfix."""
    return _read(file) == content()


def _refuse_managed() -> None:
    """PEP 668: some Pythons belong to the system's package manager."""
    if sys.prefix != sys.base_prefix:
        return
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if os.path.exists(marker):
        raise CannotEnableError(
            f"this Python is externally managed ({marker} says so): make a virtual environment "
            "and enable macfix there, or start programs with `python -m macfix`"
        )


def _refuse_unsafe() -> None:
    if not os.path.isfile(EARLY):
        raise CannotEnableError(
            f"macfix runs out of {ROOT}: install it into the environment to enable it there"
        )
    place = what_others_can_change(EARLY)
    if place is not None:
        raise CannotEnableError(
            f"other users can change {place}, and with it what every interpreter here would "
            "execute: install macfix elsewhere, or take away their right to write"
        )


def _read(file: str) -> str | None:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return None


def _write_atomically(file: str, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".macfix-", dir=os.path.dirname(file))
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
