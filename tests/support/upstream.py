"""The two upstreams' git checkouts, and single commits taken out of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.once import made_once
from tests.support.surroundings import STARTED_WITH, user_cache

HOME_OF = {
    "tractor": "https://github.com/goodboy/tractor",
    "piker": "https://github.com/pikers/piker",
}

TRACTORS = {
    "2025-07": "2248ffb7",
    "2025-09": "83ce2275",
    "2026-02": "70bb7728",
    "2026-03": "cc3bfac7",
    "2026-06": "65bf9df5",
    "HEAD": "3690e43a",
}
"""One tractor of each time at which something changed for macOS, by what it stands for."""

PIKERS_TRACTOR = "36307c59"
"""The tractor that a piker user of 2026-02 had pinned."""

PIKER = "3d037818"
"""The newest public piker: branch `distribute_dis`, 2024-01."""

FIRST_WITH_UNIX_SOCKETS = "ba384ca8"
"""The first merge on tractor's main that every Unix socket patch is for (2025-07-13)."""


class UpstreamMissingError(LookupError):
    """A checkout or a commit is not on this machine; the message says what to do."""


def checkouts() -> Path:
    """Return the folder that has, or should have, the checkouts `tractor` and `piker`."""
    named = STARTED_WITH.get("MACFIX_UPSTREAM")
    return Path(named).expanduser() if named else user_cache() / "upstream"


def checkout(name: str) -> Path:
    """Return the git checkout of upstream `name` (`tractor` or `piker`).

    Raises UpstreamMissingError if there is none.
    """
    folder = checkouts() / name
    if not (folder / ".git").exists():
        raise UpstreamMissingError(
            f"no git checkout of {name} at {folder}: run `git clone {HOME_OF[name]} {folder}`, or"
            " set MACFIX_UPSTREAM to the folder that holds the checkouts tractor and piker"
        )
    return folder


def take(name: str, commit: str, into: Path) -> Path:
    """Write the files of `commit` of upstream `name` to a folder below `into` and return it.

    The checkout itself is only read, and each commit is taken out once, however many processes
    share `into`. Raises UpstreamMissingError if checkout or commit is missing.
    """

    def unpack(folder: Path) -> None:
        archive = _git(name, "archive", "--format=tar", commit)
        subprocess.run(["tar", "-x", "-f", "-", "-C", str(folder)], input=archive, check=True)

    return made_once(into / f"{name}-{commit}", unpack)


def merges_since(first: str, name: str = "tractor", last: str | None = None) -> list[str]:
    """Return the commits of the main line from `first` to `last` (default: HEAD), oldest first.

    Commits are given by their first eight hex digits. Raises UpstreamMissingError.
    """
    last = last or TRACTORS["HEAD"]
    listing = _git(name, "rev-list", "--first-parent", "--reverse", f"{first}^..{last}")
    return [line[:8] for line in listing.decode().split()]


def date_of(commit: str, name: str = "tractor") -> str:
    """Return the day of `commit` as `YYYY-MM-DD`. Raises UpstreamMissingError."""
    return _git(name, "show", "--no-patch", "--format=%cs", commit).decode().strip()


def _git(name: str, *arguments: str) -> bytes:
    folder = checkout(name)
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise UpstreamMissingError(
            f"git {' '.join(arguments)} failed in {folder}: {done.stderr.decode().strip()};"
            f" run `git -C {folder} fetch --unshallow` or `fetch --all` and try again"
        )
    return done.stdout
