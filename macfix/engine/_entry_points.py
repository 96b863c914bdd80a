"""Reading ``entry_points.txt`` files without an import; see ``_third_party`` for what for."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_SECTION = b"[macfix]"
_FOLDERS = (".dist-info", ".egg-info")


def entry_points(place: str) -> Iterator[str]:
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


def names_others(file: str, builtin: Collection[str]) -> bool:
    """Whether *file* is an archive, or has entry points in ``macfix`` besides *builtin*."""
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
