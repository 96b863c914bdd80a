"""What is said once a process tree, however many actors meet it.

Processes of a tree know each other by an environment variable. Who creates the file that stands for
a message is the one to say it: in macfix's folder or, where that cannot be used (a read-only home),
in a folder for temporary files. Where there is neither, each process says it once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time

from macfix._files import is_private, make_private, owner_is_somebody_else

VARIABLE = "MACFIX_TREE"
"""Environment variable: the name of the process tree."""

_KEPT = 86400.0
"""Seconds after which the files of a tree may be removed: its messages may come again then."""

_said: set[str] = set()
_named: str | None = None


def join_tree() -> None:
    """Give this process's tree a name, which its children inherit, unless it has one."""
    global _named
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = _named = os.urandom(8).hex()


def leave_tree() -> None:
    """Take the name away again that `join_tree` has given."""
    if os.environ.get(VARIABLE) == _named:
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
    tree = os.environ.get(VARIABLE, "")
    if not tree.isalnum():
        return True
    with contextlib.suppress(OSError, AttributeError):  # or a hashlib.py of the program's
        if folder is not None and not owner_is_somebody_else(folder):
            return _is_first_of_tree(message, tree, os.path.join(folder, "said"))
    with contextlib.suppress(OSError, AttributeError):  # or a tempfile.py; or no such folder at all
        temporary = os.path.join(tempfile.gettempdir(), f"macfix-said-{os.geteuid()}")
        return _is_first_of_tree(message, tree, temporary)
    return True


def _is_first_of_tree(message: str, tree: str, folder: str) -> bool:
    """Whether no process of *tree* has left a file in *folder* for *message*; leave one.

    Raises:
        OSError: if *folder* cannot be used.
    """
    name = f"{tree}-{hashlib.sha256(message.encode(errors='replace')).hexdigest()[:16]}"
    make_private(folder)
    if not is_private(folder):
        raise PermissionError(folder)
    try:
        os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    _remove_old(folder)
    return True


def _remove_old(folder: str) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_mtime < time.time() - _KEPT:
                os.unlink(entry.path)
