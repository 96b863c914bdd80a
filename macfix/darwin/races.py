"""Teardown races: segments that somebody else had unlinked first.

They are harmless, but many of them say that a program's teardown is not what its author thinks.
So each one is counted, in this process and in a file beside the journals.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from macfix.darwin.journal import is_off, shm_folder
from macfix.darwin.journal_format import decode, encode
from macfix.darwin.state_dir import open_private

_FILE = "races"
_OLDER = "races.older"
_FULL = 1 << 18  # bytes: some two thousand races
_RACE = "race"

observers: list[Callable[[str, int], object]] = []
"""Called with the key and with how many races this process has met, at each race."""

_counted: dict[str, int] = {}


@dataclass(frozen=True)
class Race:
    """One teardown race.

    Attributes:
        key: the segment that was gone already.
        pid: the process that came too late.
        when: in seconds since 1970.
    """

    key: str
    pid: int
    when: float


def note_race(key: str) -> int:
    """Count that `key` was gone when this process unlinked it; return how many it has met now.

    Never raises `OSError`: where no journal is or can be kept, only this process counts.
    """
    _counted[key] = _counted.get(key, 0) + 1
    line = encode([_RACE, key, os.getpid(), time.time()])
    if not is_off():
        with contextlib.suppress(OSError, RuntimeError):
            _append(line)
    count = sum(_counted.values())
    for observer in list(observers):
        observer(key, count)
    return count


def races_here() -> dict[str, int]:
    """Return how often this process came too late, by key."""
    return dict(_counted)


def recorded_races() -> list[Race]:
    """Return the latest races of all of this user's processes, oldest first.

    The file keeps some four thousand and drops the older half then. Never raises `OSError`.
    """
    races: list[Race] = []
    for name in (_OLDER, _FILE):
        try:
            with open(shm_folder() / name, "rb") as file:
                records = list(decode(file.read()))
        except (OSError, RuntimeError):
            continue
        races += [Race(*record[1:]) for record in records if len(record) == 4]
    return races


def _append(line: bytes) -> None:
    folder = open_private(shm_folder())
    try:
        descriptor = os.open(
            _FILE,
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=folder,
        )
        try:
            os.write(descriptor, line)
            if os.fstat(descriptor).st_size > _FULL:
                os.replace(_FILE, _OLDER, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(descriptor)
    finally:
        os.close(folder)
