"""``macfix enable``: macfix in every interpreter of this environment, from now on."""

from __future__ import annotations

import argparse
import sys

from macfix.activation import enabling

from .output import tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix enable``."""
    parser.add_argument(
        "--check", action="store_true", help="change nothing; say whether macfix is enabled here"
    )


def main(args: argparse.Namespace) -> int:
    """Enable macfix here, or look whether it is.

    Returns:
        0 if interpreters of this environment come up with macfix now, else 1.
    """
    if args.check:
        return _tell_problems(enabling.problems())
    try:
        file, changed = enabling.enable()
    except enabling.CannotEnableError as error:
        print(f"macfix enable: {error}", file=sys.stderr)
        return 1
    tell(f"macfix {'is now' if changed else 'was already'} enabled in {sys.prefix}: {file}")
    if sys.platform != "darwin":
        print(f"On {sys.platform} it stays inactive, except with MACFIX_SIMULATE or MACFIX_FORCE.")
    problems = enabling.problems()
    return _tell_problems(problems) if problems else 0


def _tell_problems(problems: list[str]) -> int:
    for problem in problems:
        print(problem)
    if not problems:
        print(f"macfix is enabled in {sys.prefix}: {', '.join(enabling.written())}")
    return 1 if problems else 0
