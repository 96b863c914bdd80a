"""The command line: ``python -m macfix`` and the script ``macfix``.

Exit codes: a program that is run gives its own; otherwise 0 is success, 1 means that the command
found something wrong (``status``: a patch failed or does not know an upstream; ``demo``: a cure
failed), and 2 that the command line, or a ``MACFIX…`` variable, is wrong or that there is no such
program.

Until it is clear that no program is to be run, nothing is imported that need not be: a program may
have modules of its own that go by the names of the standard library's, and the simulation must
start before most of them are loaded.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # not typing's: see above
if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_SIMULATION = "1"
RUNNERS = ("run", "simulate")
COMMANDS = ("status", "doctor", "enable", "disable", "demo", "shm")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line *argv* (the process's own unless given) says.

    Returns:
        The exit code. A program that is run may leave this function by any exception as well.
    """
    from macfix.activation.programs import CannotRunError

    if argv is None:
        from macfix.activation.root import keep_dependencies_importable
        from macfix.activation.runner import take_over_path

        take_over_path()
        keep_dependencies_importable()
        argv = sys.argv[1:]
    try:
        return _dispatch(list(argv))
    except CannotRunError as error:
        print(f"macfix: {error}", file=sys.stderr)
        return 2


def _dispatch(words: list[str]) -> int:
    simulate = take_simulate(words) or os.environ.get("MACFIX_SIMULATE")
    first = words[0] if words else ""
    if first in RUNNERS:
        return _run_program(first, words[1:], simulate)
    if first in COMMANDS or not is_program(first):
        from .commands import command

        return command(words, simulate)
    return _run_program("run", words, simulate)


def _run_program(command: str, words: list[str], simulate: str | None) -> int:
    simulate = take_simulate(words) or simulate
    if not words or not is_program(words[0]):
        from .commands import usage_of_runner

        return usage_of_runner(command, words)
    from .run import run

    if command == "simulate":
        return run(words, simulate=simulate or DEFAULT_SIMULATION, cure=False)
    return run(words, simulate=simulate, cure=True)


def take_simulate(words: list[str]) -> str | None:
    """Take the leading ``--simulate`` or ``--simulate=SPEC`` off *words*, and return the SPEC."""
    spec = None
    while words and words[0].partition("=")[0] == "--simulate":
        spec = words.pop(0).partition("=")[2] or DEFAULT_SIMULATION
    return spec


def is_program(word: str) -> bool:
    """Whether *word* begins a program rather than being an option of macfix's."""
    return bool(word) and (not word.startswith("-") or word[:2] in ("-m", "-c"))
