"""Who owns a file, and who may change it: one answer for all of macfix. Imports nothing of it.

A path is judged where its symbolic links lead: macOS's ``/tmp``, ``/var`` and ``/etc`` are links to
``/private/…``. A sticky folder (``/private/tmp``, mode 1777) lets every user add something to it,
but lets nobody replace what somebody else owns.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
PRIVATE = 0o700


def world_writable(path: str) -> str | None:
    """The first of *path* and the folders above it that every user of this machine can change.

    Groups do not count: package managers that serve a whole group (Homebrew) are common. A sticky
    folder counts only as *path* itself, to which anything can be added.

    Raises:
        OSError: if *path* does not exist or cannot be looked at.
    """
    place = os.path.realpath(path)
    mode = os.stat(place).st_mode
    if mode & stat.S_IWOTH:
        return place
    while (above := os.path.dirname(place)) != place:
        mode = os.stat(above).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return above
        place = above
    return None


def is_private(folder: str) -> bool:
    """Whether *folder* is this user's, nobody else can write to it, and nobody can replace it.

    Raises:
        OSError: if *folder* does not exist or cannot be looked at.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or not _is_own(found):
        return False
    place = os.path.realpath(folder)
    while (above := os.path.dirname(place)) != place:
        found = os.stat(above)
        if found.st_uid not in (0, os.geteuid()):
            return False
        if found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX:
            return False
        place = above
    return True


def make_private(folder: str) -> None:
    """Create *folder*, with what is missing above it, for this user alone (mode 0700).

    Folders above it are taken as the user has arranged them, links included.

    Raises:
        PermissionError: if what is there is a link, no folder, or another user's.
        OSError: if it cannot be created.
    """
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, PRIVATE)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise _refusal(folder, "it is a symbolic link or no folder")
    if found.st_uid != os.geteuid():
        raise _refusal(
            folder, f"it belongs to user {found.st_uid}, this process runs as user {os.geteuid()}"
        )
    if stat.S_IMODE(found.st_mode) != PRIVATE:
        os.chmod(folder, PRIVATE)


def check_writable(folder: str) -> None:
    """Raise `OSError` with a reason if *folder*, which need not exist yet, cannot be written to."""
    there = os.path.abspath(folder)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    try:
        with tempfile.TemporaryFile(dir=there, buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        why = f"cannot write to {folder}: {error.strerror}"
        raise OSError(error.errno, why) from None


def owner_is_somebody_else(path: str) -> bool:
    """Whether *path*, or the first existing folder above it, is not the effective user's.

    So it is under ``sudo``, which on macOS keeps ``HOME``: what root wrote there would shut the
    user out.
    """
    for place in (Path(path), *Path(path).parents):
        with contextlib.suppress(OSError):
            return place.stat().st_uid != os.geteuid()
    return True


def read_own(path: str) -> bytes:
    """The content of the regular file *path*, which is this user's alone.

    Raises:
        OSError: if it cannot be read, is a symbolic link or no regular file, or if somebody else
            owns it or can write to it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _is_own(found):
            raise PermissionError(errno.EPERM, "another user could have written this file", path)
        return file.read()


def write_atomically(path: str, data: bytes, mode: int = 0o600) -> None:
    """Put *data* into the file *path*, whole or not at all.

    Raises:
        OSError: if it cannot be written; nothing is left then.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=".macfix-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _is_own(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & _OTHERS_WRITE


def _refusal(folder: str, why: str) -> PermissionError:
    return PermissionError(errno.EPERM, f"refused as a private folder: {why}; remove it", folder)
