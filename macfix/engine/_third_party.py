"""Whether anybody but macfix itself contributes patches here: a look that needs no import.

``importlib.metadata`` gives the same answer for the price of all of :mod:`email`, :mod:`zipfile`
and :mod:`csv`. Where this look is not sure, it says that there may be somebody.
"""

from __future__ import annotations

import os
import sys

from ._safe_imports import PathFinder, SafeImports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_SECTION = b"[macfix]"
_FOLDERS = (".dist-info", ".egg-info")


def may_have_plugins(path: Iterable[str], builtin: Collection[str]) -> bool:
    """Whether a distribution on *path* may have entry points in ``macfix`` besides *builtin*."""
    if any(_knows_distributions(finder) for finder in sys.meta_path):
        return True
    return any(_names_others(file, builtin) for entry in path for file in _entry_points(entry))


def _knows_distributions(finder: object) -> bool:
    ours = finder is PathFinder or finder is SafeImports
    return not ours and hasattr(finder, "find_distributions")


def _entry_points(place: str) -> Iterator[str]:
    """The files that may declare entry points in *place*; *place* itself if it is an archive."""
    try:
        names = os.listdir(place)
    except NotADirectoryError:
        yield place
        return
    except OSError:
        return
    if place.lower().endswith(".egg"):
        yield os.path.join(place, "EGG-INFO", "entry_points.txt")
    for name in names:
        if name.lower().endswith(_FOLDERS):
            yield f"{place}/{name}/entry_points.txt"


def _names_others(file: str, builtin: Collection[str]) -> bool:
    if not os.access(file, os.R_OK):
        return False  # most distributions declare none; to ask is cheaper than to fail
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        data = b""
        while chunk := os.read(descriptor, 1 << 16):
            data += chunk
    except OSError:
        return True
    finally:
        os.close(descriptor)
    if not file.endswith("entry_points.txt"):
        return True  # an archive: for importlib.metadata to look into
    return _SECTION in data.replace(b" ", b"") and not _modules_of_section(data) <= set(builtin)


def _modules_of_section(data: bytes) -> set[str]:
    modules = set()
    inside = False
    for raw in data.decode("utf-8", "replace").splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("["):
            inside = line.strip("[] ") == "macfix"
        elif inside and "=" in line:
            modules.add(line.partition("=")[2].strip())
    return modules
