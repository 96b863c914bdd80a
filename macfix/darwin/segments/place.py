"""Where the registry's file lies, and that it is this user's own.

There is one for each user, boot and version of its schema: no segment outlives a boot, and files of
earlier ones are removed when a new one is made.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
import sys

from macfix._files import check_writable, is_private, make_private, owner_is_somebody_else
from macfix._variables import is_off, xdg_folder
from macfix.darwin.sysctl import boot_id

JOURNAL_VARIABLE = "MACFIX_SHM_JOURNAL"
"""Environment variable: `off` keeps no registry."""
STATE_DIR_VARIABLE = "MACFIX_STATE_DIR"
"""Environment variable: another folder for what macfix keeps; an absolute path."""
TREE_VARIABLE = "MACFIX_SHM_TREE"
"""Environment variable: the tree that a process belongs to, a colon, its registry's path."""
VERSION = 3

_SUFFIX = f".{VERSION}.sqlite3"
# and what the versions of macfix before this registry have kept here
_OLD_FILES = re.compile(r".*\.\d+\.sqlite3|.*\.journal$|\.new-|gate$|races(\.older)?$")

_seen: set[str] = set()


class UnavailableError(Exception):
    """The registry cannot be used; the text says why."""


class NotWantedError(UnavailableError):
    """It is not used, and nothing is wrong: the user has switched it off, or it is in use."""


def location() -> str:
    """Return the path of the registry's file, which need not exist.

    It is the one that this process's tree has, if the environment names one of this boot, whatever
    HOME has become meanwhile.

    Raises:
        UnavailableError: if there can be none, with the reason.
    """
    if is_off(os.environ.get(JOURNAL_VARIABLE)):
        raise NotWantedError(f"{JOURNAL_VARIABLE} switches it off")
    if not boot_id():
        raise UnavailableError("the kernel does not tell this boot from others")
    named = os.environ.get(TREE_VARIABLE, "").partition(":")[2]
    with contextlib.suppress(OSError):
        folder, name = os.path.split(named)
        if name == boot_id() + _SUFFIX and is_private(folder):
            return named
    return os.path.join(_state_folder(), "shm", boot_id() + _SUFFIX)


def folder() -> str | None:
    """Return the folder of the registry's file, or None if there can be none."""
    try:
        return os.path.dirname(location())
    except UnavailableError:
        return None


def _state_folder() -> str:
    if chosen := os.environ.get(STATE_DIR_VARIABLE):
        folder = chosen
    elif sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Application Support/macfix")
    else:
        folder = xdg_folder(os.environ, "XDG_STATE_HOME", "~/.local/state")
    if not os.path.isabs(folder):
        raise UnavailableError(f"{folder} is not an absolute path; set {STATE_DIR_VARIABLE} to one")
    return folder


def exists(path: str) -> bool:
    """Say whether the file *path* exists, that is, whether anything was ever on record.

    Raises:
        UnavailableError: if it does not, and cannot be created either.
    """
    if os.path.exists(path):
        return True
    folder = os.path.dirname(path)
    _refuse_root(folder)
    try:
        check_writable(folder)
    except OSError as error:
        raise UnavailableError(error.strerror) from error
    return False


def prepare(path: str) -> None:
    """Create the file *path* where it is missing, for this user alone.

    Raises:
        UnavailableError: if that is impossible.
        sqlite3.DatabaseError: if something else lies there.
    """
    folder = os.path.dirname(path)
    try:
        if path not in _seen:
            _refuse_root(folder)
            make_private(folder)
            _seen.add(path)
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            make_private(folder)
            _remove_old_files(folder)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
            found = os.lstat(path)
    except OSError as error:
        raise UnavailableError(str(error)) from error
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise sqlite3.DatabaseError("it is no file of this user's")
    if not os.access(path, os.W_OK):  # SQLite would read it, and keep nobody else from writing
        raise UnavailableError(f"{path} is read-only")


def _refuse_root(folder: str) -> None:
    if os.geteuid() == 0 and owner_is_somebody_else(folder):
        raise UnavailableError(f"root leaves nothing in another user's {folder}")


def _remove_old_files(folder: str) -> None:
    for name in os.listdir(folder):
        if not name.startswith(boot_id()) and _OLD_FILES.match(name):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
