"""The folder where macfix keeps what must outlive a process, open to its owner only."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path

STATE_DIR_VARIABLE = "MACFIX_STATE_DIR"
"""Environment variable that names another folder; every process of a user needs the same one."""

_PRIVATE = 0o700


def state_dir() -> Path:
    """Return where macfix keeps state for this user; the folder need not exist.

    `~/Library/Application Support/macfix` on Darwin, `$XDG_STATE_HOME/macfix` or
    `~/.local/state/macfix` elsewhere, `$MACFIX_STATE_DIR` anywhere.

    Raises `RuntimeError` where nobody knows the home directory, and for a path that is relative:
    processes, and one process at two times, would take it for different folders.
    """
    chosen = os.environ.get(STATE_DIR_VARIABLE)
    if chosen:
        return _absolute(Path(chosen), STATE_DIR_VARIABLE)
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "macfix"
    base = Path(os.environ.get("XDG_STATE_HOME", ""))  # ignored if relative, as its standard says
    return (base if base.is_absolute() else _home() / ".local" / "state") / "macfix"


def open_private(folder: Path) -> int:
    """Return a descriptor of `folder`, created where missing; the caller closes it.

    The folder belongs to this user and nobody else can look into it. Folders above it are taken
    as the user has arranged them, symbolic links included; `folder` itself is not one.

    Raises `PermissionError` when `folder` is somebody else's or a symbolic link; other `OSError`
    when it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(_PRIVATE)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _refusal(folder, "it is a symbolic link or not a folder") from None
        raise
    try:
        _make_private(folder, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _home() -> Path:
    return _absolute(Path.home(), "HOME")


def _absolute(path: Path, variable: str) -> Path:
    if not path.is_absolute():
        raise RuntimeError(f"{variable}={path} is not an absolute path.")
    return path


def _make_private(folder: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        raise _refusal(
            folder,
            f"it belongs to user {found.st_uid}, this process runs as user {os.geteuid()}",
        )
    if stat.S_IMODE(found.st_mode) != _PRIVATE:
        os.fchmod(descriptor, _PRIVATE)


def _refusal(folder: Path, why: str) -> PermissionError:
    return PermissionError(
        errno.EPERM,
        f"refused as macfix's own folder: {why}; remove it, or set {STATE_DIR_VARIABLE}",
        str(folder),
    )
