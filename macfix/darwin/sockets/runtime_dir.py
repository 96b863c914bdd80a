"""A folder for sockets that only its owner can enter, with a short name.

macOS has no `XDG_RUNTIME_DIR`, and the user's own temporary folder is about 50 bytes long, half
of what the path of a Unix socket may have. So the folder is `/tmp/<appname>-<uid>`. Every user can
create files in `/tmp`, which is why the folder is looked at before it is used: whoever made it
first under this name might not be its owner.

No environment variable moves it: whoever can set one could make two processes of a user miss
each other, or meet in a folder of somebody else's choice.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

BASE = Path("/tmp")  # short, local, on every Mac, and cleared when it starts

PRIVATE = 0o700

ATTEMPTS = 10
"""How often the folder is made anew when somebody, who may, removes it in between."""


def runtime_dir(
    appname: str = "tractor",
    subdir: str | os.PathLike[str] | None = None,
    *,
    base: Path | None = None,
) -> Path:
    """Return the folder `<base>/<appname>-<uid>[/<subdir>]`, creating what is missing of it.

    Every folder below `base` (by default `BASE`) belongs to this user and is open to nobody else
    (mode 0700) when this returns, whoever else was creating or removing it at the same time.

    Raises `ValueError` when `appname` is not one path component, or `subdir` is absolute or goes
    up; `PermissionError` when there is something else in the folder's place (a symbolic link, a
    file, somebody else's folder), or when `base` lets others replace it.
    """
    if not appname or "/" in appname or "\0" in appname:
        raise ValueError(f"appname must be one path component, not {appname!r}")
    below = Path(subdir or "")
    if below.is_absolute() or ".." in below.parts:
        raise ValueError(
            f"subdir must be a relative path without '..', to stay in the runtime directory, "
            f"not {os.fspath(below)!r}"
        )
    base = BASE if base is None else base
    _check_base(base)
    root = base / f"{appname}-{os.getuid()}"
    folders = list(accumulate(below.parts, Path.joinpath, initial=root))
    for attempt in range(ATTEMPTS):
        try:
            for folder in folders:
                _make_private(folder)
            break
        except FileNotFoundError:
            if attempt == ATTEMPTS - 1:
                raise
    return folders[-1]


def check(folder: Path) -> str:
    """Say what is in the place of *folder*, a `runtime_dir`, and change nothing.

    Raises `PermissionError` as `runtime_dir` does; its text ends in the command that helps.
    """
    _check_base(folder.parent)
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return "not there yet"
    _check_ours(folder, found)
    return f"mode {stat.S_IMODE(found.st_mode):04o}"


def _check_base(base: Path) -> None:
    mode = base.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        raise _refusal(
            base,
            f"others can replace what is in it (mode {stat.S_IMODE(mode):04o})",
            f"set its sticky bit: chmod +t {base}",
        )


def _make_private(folder: Path) -> None:
    """Create `folder` with mode 0700, or see to it that what is there is just that.

    Once it is seen to be a folder of ours nobody else can put another one in its place: its
    parent is sticky (`_check_base`) or was made private just before.
    """
    with suppress(FileExistsError):
        folder.mkdir(PRIVATE)
    found = folder.lstat()
    _check_ours(folder, found)
    if stat.S_IMODE(found.st_mode) != PRIVATE:
        folder.chmod(PRIVATE)


def _check_ours(folder: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _refusal(folder, "it is a symbolic link, not a directory", f"remove it: rm {folder}")
    if not stat.S_ISDIR(found.st_mode):
        raise _refusal(folder, "it is not a directory", f"remove it: rm {folder}")
    if found.st_uid != os.geteuid():
        raise _refusal(
            folder,
            f"it belongs to user {found.st_uid}, this process runs as user {os.geteuid()}",
            f"have its owner or an administrator remove it: sudo rm -r {folder}",
        )


def _refusal(folder: Path, why: str, what_to_do: str) -> PermissionError:
    return PermissionError(
        errno.EPERM, f"unsafe runtime directory: {why}; {what_to_do}", str(folder)
    )
