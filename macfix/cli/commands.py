"""What the command line says: a program to run, or a command of macfix's own."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn, TextIO, cast

from macfix import __version__
from macfix import simulate as simulation
from macfix._variables import if_on
from macfix.activation.enabling import CannotEnableError
from macfix.activation.locate import CannotRunError
from macfix.activation.runner import CommandLine
from macfix.engine.config import VARIABLES, nearest

from . import run
from .output import CannotWriteError, Output, facts

DESCRIPTION = (
    "Run piker, tractor, and programs that use them, on macOS without touching their code."
)

DEFAULT_SIMULATION = "1"

EPILOG = f"""\
PROGRAM is looked for in this order; everything after it belongs to the program:
  -m MODULE        a module, as Python runs it (and -c TEXT, and - for standard input)
  a path           of a script, or of a folder or zip file with a __main__.py
  a script         of this environment, as pip installs them
  a console script that an installed distribution declares
  a package        with a __main__ module
`macfix run status` runs a program that goes by the name of a command.

`macfix simulate PROGRAM` leaves it unpatched, to fail as on a Mac; `macfix --simulate PROGRAM`
patches it. SPEC says which Mac to simulate, for instance names=31,page=4096; the default is an
Apple silicon Mac as strict as they get. MACFIX_SIMULATE=SPEC in the environment is the same as
--simulate=SPEC; blank, 0, off, no and false are no simulation.

environment:
{facts([("  " + name, meaning.replace("`", "")) for name, meaning in VARIABLES.items()], 100)}

exit codes:
  of a program that is run: its own
  0    all is well
  1    the command found something wrong, or cannot write what it found
  2    the command line is wrong, or there is no such program; `doctor`: something is broken
  130  Ctrl-C
"""

SUMMARIES = {
    "run": "Run a program; the same as giving the program alone",
    "simulate": "Run a program as on a Mac, unpatched (needs Linux)",
    "status": "The state of every patch with the upstreams that are installed here",
    "enable": "Activate macfix in every interpreter of this environment (--check: look)",
    "disable": "Undo `macfix enable`",
    "demo": "Show the defects and their fixes on small programs of macfix's own",
    "doctor": "Say whether macfix works here, and what to do where it does not",
    "conformance": "Ask the kernel for every fact about XNU that macfix takes for granted",
    "shm": "Look at shared memory segments, and free those that nobody uses any more",
}

RUNNERS = {
    "run": "macfix run [--simulate[=SPEC]] PROGRAM [ARGUMENT ...]",
    "simulate": "macfix simulate [--simulate=SPEC] PROGRAM [ARGUMENT ...]",
}


def dispatch(words: list[str]) -> int:
    """Do what *words* say; the answer is the exit code."""
    readable = sys.stdout is not None and not sys.stdout.closed  # by a sitecustomize
    if readable and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # keys and paths may hold anything
    try:
        with contextlib.redirect_stdout(cast("TextIO", Output(sys.stdout)) if readable else None):
            status = _dispatch(words)
            print(end="", flush=True)
    except CannotWriteError as error:
        (why,) = error.args
        if not isinstance(why, BrokenPipeError):  # else whoever read it has seen enough
            print(f"macfix: cannot write to standard output: {why.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains as it ends
        return 1
    return status


def _dispatch(words: list[str]) -> int:
    simulate = _take_simulate(words) or if_on(os.environ.get("MACFIX_SIMULATE"))
    first = words[0] if words else ""
    try:
        if first in RUNNERS:
            return _run(first, words[1:], simulate)
        if first in SUMMARIES or not _is_program(first):
            return _command(words, simulate)
        return _run("run", words, simulate)
    except SystemExit as end:  # argparse: 0 after --help or --version, 2 for what makes no sense
        return int(end.code or 0)
    except (CannotRunError, simulation.SimulationError, CannotEnableError, OSError) as error:
        is_name = isinstance(error, CannotRunError) and first.isalpha()
        hint = nearest(first, (*SUMMARIES, *RUNNERS)) if is_name else ""
        print(f"macfix: {error}{hint}", file=sys.stderr)
        return 1 if isinstance(error, (CannotEnableError, OSError)) else 2


def _run(command: str, words: list[str], simulate: str | None) -> int:
    simulate = _take_simulate(words) or simulate
    if not words or not _is_program(words[0]):
        parser = _parser_of(command, usage=RUNNERS[command])
        parser.add_argument("--simulate", metavar="SPEC", nargs="?", help="which Mac to simulate")
        _refuse(parser, words)
    if command == "simulate":
        run.run(words, simulate=simulate or DEFAULT_SIMULATION, patched=False)
    run.run(words, simulate=simulate, patched=True)


def _take_simulate(words: list[str]) -> str | None:
    """Take the leading ``--simulate`` or ``--simulate=SPEC`` off *words*, and return the SPEC."""
    spec = None
    while words and words[0].partition("=")[0] == "--simulate":
        spec = words.pop(0).partition("=")[2] or DEFAULT_SIMULATION
    return spec


def _is_program(word: str) -> bool:
    """Whether *word* begins a program rather than being an option of macfix's."""
    return word == "-" or (bool(word) and (word[0] != "-" or word[:2] in ("-m", "-c")))


def _command(words: Sequence[str], simulate: str | None) -> int:
    if not words:
        _main_parser().print_help(sys.stderr)
        return 2
    name, arguments = words[0], words[1:]
    if name not in SUMMARIES:
        _refuse(_main_parser(), words)
    module = import_module(f"macfix.cli.{name}")
    parser = _parser_of(name)
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    args = parser.parse_args(arguments)
    args.simulate = simulate and run.simulation_spec(simulate)
    if simulate is not None and name in ("conformance", "doctor", "shm"):  # others start processes
        simulation.start(args.simulate)
    main: Callable[[argparse.Namespace], int] = module.main
    return main(args)


def _refuse(parser: argparse.ArgumentParser, words: Sequence[str]) -> NoReturn:
    """Answer *words* that begin no program: with help, the version, or an error that has a hint."""
    parser.parse_known_args(words[:1])
    if not words:
        parser.error("no program was given")
    option = words[0].partition("=")[0]
    hint = nearest(option, ("--simulate", "--version", "--help"))
    if option == "--" or option[1:2] in tuple("bBdEiIOPqsSuvWxX"):
        python = CommandLine.parse(["", *words])
        words = ["python", *python.flags, "-m", parser.prog, python.kind, python.program]
        right = " ".join(filter(None, words))
        hint = f"; try `{right}` (Python's own options stand before -m)"
    parser.error(f"unknown option {option}{hint or ' (those of a program come after it)'}")


def _main_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="macfix",
        usage="macfix [--simulate[=SPEC]] (PROGRAM [ARGUMENT ...] | COMMAND ...)",
        description=f"{DESCRIPTION}\n\ncommands:\n{facts(SUMMARIES.items())}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"macfix {__version__}")
    parser.add_argument(
        "--simulate", metavar="SPEC", nargs="?", help="do it on a simulated Mac (needs Linux)"
    )
    return parser


def _parser_of(name: str, usage: str | None = None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"macfix {name}",
        usage=usage,
        description=f"{SUMMARIES[name]}.",
        allow_abbrev=False,
    )
