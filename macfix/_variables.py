"""What the value of a ``MACFIX…`` variable says, for all of macfix. Imports nothing of it."""

from __future__ import annotations

_OFF = frozenset({"off", "0", "no", "false"})


def is_off(value: str | None) -> bool:
    """Whether *value* says "off"."""
    return (value or "").strip().lower() in _OFF


def if_on(value: str | None) -> str | None:
    """*value*, or None where it is blank or says "off"."""
    return None if is_off(value) else (value or "").strip() or None
