"""There is no ``/dev/shm`` on a Mac: no call of Python code finds it, however it is written.

Only ``os``, ``io`` and ``builtins`` are touched, where Python code looks the calls up. The import
system has its own and is not slowed down; what C code and other programs do is out of reach.
"""

from __future__ import annotations

import _io
import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from . import _linux
from ._errors import error
from ._replace import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HIDDEN = ("/dev/shm", "/run/shm")

_PATH_CALLS = """
    access chdir chmod chown chflags getxattr lchown link listxattr lstat mkdir mkfifo mknod open
    pathconf readlink remove rename replace rmdir stat statvfs symlink truncate unlink utime
"""
"""Functions of ``os`` whose first argument is a path."""

_TWO_PATHS = frozenset({"link", "rename", "replace", "symlink"})
_PATH_NAMES = ("path", "file", "src", "dst", "target")


def install() -> None:
    """Hide the folder from all calls that take a path."""
    for name in _PATH_CALLS.split():
        truth = getattr(_linux, name, None)
        if truth is not None:
            replace(os, name, _hiding(truth))
    replace(os, "listdir", _hiding(_listdir))
    replace(os, "scandir", _hiding(_scandir))
    opener = _hiding(_io.open)
    replace(io, "open", opener)
    replace(builtins, "open", opener)


def is_hidden(path: Any) -> bool:
    """Say whether `path` is ``/dev/shm`` or lies in it."""
    try:
        text = os.fspath(path)
    except TypeError:
        return False
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if "shm" not in text:
        return False
    where = _absolute(text)
    return any(where == folder or where.startswith(folder + "/") for folder in HIDDEN)


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        try:
            text = _linux.getcwd() + "/" + text
        except OSError:
            return text
    return "/" + os.path.normpath(text).lstrip("/")


def _hiding(truth: Callable[..., Any]) -> Callable[..., Any]:
    count = 2 if truth.__name__ in _TWO_PATHS else 1

    def call(*args: Any, **kwargs: Any) -> Any:
        paths = args[:count]
        if kwargs:
            paths += tuple(map(kwargs.get, _PATH_NAMES))
        for path in paths:
            if path.__class__ is not int and is_hidden(path):
                if truth is _linux.access:
                    return False
                raise error(errno.ENOENT, path)
        return truth(*args, **kwargs)

    return call


def _listdir(path: Any = ".") -> list[Any]:
    found = _linux.listdir(path)
    lost = _lost_in(path)
    return [name for name in found if os.fsdecode(name) not in lost] if lost else found


def _scandir(path: Any = ".") -> Any:
    found = _linux.scandir(path)
    lost = _lost_in(path)
    return _Entries(found, lost) if lost else found


def _lost_in(path: Any) -> frozenset[str]:
    """Return the names that a listing of `path` must not show."""
    if isinstance(path, int):
        return frozenset()
    where = _absolute(os.fsdecode(path or "."))
    return _LOST.get(where, frozenset())


_LOST = {os.path.dirname(folder): frozenset({os.path.basename(folder)}) for folder in HIDDEN}


class _Entries(Iterator["Any"], AbstractContextManager["Any", None]):
    """What ``os.scandir`` returns, without some names."""

    def __init__(self, found: Any, lost: frozenset[str]) -> None:
        self._found = found
        self._lost = lost

    def __next__(self) -> Any:
        return next(entry for entry in self._found if os.fsdecode(entry.name) not in self._lost)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._found.close()
