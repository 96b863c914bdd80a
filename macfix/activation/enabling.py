"""``macfix enable``: a ``.pth`` file by which every interpreter of an environment has macfix.

``site`` executes the lines of ``.pth`` files in the environment's ``site-packages``; ours imports
``_macfix_autoload``, a copy of the module of that name, from beside it. It does so also with
``-I``, ``-E``, ``-P`` and where a program composes the environment variables of its children
afresh; only ``-S`` leaves it out. Where the environment was moved or copied, or macfix was
uninstalled without ``macfix disable``, nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import py_compile
import site
import stat
import subprocess
import sys
import sysconfig
from ast import literal_eval
from collections.abc import Sequence
from importlib.machinery import SourcelessFileLoader
from importlib.util import cache_from_source

from macfix._files import world_writable, write_atomically
from macfix._variables import is_off

from .environment import ROOT, SITE, without_site

NAME = "macfix.pth"
AUTOLOAD = "_macfix_autoload.py"
"""What lies beside it."""

_MARK = b"# Written by `macfix enable`; `macfix disable` removes it."
_SOURCE = os.path.join(SITE, AUTOLOAD)
HIDDEN = getattr(stat, "UF_HIDDEN", 0x8000)  # set by the Finder and iCloud
_PROBE = """
import sys, importlib.util
there = any(hasattr(finder, "is_macfix") for finder in sys.meta_path)
root = getattr(sys.modules.get("_macfix_autoload"), "_root", None)
print("\\nmacfix comes up from", ascii(root) if there else "nowhere: sys.meta_path lacks it")
lacking = [name for name in ("pluggy", "wrapt") if importlib.util.find_spec(name) is None]
sys.exit(f"{', '.join(lacking)} cannot be found" if lacking else 0)
"""
_ANSWER = "macfix comes up from "
_NOT_INSTALLED = f"macfix runs out of {ROOT}: install it into the environment to enable it there"


class CannotEnableError(Exception):
    """This environment must not, or cannot, be changed; the message says why and what to do."""


def _contents(folder: str) -> dict[str, bytes]:
    """What belongs into *folder*, however that is spelt, by name; in the order to write it."""
    folder, root = os.path.realpath(folder), os.path.realpath(ROOT)
    file = os.path.join(folder, AUTOLOAD)
    line = (  # site's sitedir is this folder; another one may have a file of that name, too
        "import os, sys; sys.path.insert(0, sitedir); "
        f"autoload = os.access({file!a}, {os.R_OK}) and __import__('_macfix_autoload'); "
        f"sys.path.remove(sitedir); autoload and autoload.start({root!a}, {folder!a})"
    )
    return {AUTOLOAD: _read(_SOURCE) or b"", NAME: _MARK + f"\n{line}\n".encode()}


def folder() -> str:
    """The folder of this environment that the file belongs in.

    Raises:
        CannotEnableError: if there is none that the interpreter looks into.
    """
    has_user = site.ENABLE_USER_SITE and sys.prefix == sys.base_prefix
    if has_user and os.path.realpath(ROOT) == os.path.realpath(site.getusersitepackages()):
        return site.getusersitepackages()
    chosen = sysconfig.get_path("purelib")
    known = {os.path.realpath(place) for place in site.getsitepackages()}
    if os.path.realpath(chosen) not in known:
        raise CannotEnableError(
            f"{sys.executable} does not look for .pth files in {chosen}, where packages are "
            "installed: make a virtual environment, or start programs with `python -m macfix`"
        )
    return chosen


def enable() -> tuple[str, bool]:
    """Write the file and, before it, the module that it imports, unless they are there already.

    Returns:
        The path of the ``.pth`` file, and whether anything was changed.

    Raises:
        CannotEnableError: if the environment is managed by somebody else, cannot be written to, or
            if macfix itself lies where others could change it.
    """
    _refuse_managed()
    place = folder()
    _refuse_unsafe(place)
    _refuse_others_files(place)
    changed = False
    for name, data in _contents(place).items():
        file = os.path.join(place, name)
        if _read(file) != data or _may_be_changed(file):
            _write(file, data)
            changed = True
        if name == AUTOLOAD:
            _compile(file, anew=changed)
    if flags_of(file) & HIDDEN:
        getattr(os, "chflags")(file, flags_of(file) & ~HIDDEN)  # noqa: B009
        changed = True
    return file, changed


def disable() -> list[str]:
    """Remove the files of this environment; the answer is what was removed.

    What a virtual environment sees of its base's packages, or of the user's, stays.

    Raises:
        CannotEnableError: if one cannot be removed.
    """
    removed = []
    own = os.path.realpath(folder()) if sys.prefix != sys.base_prefix else None
    for file in [*written(NAME), *written(AUTOLOAD)]:
        if own not in (None, os.path.realpath(os.path.dirname(file))):
            continue
        try:
            os.unlink(file)
            for level in ("", "1", "2"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(cache_from_source(file, optimization=level))
        except OSError as error:
            raise CannotEnableError(f"cannot remove {file}: {error.strerror}") from None
        removed.append(file)
    return removed


def written(name: str = NAME) -> list[str]:
    """The files *name* that macfix wrote, of this version or another one, for this interpreter."""
    folders = [sysconfig.get_path("purelib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:  # site, too, looks there before it looks into the base of a venv
        folders.insert(1, site.getusersitepackages())
    places = {os.path.realpath(place): place for place in folders}  # two spellings of one
    files = [os.path.join(place, name) for place in places.values()]
    return [file for file in files if (data := _read(file)) is not None and _is_ours(data)]


def problems(flags: Sequence[str] = ()) -> list[str]:
    """Why interpreters of this environment do not come up with this macfix; nothing if they do.

    Args:
        flags: the options of the interpreter that they are started with.
    """
    if not os.path.isfile(_SOURCE):
        return [_NOT_INSTALLED]
    files = written()
    try:
        _refuse_others_files(os.path.dirname(files[0]) if files else folder())
    except CannotEnableError as error:
        return [str(error)]
    if not files:
        return [f"macfix is not enabled in {sys.prefix}: `macfix enable` does it"]
    found = _problems_of(files[0])
    if sys.flags.no_site:
        found.append("this interpreter runs with -S, which leaves out all .pth files: leave it out")
    if is_off(os.environ.get("MACFIX")):
        found.append(f"MACFIX={os.environ['MACFIX']} is set, which switches macfix off: unset it")
    if not found and (failure := _failure_of_a_new_interpreter(flags)):
        found.append(f"{files[0]} is there, and yet macfix does not come up: {failure}")
    return found


def _problems_of(file: str) -> list[str]:
    place = os.path.realpath(os.path.dirname(file))
    found = []
    if flags_of(file) & HIDDEN:
        found.append(f"{file} is hidden (UF_HIDDEN), so site skips it: `macfix enable` shows it")
    for name, wanted in _contents(place).items():
        data = _read(os.path.join(place, name)) or b""
        if data != wanted:
            why = "is missing or of another version"
            with contextlib.suppress(ValueError, SyntaxError):  # it is not the line that starts it
                root, written_for = literal_eval(data.decode().rpartition("autoload.start")[2])
                if written_for != place:
                    why = "was written for another folder: the environment was moved or copied"
                elif root != os.path.realpath(ROOT):
                    is_there = os.path.isdir(os.path.join(root, "macfix"))
                    why = f"starts the macfix in {root}, which "
                    why += "wins over this one" if is_there else "is gone"
            found.append(f"{os.path.join(place, name)} {why}: `macfix enable` puts that right")
    return found


def _failure_of_a_new_interpreter(flags: Sequence[str]) -> str:
    """What an interpreter that is started here says, if this macfix is not in it; else ""."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("MACFIX")}
    env["PYTHONPATH"] = without_site(env.get("PYTHONPATH", ""))
    env["MACFIX_FORCE"] = ""  # it waits on Linux, too, and patches nothing
    safe = ["-P"] if sys.version_info >= (3, 11) else []  # 3.13's -c imports linecache
    words = [sys.executable, *flags, *safe, "-c", _PROBE]
    try:
        done = subprocess.run(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    # whatever else is executed at the start may print something, too
    seen = [line for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    if seen == [_ANSWER + ascii(os.path.realpath(ROOT))] and not done.returncode:
        return ""
    return done.stderr.strip().rpartition("\n")[2] or "".join(seen)


def flags_of(file: str) -> int:
    return getattr(os.stat(file), "st_flags", 0)  # macOS only, as is os.chflags


def _is_ours(data: bytes) -> bool:
    """Whether macfix wrote this, or it is what is left of such a file (a copy that was cut off)."""
    start = (_read(_SOURCE) or b"").partition(b"\n")[0]
    return any(data.startswith(mark) or mark.startswith(data) for mark in (_MARK, start) if mark)


def _may_be_changed(file: str) -> bool:
    """Whether others than root, this user and the folder's owner may change *file*; or a link."""
    state = os.lstat(file)
    trusted = (0, os.geteuid(), os.stat(os.path.dirname(file)).st_uid)
    if not stat.S_ISREG(state.st_mode) or state.st_uid not in trusted:
        return True
    return bool(state.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


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


def _refuse_others_files(place: str) -> None:
    for file in (os.path.join(place, name) for name in (AUTOLOAD, NAME)):
        if not _is_ours(_read(file) or b""):
            raise CannotEnableError(f"{file} was not written by macfix: look at it, and remove it")


def _refuse_unsafe(place: str) -> None:
    if not os.path.isfile(_SOURCE):
        raise CannotEnableError(_NOT_INSTALLED)
    owner = os.stat(place).st_uid
    if os.geteuid() == 0 and owner != 0:
        raise CannotEnableError(
            f"{place} belongs to user {owner}, and would get files of root's: run it without sudo"
        )
    open_place = _open_place_of_macfix() or world_writable(place)
    if open_place is not None:
        raise CannotEnableError(
            f"other users can change {open_place}, and with it what every interpreter here would "
            "execute: install macfix elsewhere, or take away their right to write"
        )


def _open_place_of_macfix() -> str | None:
    """The first file or folder of the package that every user of the machine can change."""
    for place, _, names in os.walk(os.path.join(ROOT, "macfix")):
        for name in ("", *names):
            with contextlib.suppress(OSError):  # a link to nowhere has nothing to execute
                if found := world_writable(os.path.join(place, name)):
                    return found
    return world_writable(ROOT)


def _read(file: str) -> bytes | None:
    with contextlib.suppress(OSError), open(file, "rb") as stream:
        return stream.read()
    return None


def _compile(file: str, *, anew: bool) -> None:
    """Write the bytecode of *file*, whole or not at all: a part of it would break every start."""
    bytecode = cache_from_source(file)
    loader = SourcelessFileLoader("", bytecode)
    unusable = (OSError, ImportError, EOFError, ValueError, TypeError)
    if not anew:
        with contextlib.suppress(*unusable):
            loader.get_code("")
            return
    try:
        py_compile.compile(file)  # which does not notice each time that the disk is full
        loader.get_code("")
    except unusable as error:
        with contextlib.suppress(OSError):
            os.unlink(bytecode)
        raise CannotEnableError(f"cannot write {bytecode}: {error}") from None


def _write(file: str, data: bytes) -> None:
    try:
        write_atomically(file, data, 0o644)
    except OSError as error:
        raise CannotEnableError(
            f"cannot write {file}: {error.strerror}; enable macfix in a virtual environment of "
            "your own, or start programs with `python -m macfix`"
        ) from None
