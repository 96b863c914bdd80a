"""``macfix conformance``: whether the running kernel does what macfix takes for granted."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict

from macfix import __version__, simulate
from macfix.darwin.facts import NOT_SIMULATED, Fact, facts

from . import output

DIFFERS, OK, UNSIMULATED = "differs", "ok", "not simulated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix conformance``."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def main(args: argparse.Namespace) -> int:
    """Ask the kernel, and print what it answers.

    Returns:
        0 if all is as expected, but for what the simulation leaves as it is on Linux; else 1.
    """
    found = sorted(((verdict(fact), fact) for fact in facts()), key=lambda one: one[0] != DIFFERS)
    differ = [fact for said, fact in found if said == DIFFERS]
    if args.json:
        about = {"macfix": __version__, "kernel": kernel(), "differ": len(differ)}
        rows = [{"verdict": said} | asdict(fact) for said, fact in found]
        print(json.dumps(about | {"facts": rows}, indent=2))
    else:
        left = sum(said == UNSIMULATED for said, _ in found)
        besides = f", {left} are not simulated" if left else ""
        if args.verbosity >= 0:
            print(f"{kernel()}\n{len(differ)} of {len(found)} facts about XNU differ{besides}.\n")
        shown = found if args.verbosity >= 0 else found[: len(differ)]
        text = output.facts((said, sentence(fact)) for said, fact in shown)
        print(text, end="\n" * bool(text))
        if args.verbosity >= 0 and sys.platform != "darwin":
            print("\n`macfix --simulate conformance` asks the simulation.")
    return 1 if differ else 0


def verdict(fact: Fact) -> str:
    """Whether *fact* is as expected, in a word or two."""
    if fact.what in NOT_SIMULATED and simulate.active():
        return UNSIMULATED
    return OK if fact.holds else DIFFERS


def sentence(fact: Fact) -> str:
    """What was asked, found and expected, and where in XNU that was read."""
    expected = "" if fact.holds else f"; expected {fact.expected}"
    return f"{fact.what}: {fact.found}{expected} [{fact.source}]"


def kernel() -> str:
    """The running kernel, and whether it is XNU."""
    if spec := simulate.active():
        return f"XNU, simulated ({spec})"
    name = f"{platform.system()} {platform.release()} ({platform.machine()})"
    return name if sys.platform == "darwin" else f"This is not XNU but {name}"
