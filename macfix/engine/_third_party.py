"""Whether anybody but macfix itself contributes patches here: a look that needs no import.

``importlib.metadata`` gives the same answer for the price of all of :mod:`email`, :mod:`zipfile`
and :mod:`csv`. Where this look is not sure, it says that there may be somebody.

A folder in which there was nobody is not looked at again until something is created or renamed in
it, as whatever installs a distribution does. The folders of *egg-info* are written to in place:
those are looked at each time.
"""

from __future__ import annotations

import os
import sys
import time
from _imp import source_hash

from macfix import __version__

from ._safe_imports import PathFinder, SafeImports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import TypeAlias

    from ._cache import Cache

    State: TypeAlias = tuple[int, int] | None
    Nobody: TypeAlias = tuple[State, tuple[tuple[str, State], ...]]

_SECTION = b"[macfix]"
_FOLDERS = (".dist-info", ".egg-info")
_REPLACED = ".dist-info/entry_points.txt"
_TICK = 3_000_000_000


def may_have_plugins(path: Iterable[str], builtin: Collection[str], cache: Cache) -> bool:
    """Whether a distribution on *path* may have entry points in ``macfix`` besides *builtin*.

    Args:
        path: folders and archives, as in ``sys.path``.
        builtin: the modules of macfix's own plugins.
        cache: where it is kept in which folders there is nobody.
    """
    if any(_knows_distributions(finder) for finder in sys.meta_path):
        return True
    places = list(path)
    key = _key_of(places, builtin)
    before = cache.load(key) or {}
    now: dict[str, Nobody] = {}
    for place in places:
        state = _state_of(place)
        known = before.get(place)
        if known is not None and known == _look_again(state, known):
            now[place] = known
            continue
        files = list(_entry_points(place))
        if any(_names_others(file, builtin) for file in files):
            return True
        if _is_settled(state):
            inside = [file for file in files if not file.endswith(_REPLACED)]
            now[place] = (state, tuple((file, _state_of(file)) for file in inside))
    if now != before:
        cache.store(key, now)
    return False


def _key_of(places: list[str], builtin: Collection[str]) -> str:
    content = ascii((__version__, places, sorted(builtin))).encode()
    return f"plugins-{source_hash(0, content).hex()}"


def _look_again(state: State, known: Nobody) -> Nobody:
    return (state, tuple((file, _state_of(file)) for file, _ in known[1]))


def _state_of(path: str) -> State:
    """Size and time in nanoseconds, or None where there is nothing."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return (stat.st_size, stat.st_mtime_ns)


def _is_settled(state: State) -> bool:
    """Whether a later change would show: the clocks of file systems tick, some once a second."""
    return state is not None and state[1] < time.time_ns() - _TICK


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
