"""A view of the file system in which actors meet nobody else's.

On a Mac, tractor's sockets lie in /tmp/tractor-<uid>, whatever the environment says, and some of
tractor's own tests use one fixed name there. Two test runs at the same time would find each other.
Where Linux lets us, each program therefore gets a mount namespace in which that folder is a private
one. Where it does not, programs share the folder, as on a Mac; that works as long as there is only
one of them.
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

BIND_THEN_RUN = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def meeting_place() -> Path:
    """Return the folder in which all actors of this user meet on macOS."""
    return Path("/tmp", f"tractor-{os.getuid()}")


def isolated(command: Sequence[str | Path], private: Path) -> list[str | Path]:
    """Return `command` so that it finds `private` at the meeting place, if that is possible here.

    The process keeps its pid: every step replaces the one before.
    """
    if not _possible():
        return list(command)
    return [*_words(private), *command]


@functools.cache
def _possible() -> bool:
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("mount"):
        return False
    meeting_place().mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as private:
        Path(private, "seen").touch()
        try:
            subprocess.run(
                [*_words(Path(private)), "test", "-e", str(meeting_place() / "seen")],
                check=True,
                capture_output=True,
                timeout=30,
            )
        except (OSError, subprocess.SubprocessError):
            return False
    return True


def _words(private: Path) -> list[str]:
    # A user namespace is what allows the rest to those who are not root; it keeps their ids.
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    places = [str(private), str(meeting_place())]
    return ["unshare", *user, "--mount", "--", "sh", "-c", BIND_THEN_RUN, "sh", *places]
