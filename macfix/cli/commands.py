"""What the command line says: a program to run, or a command of macfix's own."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn, TextIO, cast

from macfix import __version__
from macfix import simulate as simulation
from macfix._variables import if_on, nearest
from macfix.activation.enabling import CannotEnableError
from macfix.activation.programs import CannotRunError, interpreter_of, script_folders
from macfix.activation.runner import CommandLine
from macfix.engine.config import VARIABLES

from . import run
from .output import CannotWriteError, Output, facts

DEFAULT_SIMULATION = "1"

USAGE = "macfix [-q | -v] [--simulate[=SPEC]] (PROGRAM | COMMAND) [ARGUMENT ...]"

SUMMARIES = {
    "run": "run a program; the same as giving the program alone",
    "simulate": "run a program as on a Mac, unpatched (needs Linux)",
    "status": "the state of every patch with the upstreams installed here",
    "doctor": "whether macfix works here, and what to do where not",
    "conformance": "whether the kernel does what macfix takes for granted",
    "demo": "the defects and their fixes, on small programs",
    "shm": "shared memory: list it, and free what nobody uses",
    "enable": "activate macfix in every interpreter of this environment",
    "disable": "undo `macfix enable`",
    "new-patch": "write a patch of your own: a plugin and a test",
    "completion": "print what makes bash, zsh or fish complete macfix",
}

EXAMPLES = {
    "run": ("macfix run my_actors.py", "macfix run status   # a program of that name"),
    "simulate": ("macfix simulate my_actors.py", "macfix simulate --simulate=page=4096 -m mine"),
    "status": ("macfix status -v", "macfix --simulate status", "macfix status --json"),
    "doctor": ("macfix doctor", "macfix doctor --report report.txt"),
    "conformance": ("macfix conformance", "macfix --simulate conformance -q"),
    "demo": ("macfix demo", "macfix demo --quick"),
    "shm": ("macfix shm ls", "macfix shm reap --dry-run"),
    "enable": ("macfix enable", "macfix enable --check"),
    "disable": ("macfix disable",),
    "new-patch": ("macfix new-patch mine-wrong-port --target tractor.ipc._tcp",),
    "completion": ('eval "$(macfix completion bash)"', "macfix completion fish | source"),
}

TOPICS = ("programs", "variables", "exit-codes", "simulation")

RUNNERS = {
    "run": "macfix run [-v] [--simulate[=SPEC]] PROGRAM [ARGUMENT ...]",
    "simulate": "macfix simulate [-v] [--simulate=SPEC] PROGRAM [ARGUMENT ...]",
}

QUIET, VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")


class Parser(argparse.ArgumentParser):
    """Takes -q and -v and no abbreviations, and suggests what a wrong word was to be."""

    def __init__(self, *, hidden: bool = False, **settings: Any) -> None:
        settings["formatter_class"] = argparse.RawDescriptionHelpFormatter
        super().__init__(**settings, allow_abbrev=False)
        self.set_defaults(parser=self)  # of a command's own commands: the one that is meant
        group = self.add_mutually_exclusive_group()
        kind: Any = {"dest": "verbosity", "action": "store_const", "default": argparse.SUPPRESS}
        for words, level, text in ((QUIET, -1, "only what is wrong"), (VERBOSE, 1, "say more")):
            told = argparse.SUPPRESS if hidden else text
            group.add_argument(*words, const=level, help=told, **kind)

    def error(self, message: str) -> NoReturn:
        """As ever, with a hint."""
        wrong = re.search(r"(?:arguments|choice): '?([^\s'=]+)", message)
        known = re.findall(r"--[a-z][\w-]*", self.format_help())
        known += re.findall(r"[\w-]+", message.partition("choose from")[2])
        super().error(message + (nearest(wrong[1], known) if wrong else ""))


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
    if "_ARGCOMPLETE" in os.environ:  # a shell completes a command line
        import_module("macfix.cli.completion").complete(_whole_parser())
    simulate, said = _take_options(words)
    simulate = simulate or if_on(os.environ.get("MACFIX_SIMULATE"))
    first = words[0] if words else ""
    try:
        if first == "help":
            return _help(words[1:])
        if first in RUNNERS:
            return _run(first, words[1:], simulate, said)
        if first in SUMMARIES or not _is_program(first):
            return _command(words, simulate, said)
        return _run("run", words, simulate, said)
    except SystemExit as end:  # argparse: 0 after --help or --version, 2 for what makes no sense
        return int(end.code or 0)
    except (CannotRunError, simulation.SimulationError, CannotEnableError, OSError) as error:
        print(f"macfix: {error}", file=sys.stderr)
        if isinstance(error, CannotRunError) and (hint := _meant(first, simulate)):
            print(f"macfix: {hint}", file=sys.stderr)
        return 1 if isinstance(error, (CannotEnableError, OSError)) else 2


def _meant(word: str, simulate: str | None) -> str:
    """Ask what the first *word*, which is no program, was to be; nothing if it looks like none."""
    if simulate and "=" in word:
        return f"did you mean --simulate={word}?"
    if word in SUMMARIES or not word.replace("-", "").isalpha():
        return ""
    return nearest(word, (*SUMMARIES, "help")).removeprefix("; ")


def _take_options(words: list[str]) -> tuple[str | None, list[str]]:
    """Take macfix's options off the beginning of *words*: the SPEC to simulate, and the others."""
    spec, others = None, []
    while words and words[0].partition("=")[0] in ("--simulate", *QUIET, *VERBOSE):
        name, _, value = words.pop(0).partition("=")
        if name == "--simulate":
            spec = value or DEFAULT_SIMULATION
        else:
            others.append(name)
    return spec, others


def _is_program(word: str) -> bool:
    """Whether *word* begins a program rather than being an option of macfix's."""
    return word == "-" or (bool(word) and (word[0] != "-" or word[:2] in ("-m", "-c")))


def _run(command: str, words: list[str], simulate: str | None, said: list[str]) -> int:
    inner, more = _take_options(words)
    said = [*said, *more]
    quiet = [each for each in said if each in QUIET]
    if not words or not _is_program(words[0]):
        _refuse(_parser_of(command), words)
    if quiet:
        _parser_of(command).error(f"{quiet[0]} is for macfix's own commands: leave it out")
    if said and not if_on(os.environ.get("MACFIX_LOG")):
        os.environ["MACFIX_LOG"] = "info"
    spec = inner or simulate
    if command == "simulate":
        run.run(words, simulate=spec or DEFAULT_SIMULATION, patched=False)
    run.run(words, simulate=spec, patched=True)


def _command(words: Sequence[str], simulate: str | None, said: list[str]) -> int:
    if not words:
        _main_parser().print_help(sys.stderr)
        return 2
    name = words[0]
    if name not in SUMMARIES:
        _refuse(_main_parser(), words)
    args, unknown = parse(name, [*said, *words[1:]])
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    args.simulate = simulate and run.simulation_spec(simulate)
    if simulate is not None and name in ("conformance", "doctor", "shm"):  # others start processes
        simulation.start(args.simulate)
    main: Callable[[argparse.Namespace], int] = _module(name).main
    return main(args)


def parse(name: str, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read *words* as those of the command *name*; the answer has the unknown ones, too."""
    return _parser_of(name).parse_known_args(words, argparse.Namespace(verbosity=0))


def _help(words: list[str]) -> int:
    """Explain a topic, or a command as its own -h does."""
    if not words or words[0] in SUMMARIES or words[0].startswith("-"):
        return _dispatch([*words, "-h"])
    if words[0] not in TOPICS:
        known = (*SUMMARIES, *TOPICS)
        hint = nearest(words[0], known) or f", only on {', '.join(known)}"
        _main_parser().error(f"there is no help on {words[0]!r}{hint}")
    if words[0] == "variables":
        print(facts([(name, text.replace("`", "")) for name, text in VARIABLES.items()]))
    else:
        print(_text(words[0]), end="")
    return 0


def _text(name: str) -> str:
    from importlib import resources  # slow to import, and no program needs it

    return (resources.files(__package__) / "help" / f"{name}.txt").read_text("utf-8")


def _refuse(parser: argparse.ArgumentParser, words: Sequence[str]) -> NoReturn:
    """Answer *words* that begin no program: with help, the version, or an error that has a hint."""
    parser.parse_known_args(words[:1])
    if not words:
        parser.error("no program was given")
    if not words[0]:
        parser.error("'' is no program")
    option = words[0].partition("=")[0]
    hint = nearest(option, ("--simulate", "--version", "--verbose", "--help"), "--")
    if option == "--" or option[1:2] in tuple("bBdEiIOPqsSuvWxX"):
        python = CommandLine.parse(["", *words])
        words = ["python", *python.flags, "-m", parser.prog, python.kind, python.program]
        right = " ".join(filter(None, words))
        hint = f"; try `{right}` (Python's own options stand before -m)"
    parser.error(f"unknown option {option}{hint or ' (those of a program come after it)'}")


def _main_parser() -> Parser:
    text = _text("macfix").format(commands=facts(SUMMARIES.items())).rstrip()
    parser = Parser(prog="macfix", usage=USAGE, description=text, add_help=False, hidden=True)
    hidden: Any = {"help": argparse.SUPPRESS}  # the text has them
    parser.add_argument("-h", "--help", action="help", **hidden)
    version = f"macfix {__version__}"
    parser.add_argument("-V", "--version", action="version", version=version, **hidden)
    parser.add_argument("--simulate", metavar="SPEC", nargs="?", **hidden)
    return parser


def _parser_of(name: str) -> Parser:
    return _fill(Parser(prog=f"macfix {name}", usage=RUNNERS.get(name)), name)


def _fill(parser: Parser, name: str) -> Parser:
    """Declare what the command *name* takes."""
    parser.description = f"{SUMMARIES[name][0].upper()}{SUMMARIES[name][1:]}."
    if name in RUNNERS:
        parser.add_argument("--simulate", metavar="SPEC", nargs="?", help="which Mac to simulate")
        parser.epilog = "`macfix help programs` tells how PROGRAM is found."
    elif hasattr(_module(name), "add_arguments"):
        _module(name).add_arguments(parser)
    examples = "\n  ".join(("examples:", *EXAMPLES[name]))
    parser.epilog = f"{parser.epilog}\n\n{examples}" if parser.epilog else examples
    return parser


def _module(name: str) -> Any:
    return import_module(f"macfix.cli.{name.replace('-', '_')}")


def _whole_parser() -> Parser:
    """All of the command line in one, for completion: this imports every command."""
    parser = _main_parser()
    commands = parser.add_subparsers()
    for name, summary in SUMMARIES.items():
        _fill(commands.add_parser(name, help=summary), name)
    commands.add_parser("help").add_argument("topic", choices=(*SUMMARIES, *TOPICS))
    folders = filter(os.path.isdir, script_folders())
    files = [file for folder in folders for file in os.scandir(folder)]
    scripts = {file.name for file in files if interpreter_of(file.path) is not None}
    for name in (scripts - SUMMARIES.keys()) | RUNNERS.keys():
        program = commands.choices.get(name) or commands.add_parser(name)
        program.add_argument("words", nargs=argparse.REMAINDER)  # completed as files
    return parser
