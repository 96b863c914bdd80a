"""``macfix enable``: macfix in every interpreter of this environment, from now on."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from macfix.activation import pth

PATIENCE = 60.0
"""Seconds that an interpreter may take to come up."""

PROBE = "import sys; print(sum(hasattr(finder, 'is_macfix') for finder in sys.meta_path))"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix enable``."""
    parser.add_argument(
        "--check", action="store_true", help="change nothing; say whether macfix is enabled here"
    )


def main(args: argparse.Namespace) -> int:
    """Enable macfix here, or look whether it is.

    Returns:
        0 if it is enabled now, else 1.
    """
    if args.check:
        return _check()
    try:
        file, changed = pth.enable()
    except pth.CannotEnableError as error:
        print(f"macfix enable: {error}", file=sys.stderr)
        return 1
    print(f"macfix {'is now' if changed else 'was already'} enabled in {sys.prefix}: {file}")
    if sys.platform != "darwin":
        print(f"On {sys.platform} it stays inactive, except with MACFIX_SIMULATE or MACFIX_FORCE.")
    return 0


def _check() -> int:
    files = pth.written()
    if not files:
        print(f"macfix is not enabled in {sys.prefix}: `macfix enable` does it")
        return 1
    for file in files:
        if not pth.is_current(file):
            print(f"{file} starts another macfix than this one: `macfix enable` puts that right")
            return 1
    count = _count_in_a_new_interpreter()
    if count != "1":
        print(f"{', '.join(files)} is there, and yet macfix does not come up: {count}")
        return 1
    print(f"macfix is enabled in {sys.prefix}: {', '.join(files)}")
    for bundle in filter(pth.is_out_of_date, map(pth.bundle_of, files)):
        print(f"{bundle} is out of date, so upstreams are imported slower: run `macfix enable`")
    return 0


def _count_in_a_new_interpreter() -> str:
    """How often macfix is in an interpreter that is started here, or what went wrong."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("MACFIX")}
    env["MACFIX_FORCE"] = "nothing"  # on any platform, and without mending anything
    try:
        done = subprocess.run(
            [sys.executable, "-E", "-c", PROBE],
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return (done.stdout + done.stderr).strip()
