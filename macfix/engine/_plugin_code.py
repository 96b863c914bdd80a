"""Where the code of a patch lies that is not built in, or not in a folder."""

from __future__ import annotations

import os

from ._fingerprint import folder_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._patch import Patch


def folders_of(patch: Patch, home: str | None) -> set[str | None]:
    """Where the code of *patch* lies, with None for what lies in no file."""
    acts = (patch.needed, patch.rewrite)
    folders = {folder_of(_module_of(act)) for act in acts if act is not None}
    return folders | ({folder_of(home)} - {None} if home else set())


def archive_state(folder: str) -> bytes:
    """The state of the zip file that *folder* is in."""
    archive = folder
    while not os.path.isfile(archive):
        above = os.path.dirname(archive)
        if above == archive:
            raise FileNotFoundError(folder)
        archive = above
    state = os.stat(archive)
    return repr((archive, state.st_size, state.st_mtime_ns)).encode()


def _module_of(function: Any) -> str:
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    module: str = function.__module__
    return module
