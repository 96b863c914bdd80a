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
    from collections.abc import Collection, Iterable
    from typing import TypeAlias

    from ._cache import Cache

    State: TypeAlias = tuple[int, int] | None
    Nobody: TypeAlias = tuple[State, tuple[tuple[str, State], ...]]

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
        elif state is not None:
            from ._entry_points import entry_points, names_others

            files = list(entry_points(place))
            if any(names_others(file, builtin) for file in files):
                return True
            inside = [(f, _state_of(f)) for f in files if not f.endswith(_REPLACED)]
            if all(map(_is_settled, [state, *(state for _, state in inside)])):
                now[place] = (state, tuple(inside))
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
    return state is None or state[1] < time.time_ns() - _TICK


def _knows_distributions(finder: object) -> bool:
    ours = finder is PathFinder or finder is SafeImports
    return not ours and hasattr(finder, "find_distributions")
