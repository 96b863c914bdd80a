"""What the command line says: a program to run, or a command of macfix's own."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from macfix import __version__
from macfix import simulate as simulation
from macfix.activation.locate import CannotRunError
from macfix.engine.config import VARIABLES

from . import run
from .tables import facts

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

SPEC says which Mac to simulate, for instance names=31,page=4096; the default is an Apple silicon
Mac as strict as they get. MACFIX_SIMULATE=SPEC in the environment is the same as --simulate=SPEC.

environment:
{facts([("  " + name, meaning.replace("`", "")) for name, meaning in VARIABLES.items()], 100)}

exit codes:
  of a program that is run: its own
  0    all is well
  1    the command found something wrong
  2    the command line is wrong, or there is no such program; `doctor`: something is broken
  130  Ctrl-C
"""

SUMMARIES = {
    "run": "Run a program; the same as giving the program alone",
    "simulate": "Run a program as on a Mac without macfix (needs Linux)",
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
    if sys.stdout is not None and sys.stdout.closed:  # by a sitecustomize: nobody is to read it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # keys and paths may hold anything
    try:
        status = _dispatch(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (CannotRunError, simulation.SimulationError) as error:
        print(f"macfix: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # of the environment: a full disk, a pipe that nobody reads
        return _failed(error)
    return status


def _failed(error: OSError) -> int:
    if not isinstance(error, BrokenPipeError):  # else whoever read it has seen enough
        print(f"macfix: {error}", file=sys.stderr)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains as it ends
    return 1


def _dispatch(words: list[str]) -> int:
    simulate = _take_simulate(words) or os.environ.get("MACFIX_SIMULATE") or None
    first = words[0] if words else ""
    try:
        if first in RUNNERS:
            return _run(first, words[1:], simulate)
        if first in SUMMARIES or not _is_program(first):
            return _command(words, simulate)
        return _run("run", words, simulate)
    except SystemExit as end:  # argparse: 0 after --help or --version, 2 for what makes no sense
        return int(end.code or 0)


def _run(command: str, words: list[str], simulate: str | None) -> int:
    simulate = _take_simulate(words) or simulate
    if not words or not _is_program(words[0]):
        _usage_of_runner(command, words)
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
        parser = _main_parser()
        parser.parse_args(words)
        parser.error(f"there is no command or program in {' '.join(words)}")
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


def _usage_of_runner(name: str, words: Sequence[str]) -> None:
    """Answer for ``run`` or ``simulate`` without a program: with help, or with an error.

    Raises:
        SystemExit: always.
    """
    parser = _parser_of(name, usage=RUNNERS[name])
    parser.add_argument("--simulate", metavar="SPEC", nargs="?", help="which Mac to simulate")
    if not {"-h", "--help"}.isdisjoint(words[:1]):
        parser.parse_args(words[:1])
    elif not words:
        parser.error("no program was given")
    parser.error(f"unknown option {words[0]} (the options of a program come after the program)")


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
