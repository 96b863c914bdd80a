"""Run one program twice, alone and by macfix's runner, and compare all that it shows."""

from __future__ import annotations

import difflib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.surroundings import REPOSITORY

PATIENCE = 60.0


@dataclass(frozen=True)
class Shown:
    """What a program showed of itself: its exit code (negative: the signal) and its output."""

    returncode: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"exit code {self.returncode}\n{self.stdout}\n--- standard error ---\n{self.stderr}"


@dataclass(frozen=True)
class Twins:
    """Starts programs in *folder*, alone and through macfix.

    Attributes:
        folder: the current directory of the programs.
        macfix: the words that start macfix's runner, after the interpreter and its options.
    """

    folder: Path
    macfix: tuple[str, ...] = ("-m", "macfix")

    def alone(self, words: Sequence[str], **how: object) -> Shown:
        """Run *words* as Python does."""
        return self._run(words, **how)  # type: ignore[arg-type]

    def by_macfix(self, words: Sequence[str], **how: object) -> Shown:
        """Run *words* as ``python -m macfix`` does."""
        return self._run([*self.macfix, *words], **how)  # type: ignore[arg-type]

    def assert_same(self, words: Sequence[str], **how: object) -> Shown:
        """Run *words* both ways; what they show must be equal, and is returned.

        *how* is what `_run` takes: options, env, stdin, merged, interrupted_after.
        """
        alone, by_macfix = self.alone(words, **how), self.by_macfix(words, **how)
        if by_macfix != alone:
            lines = difflib.unified_diff(
                str(alone).splitlines(),
                str(by_macfix).splitlines(),
                "alone",
                "by macfix",
                lineterm="",
            )
            raise AssertionError("\n".join([f"{words} differs:", *lines]))
        return alone

    def _run(
        self,
        words: Sequence[str],
        *,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        merged: bool = False,
        interrupted_after: str | None = None,
    ) -> Shown:
        """
        Args:
            words: the program and its arguments.
            options: of the interpreter, for instance ``-O``.
            env: variables on top of a minimal environment.
            stdin: text on standard input.
            merged: whether standard error goes where standard output does.
            interrupted_after: a line of output upon which the program gets a SIGINT.
        """
        process = subprocess.Popen(
            [sys.executable, *options, *words],
            cwd=self.folder,
            env=self._environment() | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
        )
        head = ""
        try:
            if interrupted_after is not None:
                assert process.stdout is not None
                while head.rpartition("\n")[0].splitlines()[-1:] != [interrupted_after]:
                    line = process.stdout.readline()
                    assert line, "the program ended before it could be interrupted"
                    head += line
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(stdin, timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
        return Shown(process.returncode, _comparable(head + out), _comparable(err or ""))

    def _environment(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "LANG", "LC_ALL")
        env = {name: os.environ[name] for name in kept if name in os.environ}
        # macfix is on the path in both runs: only the runner may make a difference
        return env | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}


def _comparable(text: str) -> str:
    """*text* without what differs between two runs of the same program: addresses and the like.

    How deep a recursion gets differs too: macfix's few frames are below the program's.
    """
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", text)
    return re.sub(r"(?<=pid=)\d+|(?<=started )\d+|(?<=line repeated )\d+", "…", text)
