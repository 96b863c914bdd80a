"""``macfix disable``: undoes ``macfix enable``."""

from __future__ import annotations

import argparse
import sys

from macfix.activation import enabling

from .output import tell


def main(args: argparse.Namespace) -> int:
    """Disable macfix here.

    Returns:
        0 if it is disabled now, else 1.
    """
    removals = "\n".join(f"removed {file}" for file in enabling.disable())
    if args.verbosity >= 0:
        tell(removals or f"macfix was not enabled in {sys.prefix}")
    return 0
