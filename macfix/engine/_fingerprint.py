"""What tells one state of the patches' code from another, for the keys of the cache."""

from __future__ import annotations

import hashlib
import os
import sys

from ._bundle import folder_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._patch import Patch
    from ._patch_set import Deferred

_ENGINE = os.path.dirname(os.path.abspath(__file__))


def fingerprint(
    patches: Iterable[Patch | Deferred], homes: Mapping[str, str], known: dict[str, bytes]
) -> str | None:
    """A digest that changes when the code of any of *patches* does, or None if none can be had.

    A patch may use helpers that lie beside it, so the digest is over names, sizes and times of all
    Python files in the folders of the modules that contribute it and that define what it does to
    the source, and over the patch's name. The engine belongs to it as well: it does the rewriting.

    Args:
        patches: whose code it is about.
        homes: the module that contributes each patch, by the patch's name, where it is known.
        known: the states of folders that were looked at already; it is added to.
    """
    digest = hashlib.sha256()
    folders: set[str | None] = {_ENGINE}
    for patch in patches:
        digest.update(patch.name.encode() + b"\0")
        package = getattr(patch, "package", None)
        if package is not None:  # a built-in one, that was not imported
            folders.add(folder_of(package))
        else:
            from ._plugin_code import folders_of

            folders |= folders_of(patch, homes.get(patch.name))  # type: ignore[arg-type]
    if None in folders:
        return None
    try:
        for folder in sorted(filter(None, folders)):
            if folder not in known:
                known[folder] = _folder_state(folder)
            digest.update(known[folder])
    except OSError:
        return None
    return digest.hexdigest()


def folder_of(module: str) -> str | None:
    """Where the code of *module* lies, or None if it lies in no file or is not imported."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return os.path.dirname(file) if file else None


def _folder_state(folder: str) -> bytes:
    try:
        return folder_state(folder)
    except NotADirectoryError:
        from ._plugin_code import archive_state

        return archive_state(folder)
