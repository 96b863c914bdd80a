"""Names for Unix sockets that fit into what XNU has room for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SUN_PATH_LIMIT = 104
"""Bytes of `sun_path`, the terminating NUL included (Apple's `sys/un.h`; Linux has 108).

Python wants the NUL to fit, so the longest path it binds or connects to has 103 bytes.
"""

_DIGEST_BYTES = 8


def bounded_name(name: str, pid: int, directory: str | os.PathLike[str]) -> str:
    """Return a file name for the socket of the actor `name` in process `pid`.

    It is `<name>@<pid>.sock` where `directory` plus that fits into `sun_path` and `name` can be
    a file name. Otherwise it is `<beginning of name>.<digest of the whole name>@<pid>.sock`: the
    same for the same arguments in every process, different for different names, and still
    ending in what tools that look for a dead process's sockets go by.

    Raises `ValueError` when `directory` is too long for even the shortest such name.
    """
    suffix = f"@{pid}.sock"
    room = room_in(directory)
    if _is_file_name(name) and len(os.fsencode(name + suffix)) <= room:
        return name + suffix
    return _shortened(name, suffix, room, directory)


def room_in(directory: str | os.PathLike[str]) -> int:
    """Return how many bytes the name of a socket in `directory` may have."""
    before = len(os.fsencode(Path(directory) / "_")) - 1
    return SUN_PATH_LIMIT - 1 - before


def _shortened(name: str, suffix: str, room: int, directory: str | os.PathLike[str]) -> str:
    digest = hashlib.blake2s(
        name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES
    ).hexdigest()
    tail = digest + suffix
    if len(tail) > room:
        raise ValueError(
            f"no room for a socket in {os.fspath(directory)!r}: a path may have "
            f"{SUN_PATH_LIMIT - 1} bytes, which leaves {max(room, 0)} for a file name that needs "
            f"{len(tail)}; choose a shorter directory"
        )
    prefix = _cut(_readable(name), room - len(tail) - 1)
    return f"{prefix}.{tail}" if prefix else tail


def _is_file_name(name: str) -> bool:
    """Say whether `name` can begin a file name; APFS takes nothing that is not UTF-8."""
    return name == _readable(name)


def _readable(name: str) -> str:
    """Return `name` with `_` for each character that no file name can have."""
    return "".join("_" if char in "/\0" or "\ud800" <= char <= "\udfff" else char for char in name)


def _cut(text: str, size: int) -> str:
    """Return the longest beginning of `text` with at most `size` bytes, no character torn."""
    return text.encode()[: max(size, 0)].decode(errors="ignore")
