"""What a process knows of its actor, and where it keeps its sockets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_current_actor: Any = None

_rtdir: Path = Path(os.environ["XDG_RUNTIME_DIR"])


def current_actor(err_on_no_runtime: bool = True) -> Any:
    """Return this process's actor, or None."""
    if _current_actor is None and err_on_no_runtime:
        raise RuntimeError("there is no actor in this process")
    return _current_actor


def get_rt_dir(subdir: str = "tractor") -> Path:
    """Return the folder for the sockets of this user's actors."""
    folder = _rtdir / subdir
    if not folder.is_dir():
        folder.mkdir()
    return folder
