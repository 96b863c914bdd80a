"""``macfix completion``: the completion of shells, by argcomplete, which is loaded for it alone."""

from __future__ import annotations

import argparse
import sys

from .output import PYTHON


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix completion``."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def main(args: argparse.Namespace) -> int:
    """Print what the shell is to evaluate; 1 if argcomplete is not installed."""
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        how = f"{PYTHON} -m pip install argcomplete"
        print(f"macfix completion needs argcomplete: {how}", file=sys.stderr)
        return 1
    print(shellcode(["macfix"], shell=args.shell))
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Tell the shell that has called how to go on, and end the process."""
    import argcomplete

    argcomplete.autocomplete(parser, print_suppressed=True)
