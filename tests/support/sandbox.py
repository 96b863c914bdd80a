"""Folders of its own for one test: home, cache, temporary files, runtime sockets."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FORGOTTEN = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "PYTHONSTARTUP", "PYTHONHOME")
"""Variables that would lead a program out of the sandbox, or into the tester's own habits."""


@dataclass(frozen=True)
class Sandbox:
    """The folders of one test, below a `root` whose path is short.

    A Unix socket's path has 104 bytes on macOS: pytest's own temporary folders, named after the
    test, would eat most of them.
    """

    root: Path

    @classmethod
    def make(cls) -> Sandbox:
        """Create one below /tmp; `remove()` takes it away again."""
        sandbox = cls(Path(tempfile.mkdtemp(prefix="mf-", dir="/tmp")))
        for folder in (
            sandbox.home,
            sandbox.cache,
            sandbox.temporary,
            sandbox.runtime,
            sandbox.meeting,
        ):
            folder.mkdir(mode=0o700)
        return sandbox

    @property
    def home(self) -> Path:
        """HOME."""
        return self.root / "h"

    @property
    def cache(self) -> Path:
        """XDG_CACHE_HOME."""
        return self.root / "c"

    @property
    def temporary(self) -> Path:
        """TMPDIR."""
        return self.root / "t"

    @property
    def runtime(self) -> Path:
        """XDG_RUNTIME_DIR: where programs on Linux put their sockets."""
        return self.root / "r"

    @property
    def meeting(self) -> Path:
        """What programs find at the place where a Mac user's actors meet; see `isolation`."""
        return self.root / "m"

    @property
    def segments(self) -> Path:
        """Where the simulation keeps shared memory segments; it makes the folder itself."""
        return self.root / "s"

    def variables(self) -> dict[str, str]:
        """Return the environment variables that lead a program into these folders."""
        return {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.cache),
            "TMPDIR": str(self.temporary),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "MACFIX_SIMULATE_DIR": str(self.segments),
        }

    def environment(self, start: Mapping[str, str]) -> dict[str, str]:
        """Return `start` with these folders, and without any other MACFIX variable."""
        kept = {
            name: value
            for name, value in start.items()
            if not name.startswith("MACFIX") and name not in FORGOTTEN
        }
        return kept | self.variables()

    def remove(self) -> None:
        """Delete everything below `root`, also what a test made unreadable."""
        for folder, _, _ in os.walk(self.root):
            if not os.access(folder, os.W_OK | os.X_OK):
                os.chmod(folder, 0o700)
        shutil.rmtree(self.root, ignore_errors=True)


def sockets_below(folder: Path) -> Iterator[Path]:
    """Yield the socket files in `folder` and all folders in it; none if there is no such folder."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            try:
                if stat.S_ISSOCK(path.lstat().st_mode):
                    yield path
            except FileNotFoundError:
                continue  # its owner was just taking it away
