"""What a process knows of its actor, and where it keeps its sockets."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

_current_actor: Any = None

_DARWIN_TMPDIR = Path("/tmp")


def current_actor(err_on_no_runtime: bool = True) -> Any:
    """Return this process's actor, or None."""
    if _current_actor is None and err_on_no_runtime:
        raise RuntimeError("there is no actor in this process")
    return _current_actor


def is_root_process() -> bool:
    """Say whether this process started the tree of actors."""
    return True


def _ensure_owner_only_posix_dir(path: Path, *, parents: bool = False) -> None:
    """See to it that `path` is a folder of this user's that nobody else can enter."""
    path.mkdir(mode=0o700, parents=parents, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{path} is not a folder of user {os.getuid()}")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)


def get_rt_dir(subdir: str | Path | None = None, appname: str = "tractor") -> Path:
    """Return the folder for the sockets of this user's actors."""
    import platformdirs

    if sys.platform == "darwin":
        folder = _DARWIN_TMPDIR / f"{appname}-{os.getuid()}"
    else:
        folder = Path(platformdirs.user_runtime_dir(appname=appname))
    _ensure_owner_only_posix_dir(folder, parents=sys.platform != "darwin")
    if subdir:
        path = Path(subdir)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"subdir must stay below the runtime folder: {subdir!r}")
        for part in path.parts:
            folder = folder / part
            _ensure_owner_only_posix_dir(folder)
    return folder
