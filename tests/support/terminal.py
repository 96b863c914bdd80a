"""A user at a terminal of 80 columns and 24 lines: what is typed, and what is seen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROWS, COLUMNS = 24, 80

_ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Makes the terminal the one that Ctrl-C comes from, and becomes the program."""


def at_a_terminal(
    words: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    type_: Callable[[str], str] = lambda seen: "",
) -> tuple[int, str]:
    """Run a program to its end; return its exit code and all that it wrote.

    `type_` is asked whenever something was written what the user types then, given all of it.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-ISc", _ON_TERMINAL, *map(str, words)],
        cwd=cwd,
        env=dict(env) | {"TERM": "xterm"},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    seen = b""
    with process, os.fdopen(ours, "r+b", buffering=0) as terminal, contextlib.suppress(OSError):
        while some := terminal.read(4096):  # an error on Linux when nobody has it open any more
            seen += some
            terminal.write(type_(seen.decode(errors="replace")).encode())
    return process.returncode, seen.decode().replace("\r\n", "\n")
