"""``macfix enable``: macfix in every interpreter of this environment, from now on."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import macfix
from macfix.activation import enabling
from macfix.activation.environment import ROOT

from .output import agrees, at_a_terminal, tell, this_macfix


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix enable``."""
    parser.add_argument(
        "--check", action="store_true", help="change nothing; say whether macfix is enabled here"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def main(args: argparse.Namespace) -> int:
    """Enable macfix here, or look whether it is.

    Returns:
        0 if interpreters of this environment come up with macfix now, else 1.
    """
    if not args.check:
        _refuse_throw_away()
        if not args.yes and os.path.isdir(ROOT) and not _installed():
            why = f"macfix is not installed in {sys.prefix}: it is loaded from {ROOT}"
            if not at_a_terminal():
                hint = "`macfix enable --yes` enables that one in every interpreter here"
                raise enabling.CannotEnableError(f"{why}; {hint}")
            if not agrees(f"{why}.\nHave every interpreter of this environment load that one?"):
                return 1
        file, changed = enabling.enable()
        if args.verbosity >= 0:
            tell(f"macfix {'is now' if changed else 'was already'} enabled in {sys.prefix}: {file}")
        if args.verbosity >= 0 and changed:
            print(f"`{this_macfix()} disable` undoes it.")
        if args.verbosity > 0:
            print(f"It is loaded from {ROOT}.")
        if args.verbosity >= 0 and sys.platform != "darwin":
            print(f"On {sys.platform} it stays inactive, but for MACFIX_SIMULATE and MACFIX_FORCE.")
    problems = enabling.problems()
    for problem in problems:
        print(problem)
    if args.check and not problems and args.verbosity >= 0:
        first, *others = enabling.written()
        over = f" (which wins over {', '.join(others)})" if others else ""
        print(f"macfix is enabled in {sys.prefix}: {first}{over}")
    return 1 if problems else 0


def _refuse_throw_away() -> None:
    """Refuse what uvx and `pipx run` make for one command; no program is run there."""
    prefix, right = Path(sys.prefix), ""
    if re.fullmatch(r"(archive|builds|environments)-v\d+", prefix.parent.name):
        right = "uv run --no-project macfix enable"
    elif (prefix / "pipx_metadata.json").exists() and prefix.parent.name != "venvs":
        right = "python -m macfix enable"
    if right:
        raise enabling.CannotEnableError(
            f"{prefix} is an environment for this one command; install macfix into the environment "
            f"that has tractor or piker, and enable it there: `{right}`"
        )


def _installed() -> bool:
    """Whether interpreters of this environment find this macfix without PYTHONPATH, too."""
    env = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    words = [sys.executable, "-c", "import macfix; print(ascii(macfix.__file__))"]
    done = subprocess.run(words, env=env, cwd="/", capture_output=True, timeout=60)
    return ascii(macfix.__file__).encode() in done.stdout
