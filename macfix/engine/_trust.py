"""Which files and folders nobody but this user (and root) can have written."""

from __future__ import annotations

import os
import stat

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_safely_placed: set[str] = set()


def is_private_folder(folder: str) -> bool:
    """Whether *folder* is a real directory of this user's that nobody else can write to or replace.

    Whoever can write to a folder above it could put another one in its place; a sticky folder such
    as ``/tmp`` keeps them from that.

    Raises:
        OSError: if *folder*, or one that it is in, does not exist or cannot be looked at.
    """
    state = os.lstat(folder)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        return False
    if state.st_mode & _OTHERS_WRITE:
        return False
    if folder not in _safely_placed and _cannot_be_replaced(folder):
        _safely_placed.add(folder)  # nobody else can change that from now on
    return folder in _safely_placed


def _cannot_be_replaced(folder: str) -> bool:
    above = os.path.dirname(os.path.realpath(folder))
    while True:
        state = os.lstat(above)
        if state.st_uid not in (0, os.geteuid()):
            return False
        if state.st_mode & _OTHERS_WRITE and not state.st_mode & stat.S_ISVTX:
            return False
        parent = os.path.dirname(above)
        if parent == above:
            return True
        above = parent


def read_own_file(path: str) -> bytes:
    """The content of the regular file *path*, which must be this user's alone.

    Raises:
        ValueError: if somebody else owns it or can write to it, or if it is no regular file.
        OSError: if it cannot be read, or is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        state = os.fstat(descriptor)
        foreign = state.st_uid != os.geteuid() or state.st_mode & _OTHERS_WRITE
        if not stat.S_ISREG(state.st_mode) or foreign:
            raise ValueError(f"{path} could have been written by somebody else")
        data = b""
        while chunk := os.read(descriptor, state.st_size - len(data)):
            data += chunk
        return data
    finally:
        os.close(descriptor)


def is_everybodys(entry: str) -> bool:
    """Whether every user of the machine can write to *entry*, or put another in its place.

    What does not exist is nobody's. A sticky folder keeps others from replacing what is in it.
    """
    try:
        return _can_be_replaced(entry)[0] or bool(os.stat(entry).st_mode & stat.S_IWOTH)
    except OSError:
        return False


_replaceable: dict[str, tuple[bool, bool]] = {}
"""By path: whether everybody could put another in its place, and in that of what is in it."""


def _can_be_replaced(path: str) -> tuple[bool, bool]:
    known = _replaceable.get(path)
    if known is None:
        above = os.path.dirname(path)
        replaced = above != path and _can_be_replaced(above)[1]
        known = _replaceable[path] = (True, True) if replaced else _look_at(path)
    return known


def _look_at(path: str) -> tuple[bool, bool]:
    """The answer where nobody can replace *path* itself; looks once, as there are dozens."""
    mode, replaced = os.lstat(path).st_mode, False
    if stat.S_ISLNK(mode):
        replaced = is_everybodys(os.path.realpath(path))
        mode = os.stat(path).st_mode
    return replaced, replaced or bool(mode & stat.S_IWOTH and not mode & stat.S_ISVTX)
