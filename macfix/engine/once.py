"""What is said once a process tree, however many actors meet it.

Processes of a tree know each other by an environment variable. Who creates the file that stands for
a message is the one to say it. Where there is no folder for such files, each process says it once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time

from macfix._files import is_private, make_private, owner_is_somebody_else

from .errors import warn

VARIABLE = "MACFIX_TREE"
"""Environment variable: the name of the process tree."""

_KEPT = 86400.0
"""Seconds after which the files of a tree may be removed: its messages may come again then."""

_said: set[str] = set()


def join_tree() -> None:
    """Give this process's tree a name, which its children inherit, unless it has one."""
    os.environ.setdefault(VARIABLE, os.urandom(8).hex())


def leave_tree() -> None:
    """Take the name away again."""
    os.environ.pop(VARIABLE, None)


def warn_once(message: str, folder: str | None) -> None:
    """Issue *message* as a warning, unless a process of this tree has done so.

    Args:
        message: what to say.
        folder: where macfix may keep files, or None.
    """
    if message not in _said:
        _said.add(message)
        if folder is None or _is_first(message, os.path.join(folder, "said")):
            warn(message)


def _is_first(message: str, folder: str) -> bool:
    tree = os.environ.get(VARIABLE, "")
    if not tree.isalnum() or owner_is_somebody_else(folder):
        return True
    try:
        name = f"{tree}-{hashlib.sha256(message.encode(errors='replace')).hexdigest()[:16]}"
        make_private(folder)
        if not is_private(folder):
            return True
        os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    except (OSError, AttributeError):  # or a hashlib.py of the program's
        return True
    _remove_old(folder)
    return True


def _remove_old(folder: str) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_mtime < time.time() - _KEPT:
                os.unlink(entry.path)
