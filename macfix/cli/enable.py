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
    if not args.check:
        file, changed = enabling.enable()
        tell(f"macfix {'is now' if changed else 'was already'} enabled in {sys.prefix}: {file}")
        if sys.platform != "darwin":
            print(f"On {sys.platform} it stays inactive, but for MACFIX_SIMULATE and MACFIX_FORCE.")
    problems = enabling.problems()
    for problem in problems:
        print(problem)
    if args.check and not problems:
        first, *others = enabling.written()
        over = f" (which wins over {', '.join(others)})" if others else ""
        print(f"macfix is enabled in {sys.prefix}: {first}{over}")
    return 1 if problems else 0
