"""The history of an upstream's files: which commits matter, and what a file said in each."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support import upstream


def main_line(name: str, since: str, last: str) -> list[str]:
    """Return the commits of the main line of upstream `name` up to `last`, oldest first.

    `since` is a day, `YYYY-MM-DD`. Raises UpstreamMissingError.
    """
    return _commits(name, "--first-parent", f"--since={since}", last)


def touching(name: str, since: str, last: str, path: str) -> list[str]:
    """Return all commits up to `last` that changed `path`. Raises UpstreamMissingError."""
    return _commits(name, f"--since={since}", last, "--", path)


def on_any_branch(name: str, since: str, path: str) -> list[str]:
    """Return all commits of all branches that changed `path`. Raises UpstreamMissingError."""
    return _commits(name, "--all", "--full-history", f"--since={since}", "--", path)


def in_order(name: str, commits: set[str], since: str, last: str) -> list[str]:
    """Return `commits` by their place in the history of `last`, oldest first."""
    return [commit for commit in _commits(name, f"--since={since}", last) if commit in commits]


def contents(name: str, commits: list[str], path: str) -> Iterator[tuple[str, bytes | None]]:
    """Yield what `path` held in each of `commits`, None where there was no such file."""
    asked = "".join(f"{commit}:{path}\n" for commit in commits).encode()
    answer = _git(name, "cat-file", "--batch", given=asked)
    for commit in commits:
        head, _, answer = answer.partition(b"\n")
        if head.endswith(b" missing"):
            yield commit, None
            continue
        size = int(head.split()[2])
        yield commit, answer[:size]
        answer = answer[size + 1 :]


def _commits(name: str, *arguments: str) -> list[str]:
    return _git(name, "log", "--reverse", "--format=%H", *arguments).decode().split()


def _git(name: str, *arguments: str, given: bytes = b"") -> bytes:
    folder: Path = upstream.checkout(name)
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], input=given, capture_output=True, check=False
    )
    if done.returncode:
        raise upstream.UpstreamMissingError(
            f"git {arguments[0]} failed in {folder}: {done.stderr.decode().strip()}"
        )
    return done.stdout
