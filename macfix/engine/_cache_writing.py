"""Writing into the cache, which only the first import of a target does."""

from __future__ import annotations

import hashlib
import marshal
import os
import tempfile

from ._cache import HEADER
from ._trust import is_private_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEEP = 8
"""Files kept for each module: the vintages of an upstream that one may switch between."""


def write(folder: str, key: str, content: Any) -> None:
    """Put *content* into the file *key* of *folder*, unless others can write to that folder.

    Raises:
        OSError: if it cannot be written.
        ValueError: if marshal cannot write *content*.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if is_private_folder(folder):
        body = marshal.dumps(content)
        _write_atomically(folder, key, HEADER + hashlib.sha256(body).digest() + body)
        _prune(folder, key)


def _write_atomically(folder: str, name: str, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=folder)  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, os.path.join(folder, name))
    except BaseException:
        os.unlink(temporary)
        raise


def _prune(folder: str, written: str) -> None:
    """Keep the newest few files of the module that *written* belongs to."""
    prefix = written.rpartition("-")[0] + "-"
    with os.scandir(folder) as entries:
        files = [(e.stat().st_mtime_ns, e.path) for e in entries if e.name.startswith(prefix)]
    for _, path in sorted(files)[:-_KEEP]:
        os.unlink(path)
