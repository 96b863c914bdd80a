"""The cache of verdicts and rewritten bytecode, and of where nobody contributes patches.

Rewritten bytecode is macfix's own: it never lands in upstream's ``__pycache__``, where it would
haunt runs without macfix. It lies in the user's cache folder, one file for each source, set of
patches and interpreter, and is executed only if the file and its folder are the user's own and
nobody else can write to them.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER, source_hash
from types import CodeType

from macfix import __version__
from macfix._value import value

from ._patch import Verdict
from ._trust import is_private_folder, read_own_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADER = b"macfix bytecode 1\n"
_interpreter = hashlib.blake2b(
    repr(
        (
            __version__,
            MAGIC_NUMBER,
            sys.implementation.cache_tag,
            sys.version,
            sys.platform,
            sys.flags.optimize,
        )
    ).encode(),
    digest_size=20,
)
"""What all keys begin with."""


@value(frozen=True)
class Record:
    """What is known of one source: the verdict of each patch by name, and the rewritten code."""

    verdicts: dict[str, Verdict]
    code: CodeType | None


def default_folder() -> str | None:
    """The folder for cached bytecode, or None where none may be used.

    ``MACFIX_CACHE_DIR`` if set (an absolute path); else ``~/Library/Caches/macfix`` on macOS and
    ``$XDG_CACHE_HOME/macfix`` or ``~/.cache/macfix`` elsewhere. A process that has more
    privileges than its user (set-uid) gets none: the user's environment must not steer it.
    """
    if os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        return None
    chosen = os.environ.get("MACFIX_CACHE_DIR")
    if chosen:
        return chosen if os.path.isabs(chosen) else None  # never below the current directory
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        return None
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "macfix")
    base = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.join(home, ".cache"), "macfix")


class Cache:
    """Records on disk. Reading and writing never raise: without the cache, all is computed."""

    def __init__(self, folder: str | None) -> None:
        self._folder = None if folder is None else os.path.join(folder, "bytecode")

    def read(self, key: str) -> Record | None:
        """The record stored under *key*, or None if there is none that can be trusted."""
        content = self.load(key)
        try:
            verdicts, code = content
            if code is not None and not isinstance(code, CodeType):
                return None
            return Record({name: Verdict(*verdict) for name, verdict in verdicts.items()}, code)
        except (ValueError, TypeError, AttributeError):
            return None

    def write(self, key: str, record: Record) -> None:
        """Store *record* under *key*, atomically; silently nothing if that is not possible."""
        verdicts = {name: (v.state, v.reason) for name, v in record.verdicts.items()}
        self.store(key, (verdicts, record.code))

    def load(self, key: str) -> Any:
        """What is stored under *key*, or None if there is nothing that can be trusted."""
        if self._folder is None:
            return None
        try:
            if not is_private_folder(self._folder):
                return None
            return _decode(read_own_file(os.path.join(self._folder, key)))
        except (OSError, ValueError, EOFError, TypeError):
            return None

    def store(self, key: str, content: Any) -> None:
        """Store *content*, which marshal can write; silently nothing if that is not possible."""
        if self._folder is None or sys.dont_write_bytecode:
            return
        try:
            from ._cache_writing import write

            write(self._folder, key, content)
        except (OSError, ValueError, ImportError):
            pass


def key_of(module: str, path: str, source: bytes, patches: str) -> str:
    """The file name under which the record of *source* is stored.

    Args:
        module: dotted name of the target; kept readable in front of the digest.
        path: where the source lies; it is in the bytecode as ``co_filename``.
        source: the source as it lies on disk.
        patches: the fingerprint of the patches concerned.
    """
    key = _interpreter.copy()
    for part in (
        module.encode(),
        os.fsencode(path),
        patches.encode(),
        len(source).to_bytes(8, "big"),
        source_hash(source),  # as in Python's own hash-based bytecode files: a tenth of the price
    ):
        key.update(len(part).to_bytes(8, "big") + part)
    return f"{module}-{key.hexdigest()}"


def _decode(data: bytes) -> Any:
    digest_end = len(HEADER) + hashlib.sha256().digest_size
    body = data[digest_end:]
    if data[:digest_end] != HEADER + hashlib.sha256(body).digest():
        raise ValueError("not a whole macfix bytecode file")
    return marshal.loads(body)
