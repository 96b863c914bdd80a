"""Replaces macfix's own process by a program: same pid, same terminal, same standard streams.

The interpreter is exec'ed on the program, so ``__main__``, ``sys.argv``, the exit status, signals
and tracebacks are the interpreter's own. macfix gets into it through the environment, which its
children inherit.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

from . import enabling, environment
from .programs import CannotRunError


class CommandLine(NamedTuple):
    """How this process's interpreter was started.

    Attributes:
        flags: the interpreter's own options.
        kind: "-m", "-c", or "" for a file.
        program: the module, the text, or the file that it was started on; "" for none.
    """

    flags: tuple[str, ...]
    kind: str
    program: str

    @classmethod
    def parse(cls, words: Sequence[str]) -> CommandLine:
        """Read ``sys.orig_argv`` as the interpreter does (``Python/getopt.c``)."""
        flags: list[str] = []
        rest = list(words[1:])
        while rest:
            word = rest.pop(0)
            if word == "--":
                return cls(tuple(flags), "", rest[0] if rest else "")
            if word == "-" or not word.startswith("-"):
                return cls(tuple(flags), "", word)
            if word == "--check-hash-based-pycs":
                flags += [word, *rest[:1]]
                del rest[:1]
                continue
            at = next((i for i, c in enumerate(word) if i and c in "cmWX"), 0)
            if word.startswith("--") or not at:
                flags.append(word)
                continue
            value = word[at + 1 :] or (rest.pop(0) if rest else "")
            if word[at] in "cm":
                flags += [word[:at]] if at > 1 else []
                return cls(tuple(flags), f"-{word[at]}", value)
            flags += [word[: at + 1], value]
        return cls(tuple(flags), "", "")

    def is_macfix(self) -> bool:
        """Whether that was macfix's own command, and nobody runs macfix inside of this process."""
        if self.kind == "-m":
            return self.program in ("macfix", "macfix.__main__")
        argv0 = sys.argv[0] if sys.argv else ""
        is_file = self.program != "" and not self.kind
        return is_file and os.path.abspath(self.program) == os.path.abspath(argv0)


def run(program: Sequence[str], changes: Mapping[str, str] | None) -> NoReturn:
    """Replace this process by *program*.

    Args:
        program: what the interpreter is to run, with its arguments: as on its command line.
        changes: variables to set for it, or None if macfix need not get into it.

    Raises:
        CannotRunError: if macfix could not get into it, if somebody else runs macfix inside of this
            process, or if the interpreter cannot be started; the message says what to do.
    """
    started = CommandLine.parse(sys.orig_argv)
    if not started.is_macfix():
        raise CannotRunError(_other_order(program))
    if not sys.executable:
        raise CannotRunError("this Python does not know its own executable (sys.executable)")
    if changes is not None:
        _check_reach(started.flags)
    # the name by which it was called, where that leads to the same file: programs show it
    name = sys.orig_argv[0]
    name = name if shutil.which(name) == sys.executable else sys.executable
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    try:
        os.execve(sys.executable, [name, *started.flags, *program], os.environ | (changes or {}))
    except OSError as error:
        raise CannotRunError(f"{sys.executable} cannot be started: {error.strerror}") from None


def _check_reach(flags: Sequence[str]) -> None:
    """Refuse flags with which an interpreter does not look at what brings macfix into it."""
    if sys.flags.no_site:
        raise CannotRunError(
            "with -S Python executes neither sitecustomize nor .pth files, so macfix cannot get "
            "into the program: leave out -S"
        )
    why = environment.OBSTACLE
    if sys.flags.ignore_environment:
        why = f"with {'-I' if sys.flags.isolated else '-E'} Python ignores PYTHONPATH"
    if why and (found := enabling.problems(flags)):
        raise CannotRunError(f"{why}, so macfix cannot get into the program; {'; '.join(found)}")


def _other_order(program: Sequence[str]) -> str:
    """The message for a debugger, profiler or coverage that would be lost by an exec."""
    words = [*map(os.path.basename, sys.orig_argv[1:2]), *sys.orig_argv[2:]]
    at = next((i for i, w in enumerate(words) if os.path.basename(w) == "macfix"), 0)
    tool = words[: at - 1] if words[at - 1 : at] in (["-m"], ["--module"]) else words[:at]
    return (
        "macfix replaces the process by the program, and whatever runs macfix here would be lost: "
        f"turn the order around: {' '.join(['python -m macfix', *tool, *program])}"
    )
