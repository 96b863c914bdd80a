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

VARIABLE = "MACFIX_TREE"
"""Environment variable: the name of the process tree."""

_KEPT = 86400.0
"""Seconds after which the files of a tree may be removed: its messages may come again then."""

_said: set[str] = set()


def join_tree() -> bool:
    """Give this process's tree a name, which its children inherit; False if it has one."""
    if VARIABLE in os.environ:
        return False
    os.environ[VARIABLE] = os.urandom(8).hex()
    return True


def leave_tree() -> None:
    """Take the name away again."""
    os.environ.pop(VARIABLE, None)


def is_first(message: str, folder: str | None) -> bool:
    """Say whether neither this process nor another one of its tree has asked about *message*.

    Args:
        message: what is to be said.
        folder: where macfix may keep files, or None.
    """
    if message in _said:
        return False
    _said.add(message)
    return folder is None or _is_first_of_tree(message, os.path.join(folder, "said"))


def _is_first_of_tree(message: str, folder: str) -> bool:
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
