"""A view of the machine in which actors meet nobody else's.

On a Mac, tractor's sockets lie in /tmp/tractor-<uid>, whatever the environment says; actors over
TCP meet at one port unless they are told another, piker's always; and some of tractor's own tests
use one fixed name. Two test runs at the same time, or a test and the user's own piker, would find
each other. Where Linux lets us, each program therefore gets namespaces in which that folder is a
private one and the loopback network is its own. Where it does not, programs share both, as on a
Mac; that works as long as there is only one of them.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

OWN_VIEW = Path(__file__).with_name("own_view.py")


def meeting_place() -> Path:
    """Return the folder in which all actors of this user meet on macOS."""
    return Path("/tmp", f"tractor-{os.getuid()}")


def isolated(
    command: Sequence[str | Path], private: Path, *, network: bool = True
) -> list[str | Path]:
    """Return `command` so that it finds `private` at the meeting place, if that is possible here.

    It has a loopback network of its own, unless `network` is False: for a program that is to reach
    a port of another one. The process keeps its pid: every step replaces the one before.
    """
    if not possible():
        return list(command)
    return [*_words(private, network), *command]


@functools.cache
def possible() -> bool:
    """Whether this machine lets programs have such a view."""
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("mount"):
        return False
    meeting_place().mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as private:
        Path(private, "seen").touch()
        try:
            subprocess.run(
                [*_words(Path(private), True), "test", "-e", str(meeting_place() / "seen")],
                check=True,
                capture_output=True,
                timeout=30,
            )
        except (OSError, subprocess.SubprocessError):
            return False
    return True


def _words(private: Path, network: bool) -> list[str]:
    # A user namespace is what allows the rest to those who are not root; it keeps their ids.
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    kinds = ["--mount", "--net"] if network else ["--mount"]
    program = [sys.executable, "-IS", str(OWN_VIEW), str(private), str(meeting_place())]
    return ["unshare", *user, *kinds, "--", *program, "own" if network else "shared"]
