"""What a process knows of its actor, and where it keeps its sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import platformdirs

_current_actor: Any = None


def current_actor(err_on_no_runtime: bool = True) -> Any:
    """Return this process's actor, or None."""
    if _current_actor is None and err_on_no_runtime:
        raise RuntimeError("there is no actor in this process")
    return _current_actor


def is_root_process() -> bool:
    """Say whether this process started the tree of actors."""
    return True


def get_rt_dir(subdir: str | Path | None = None, appname: str = "tractor") -> Path:
    """Return the folder for the sockets of this user's actors."""
    folder = Path(platformdirs.user_runtime_dir(appname=appname))
    if subdir:
        path = Path(subdir)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"subdir must stay below the runtime folder: {subdir!r}")
        folder = folder / path
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
    return folder
