"""The cache of answers: which patches a source needs. It holds no code.

One JSON file a source in the user's cache folder, named by the digests of all that the answer
depends on: the source, all files of the plugins that were asked, macfix's version and Python's.
Without the cache, every answer is found anew. Nothing is written, or read, where the folder is not
the effective user's alone: a run under ``sudo`` leaves no file of root's in a user's folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from macfix import __version__
from macfix._files import (
    is_private,
    make_private,
    owner_is_somebody_else,
    read_own,
    write_atomically,
)

from .patch import Answers, Diagnosis

_KEPT = 8
"""Files kept for each module: the versions of an upstream that one may switch between."""


class Cache:
    """Answers on disk. Reading and writing never raise."""

    def __init__(self, folder: str | None) -> None:
        """
        Args:
            folder: macfix's cache folder, or None for no cache.
        """
        self._folder = None if folder is None else os.path.join(folder, "answers")

    def read(self, key: str) -> Answers | None:
        """The answers under *key*, or None if there are none that are whole and this user's."""
        if self._folder is None:
            return None
        try:
            if not is_private(self._folder):
                return None
            given = json.loads(read_own(os.path.join(self._folder, key)))
            return {str(name): Diagnosis.of(answer) for name, answer in given.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, key: str, answers: Answers) -> None:
        """Keep *answers* under *key*; silently nothing if that is not possible."""
        if self._folder is None or sys.dont_write_bytecode or owner_is_somebody_else(self._folder):
            return
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a json.py of the program's
            make_private(self._folder)
            if is_private(self._folder):
                write_atomically(os.path.join(self._folder, key), json.dumps(answers).encode())
                self._prune(key)

    def _prune(self, written: str) -> None:
        assert self._folder is not None
        prefix = written.rpartition("-")[0] + "-"
        with os.scandir(self._folder) as entries:
            files = [(e.stat().st_mtime_ns, e.path) for e in entries if e.name.startswith(prefix)]
        for _, path in sorted(files)[:-_KEPT]:
            os.unlink(path)


def key_of(
    module: str, source: bytes, plugins: Iterable[Any], patches: Iterable[str]
) -> str | None:
    """The file name for the answers about *source*, or None where none can be kept.

    Args:
        module: dotted name of the target; kept readable in front of the digest.
        source: the source as it lies on disk.
        plugins: those that contribute the patches, modules or other objects.
        patches: the dotted names of the patches' modules.
    """
    names = sorted(patches)
    owners = {p.__name__ if isinstance(p, ModuleType) else type(p).__module__ for p in plugins}
    parts = [__version__, sys.version, module, *names]
    try:
        digest = hashlib.sha256()
        code = [_digest_of_code(name) for name in sorted({__name__, *owners, *names})]
    except (OSError, AttributeError):  # or a hashlib.py of the program's
        return None
    for part in (*(text.encode() for text in parts), source, *code):
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"{module}-{digest.hexdigest()}"


@functools.cache
def _digest_of_code(name: str) -> bytes:
    """A digest of the source files that the code of the module *name* may be in: its package's.

    Raises:
        OSError: if it lies in no folder (a zip file).
    """
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        raise FileNotFoundError(name)
    path = Path(file)
    files = {path}
    if getattr(sys.modules[name], "__package__", ""):
        files |= set(path.parent.rglob("*.py"))
    digest = hashlib.sha256()
    for each in sorted(files):
        content = each.read_bytes()
        digest.update(f"{each.relative_to(path.parent)} {len(content)} ".encode() + content)
    return digest.digest()
