"""Everything on the command line but the running of programs: options, help, subcommands."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from macfix import __version__

from . import COMMANDS
from .run import check_settings, simulation_spec, start_simulation
from .tables import facts

DESCRIPTION = (
    "Run piker, tractor, and programs that use them, on macOS without touching their code."
)

EPILOG = """\
PROGRAM is looked for in this order; everything after it belongs to the program:
  -m MODULE        a module, as Python runs it (and -c TEXT)
  a path           of a script, or of a folder or zip file with a __main__.py
  a script         of this environment, as pip installs them
  a console script that an installed distribution declares
  a package        with a __main__ module
`macfix run status` runs a program that goes by the name of a command.

SPEC says which Mac to simulate, for instance names=31,page=4096; the default is an Apple silicon
Mac as strict as they get. MACFIX_SIMULATE=SPEC in the environment is the same as --simulate=SPEC.

environment:
  MACFIX=off            change nothing
  MACFIX_SKIP=a,b       leave these patches out
  MACFIX_ONLY=a,b       apply these patches only
  MACFIX_FORCE=a,b      apply these patches on any platform
  MACFIX_PLUGINS=a,b    load these plugins only, besides the built-in ones
  MACFIX_STRICT=1       make a failing patch or plugin an error

exit codes:
  of a program that is run: its own
  0  all is well
  1  the command found something wrong
  2  the command line or a MACFIX variable is wrong, or there is no such program
"""

SUMMARIES = {
    "run": "Run a program; the same as giving the program alone",
    "simulate": "Run a program as on a Mac without macfix (needs Linux)",
    "status": "What becomes of every patch with the upstreams that are installed here",
    "enable": "Have every interpreter of this environment come up with macfix (--check: look)",
    "disable": "Undo `macfix enable`",
    "demo": "Show the defects and their cures on small programs of macfix's own",
    "doctor": "Report everything about this environment that matters to macfix",
    "shm": "Look at shared memory segments, and free those that nobody uses any more",
}

RUNNER_USAGE = {
    "run": "macfix run [--simulate[=SPEC]] PROGRAM [ARGUMENT ...]",
    "simulate": "macfix simulate [--simulate=SPEC] PROGRAM [ARGUMENT ...]",
}


def command(words: Sequence[str], simulate: str | None) -> int:
    """Do what *words* say, which begin with a command or an option, or are empty.

    Args:
        words: the command line after ``--simulate``.
        simulate: the specification of the simulation to do it under, if any.

    Raises:
        SystemExit: with code 2 if *words* make no sense, and 0 after ``--help`` or ``--version``.
        CannotRunError: if a setting that matters is wrong, or the simulation cannot start.
    """
    if not words:
        _main_parser().print_help(sys.stderr)
        return 2
    name, arguments = words[0], words[1:]
    if name == "demo":  # has a parser of its own, and simulates where it must
        from macfix import demo

        return demo.main(arguments)
    if name not in COMMANDS:
        _main_parser().parse_args(words)
        raise AssertionError(f"argparse accepted {words}")
    module = import_module(f"macfix.cli.{name}")
    parser = _parser_of(name)
    module.add_arguments(parser)
    args = parser.parse_args(arguments)
    if name == "status":
        check_settings()
    args.simulate = simulate and simulation_spec(simulate)
    if simulate is not None and name != "status":  # which does so in a process of its own
        start_simulation(simulate)
    return _told(module.main, args)


def _told(main: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Call *main*, whose output anybody can read, and nobody has to."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # keys and paths may hold anything
    try:
        status = main(args)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains as it ends
        return 1
    return status


def usage_of_runner(name: str, words: Sequence[str]) -> int:
    """Answer for ``run`` or ``simulate`` without a program: with help, or with an error.

    Raises:
        SystemExit: always.
    """
    parser = _parser_of(name, usage=RUNNER_USAGE[name])
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
        description=f"{DESCRIPTION}\n\n{_list_of_commands()}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"macfix {__version__}")
    parser.add_argument(
        "--simulate", metavar="SPEC", nargs="?", help="do it on a simulated Mac (needs Linux)"
    )
    return parser


def _list_of_commands() -> str:
    return "commands:\n" + facts(SUMMARIES.items())


def _parser_of(name: str, usage: str | None = None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"macfix {name}", usage=usage, description=f"{SUMMARIES[name]}."
    )
