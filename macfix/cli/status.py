"""``macfix status``: the state of every patch with the upstreams that are installed here."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from macfix import __version__
from macfix.activation.activate import load_plugins
from macfix.engine.config import Config
from macfix.engine.locating import locate
from macfix.engine.plugins import Plugins
from macfix.engine.survey import survey
from macfix.patches import PACKAGES

from . import documentation
from .output import facts, mark, table

PATIENCE = 120.0
"""Seconds that importing the targets may take."""

PROBE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from macfix.cli.probe import main; main(sys.argv[2:])"
)
"""What a process executes that imports the targets: from where macfix itself may import only."""

GOOD = ("applied", "needed", "skipped by the user", "not needed", "pending")

Rows = list[dict[str, Any]]


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
    parser.add_argument("--json", action="store_true", help="print JSON")


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


def _show_ledger(args: argparse.Namespace, malformed: Rows) -> int:
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
    return 0 if states <= {*GOOD} and not report.problems and not status["problems"] else 1


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
    where += ":" if status["active"] else f", not active: {status['reason']}."
    reasons: dict[str, list[str]] = {}
    for target, traceback in report.problems.items():
        reasons.setdefault(traceback.strip().splitlines()[-1], []).append(target)
    unimportable = [
        {
            "where": grouped(targets),
            "message": f"cannot be imported: {reason}",
            "traceback": report.problems[targets[0]],
        }
        for reason, targets in reasons.items()
    ]
    entries = [
        entry
        for entry in status["entries"]
        if entry["state"] != "pending" or entry["target"] not in report.problems
    ]
    _print(where, entries, [*unimportable, *status["problems"]], status["notes"], args)


def grouped(targets: Iterable[str]) -> str:
    """*targets*, each package of theirs named once."""
    packages: dict[str, list[str]] = {}
    for target in sorted({*targets}):
        package, _, name = target.rpartition(".")
        packages.setdefault(package, []).append(name)
    return "; ".join(f"{package}.{', '.join(names)}" for package, names in packages.items())


def _print(
    where: str, entries: Rows, problems: Rows, notes: dict[str, str], args: argparse.Namespace
) -> None:
    """Print how many there are of what, then what is wrong, and then the rest."""
    patches: dict[str, dict[str, None]] = {}
    wrong: dict[tuple[str, ...], Rows] = {}
    rank = {state: number for number, state in enumerate(GOOD)}
    entries = sorted(entries, key=lambda entry: rank.get(entry["state"], -1))  # what is wrong first
    for entry in entries:
        patches.setdefault(entry["state"], {})[entry["patch"]] = None
        if entry["state"] not in GOOD:
            key = entry["state"], entry["patch"], entry["reason"]
            wrong.setdefault(key, []).append(entry)
    patches.pop("pending", None)
    told = []
    for (state, patch, reason), found in wrong.items():
        text = f"{patch} in {grouped(each['target'] for each in found)}: {reason}"
        told.append((state, text, found[0].get("traceback")))
    for one in problems:
        told.append(("problem", f"{one['where']}: {one['message']}", one["traceback"]))
    lines = []
    for label, text, traceback in told:
        lines.append(facts([(label, text)]).replace(label, mark(label), 1))
        if args.verbosity > 0 and traceback:
            lines.append(traceback.rstrip())
    blocks = ["\n".join(lines)]
    if args.verbosity >= 0:
        counts = [f"{len(names)} {state}" for state, names in patches.items()]
        counts += [f"{len(problems)} problem{'s' * (len(problems) > 1)}"] * bool(problems)
        if not any(map(locate, PACKAGES)):
            counts.append(f"neither tractor nor piker is installed in {sys.prefix}")
        sum_up = f"\n{', '.join(counts)}." if counts else ""
        blocks.insert(0, f"macfix {__version__}, {where}{sum_up}")
        blocks += _rest(entries, patches, notes, args)
    if text := "\n\n".join(filter(None, blocks)):
        print(text)


def _rest(
    entries: Rows,
    patches: dict[str, dict[str, None]],
    notes: dict[str, str],
    args: argparse.Namespace,
) -> list[str]:
    """All that needs nobody's attention, in blocks of text."""
    rows = [(state, ", ".join(names)) for state, names in patches.items() if state in GOOD]
    absent = grouped(each["target"] for each in entries if each["state"] == "pending")
    others = [("not installed", absent)] if absent and patches else []
    others += [("note", f"{name}: {text}") for name, text in notes.items()]
    if args.verbosity > 0 and patches:
        all_of_it = [(e["target"], e["patch"], e["state"], e["reason"]) for e in entries]
        shown = [row for row in all_of_it if row[2] != "pending"]
        return [table(("target", "patch", "state", "why"), shown), facts(others)]
    hint = "`macfix status -v` has targets and reasons." if patches else ""
    return [facts([*rows, *others]), hint]


# -- elsewhere: what would happen ------------------------------------------------------------------


def _show_survey(args: argparse.Namespace, plugins: Plugins, malformed: Rows) -> int:
    findings = [asdict(finding) for finding in survey(plugins, PACKAGES)]
    plugins.check(Config.from_environ())
    problems = [problem._asdict() for problem in plugins.problems] + malformed
    reason = f"macfix is inactive here: {sys.platform} does not need it"
    if args.json:
        data = {"active": False, "reason": reason, "simulated": None, "problems": problems}
        _print_json(data | {"survey": findings})
    else:
        where = f"inactive: {sys.platform} does not need it. On macOS:"
        _print(where, findings, problems, {}, args)
        if sys.platform == "linux" and args.verbosity >= 0:
            print("`macfix --simulate status` shows it at work.")
    states = {finding["state"] for finding in findings}
    return 0 if states <= {*GOOD} and not problems else 1


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps({"macfix": __version__} | data, indent=2))
