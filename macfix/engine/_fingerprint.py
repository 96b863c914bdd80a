"""What tells one state of the patches' code from another, for the keys of the cache."""

from __future__ import annotations

import hashlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._patch import Patch
    from ._patch_set import Deferred

_ENGINE = os.path.dirname(os.path.abspath(__file__))


def fingerprint(patches: Iterable[Patch | Deferred], known: dict[str, bytes]) -> str | None:
    """A digest that changes when the code of any of *patches* does, or None if none can be had.

    A patch may use helpers that lie beside it, so the digest is over names, sizes and times of all
    Python files in the folder of the module that defines it, and over the patch's name. The engine
    belongs to it as well: it does the rewriting.

    Args:
        patches: whose code it is about.
        known: the states of folders that were looked at already; it is added to.
    """
    digest = hashlib.sha256()
    folders = {_ENGINE}
    for patch in patches:
        folder = _folder_of(patch)
        if folder is None:
            return None
        digest.update(patch.name.encode() + b"\0")
        folders.add(folder)
    try:
        for folder in sorted(folders):
            if folder not in known:
                known[folder] = _folder_state(folder)
            digest.update(known[folder])
    except OSError:
        return None
    return digest.hexdigest()


def _folder_of(patch: Patch | Deferred) -> str | None:
    module = getattr(patch, "package", None) or patch.needed.__module__  # type: ignore[union-attr]
    file = getattr(sys.modules.get(module), "__file__", None)
    return None if file is None else os.path.dirname(file)


def _folder_state(folder: str) -> bytes:
    try:
        with os.scandir(folder) as entries:
            files = [(e.name, e.stat()) for e in entries if e.name.endswith(".py")]
    except NotADirectoryError:
        return _archive_state(folder)
    state = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in files)
    return repr((folder, state)).encode()


def _archive_state(folder: str) -> bytes:
    """The state of the zip file that *folder* is in."""
    archive = folder
    while not os.path.isfile(archive):
        above = os.path.dirname(archive)
        if above == archive:
            raise FileNotFoundError(folder)
        archive = above
    state = os.stat(archive)
    return repr((archive, state.st_size, state.st_mtime_ns)).encode()
