"""What environment variables say, and what a wrong word was meant to be. Imports no macfix."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

_OFF = frozenset({"off", "0", "no", "false"})
_ON = frozenset({"on", "1", "yes", "true"})
_SWITCHES = ["MACFIX", "MACFIX_STRICT", "MACFIX_PYTEST", "MACFIX_SHM_REAP", "MACFIX_SHM_JOURNAL"]


def is_off(value: str | None) -> bool:
    """Whether *value* says "off"."""
    return (value or "").strip().lower() in _OFF


def is_on(value: str) -> bool:
    """Whether *value* says "on", and no more than that."""
    return value.strip().lower() in _ON


def neither_on_nor_off(env: Mapping[str, str]) -> tuple[str, ...]:
    """The settings that are to say either, and say something else; they count as on."""
    said = {name: env.get(name, "") for name in _SWITCHES}
    return tuple(f"{name}={text}" for name, text in said.items() if if_on(text) and not is_on(text))


def if_on(value: str | None) -> str | None:
    """*value*, or None where it is blank or says "off"."""
    return None if is_off(value) else (value or "").strip() or None


def xdg_folder(env: Mapping[str, str], variable: str, default: str) -> str:
    """macfix's folder where it is no Mac: in the one that *variable* names, else in *default*.

    A relative one counts as none, as the XDG Base Directory Specification says.
    """
    chosen = env.get(variable, "")
    base = chosen if os.path.isabs(chosen) else os.path.expanduser(default)
    return os.path.join(base, "macfix")


def nearest(name: str, known: Iterable[str], start: str = "") -> str:
    """The words that name the nearest of *known*, in whatever case; *start* does not count."""
    import difflib  # only where something is misspelt

    name = name.removeprefix(start).lower()
    ends = {each.removeprefix(start).lower(): each for each in known}
    likeness = 0.5 if len(name) < 4 else 0.6  # two letters of which one is in its place: sl, ls
    close = difflib.get_close_matches(name, ends, 1, likeness)
    return f"; did you mean {ends[close[0]]}?" if close else ""
