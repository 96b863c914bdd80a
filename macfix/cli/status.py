"""``macfix status``: the state of every patch with the upstreams that are installed here."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from macfix import __version__
from macfix.activation.activate import load_plugins
from macfix.engine.config import Config
from macfix.engine.plugins import Plugins
from macfix.engine.survey import survey
from macfix.patches import PACKAGES

from . import documentation
from .output import table

PATIENCE = 120.0
"""Seconds that importing the targets may take."""

PROBE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from macfix.cli.probe import main; main(sys.argv[2:])"
)
"""What a process executes that imports the targets: from where macfix itself may import only."""

GOOD = frozenset({"applied", "not needed", "needed", "pending", "skipped by the user"})


@dataclass
class Report:
    """What the process that imported the targets told.

    Attributes:
        status: the ledger and its surroundings, as plain data; None if it could not be had.
        problems: why a target could not be imported, by target.
        errors: the end of what the last process wrote to its standard error.
    """

    status: dict[str, Any] | None = None
    problems: dict[str, str] = field(default_factory=dict)
    errors: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``macfix status``."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--tracebacks", action="store_true", help="show the whole traceback of whatever failed"
    )


def main(args: argparse.Namespace) -> int:
    """Print the status.

    Returns:
        0 if every patch is applied or not needed; 1 if one failed or does not know its upstream,
        or if a target cannot be imported.
    """
    plugins = load_plugins()
    malformed = [problem._asdict() for problem in documentation.problems(plugins)]
    if sys.platform == "darwin" or args.simulate is not None:
        return _show_ledger(args, malformed)
    return _show_survey(args, plugins, malformed)


# -- on Darwin: what happens -----------------------------------------------------------------------


def _show_ledger(args: argparse.Namespace, malformed: list[dict[str, Any]]) -> int:
    report = probe(args.simulate)
    status = report.status
    if status is None or not (status["active"] or status["reason"] == "MACFIX=off"):
        reason = f"not active: {status['reason']}" if status else "nothing could be found out"
        print(f"macfix status: {reason}\n{report.errors}", file=sys.stderr, end="")
        return 1
    status["problems"] += malformed
    if args.json:
        _print_json(status | {"simulated": args.simulate, "not_imported": report.problems})
    else:
        _print_ledger(status, report, args)
    states = {entry["state"] for entry in status["entries"]}
    return 0 if states <= GOOD and not report.problems and not status["problems"] else 1


def probe(simulate: str | None) -> Report:
    """Import all targets in a process of its own; one that dies of a target is followed by
    another one that leaves that target out."""
    report = Report()
    while True:
        answers, ended = _run_probe(simulate, report)
        died_of: str | None = answers[-1].get("importing") if answers else None
        for answer in answers:
            if answer.get("problem"):
                report.problems[answer["imported"]] = answer["problem"]
            report.status = answer.get("status", report.status)
        if died_of is None or died_of in report.problems:
            return report
        report.problems[died_of] = f"importing it ended the process: {ended}\n{report.errors}"


def _run_probe(simulate: str | None, report: Report) -> tuple[list[dict[str, Any]], str]:
    """The answers of one process, and how it ended."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as answers,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
    ):
        words = [json.dumps(sys.path), str(answers.fileno()), simulate or "", *report.problems]
        try:
            status = subprocess.run(
                [sys.executable, "-I", "-c", PROBE, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[answers.fileno()],
                timeout=PATIENCE,
            ).returncode
            ended = f"signal {-status}" if status < 0 else f"exit code {status}"
        except subprocess.TimeoutExpired:
            ended = f"no end after {PATIENCE:.0f} seconds"
        answers.seek(0)
        errors.seek(0)
        report.errors = "".join(errors.readlines()[-20:])
        return [json.loads(line) for line in answers if line.endswith("\n")], ended


def _print_ledger(status: dict[str, Any], report: Report, args: argparse.Namespace) -> None:
    where = f"on a simulated Mac ({args.simulate})" if args.simulate else "on this Mac"
    active = "active" if status["active"] else f"not active: {status['reason']}"
    print(f"macfix {__version__}, {where}: {active}\n")
    rows = [(e["target"], e["patch"], e["state"], e["reason"]) for e in status["entries"]]
    installed = [row for row in rows if row[2] != "pending"]
    if installed:
        print(table(("target", "patch", "state", "why"), installed))
    elif status["active"] and not report.problems:
        print(f"Neither tractor nor piker is installed in {sys.prefix}.")
    absent = {target for target, _, state, _ in rows if state == "pending"} - {*report.problems}
    if absent:
        print(f"\nnot installed: {', '.join(sorted(absent))}")
    for target, problem in report.problems.items():
        lines = problem.strip().splitlines()
        print(f"\ncannot be imported: {target}: {lines[-1]}")
        if args.tracebacks:
            print(problem.rstrip())
    for entry in status["entries"]:
        if args.tracebacks and entry["traceback"]:
            print(f"\n{entry['target']}: {entry['patch']}:\n{entry['traceback'].rstrip()}")
    for name, text in status["notes"].items():
        print(f"\nnote: {name}: {text}")
    _print_problems(status["problems"], args)


def _print_problems(problems: Sequence[dict[str, Any]], args: argparse.Namespace) -> None:
    for problem in problems:
        print(f"\nproblem: {problem['where']}: {problem['message']}")
        if args.tracebacks and problem["traceback"]:
            print(problem["traceback"].rstrip())


# -- elsewhere: what would happen ------------------------------------------------------------------


def _show_survey(
    args: argparse.Namespace, plugins: Plugins, malformed: list[dict[str, Any]]
) -> int:
    findings = survey(plugins, PACKAGES)
    plugins.check(Config.from_environ())
    problems = [problem._asdict() for problem in plugins.problems] + malformed
    reason = f"macfix is inactive here: {sys.platform} does not need it"
    if args.json:
        data = {"active": False, "reason": reason, "simulated": None, "problems": problems}
        _print_json(data | {"survey": [asdict(finding) for finding in findings]})
    else:
        print(f"{reason}.\n")
        if findings:
            print("On macOS it would, from the sources of the installed upstreams alone:\n")
            rows = [(f.target, f.patch, f.state, f.reason) for f in findings]
            print(table(("target", "patch", "diagnosis", "why"), rows))
        else:
            print(f"Neither tractor nor piker is installed in {sys.prefix}.")
        _print_problems(problems, args)
        if sys.platform == "linux":
            print("\n`macfix --simulate status` shows it at work on a simulated Mac.")
    states = {finding.state for finding in findings}
    return 0 if states <= GOOD and not problems else 1


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps({"macfix": __version__} | data, indent=2))
