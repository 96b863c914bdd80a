"""``macfix status``: the state of every patch with the upstreams that are installed here."""

from __future__ import annotations

import argparse
import json
import os
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
        lacking: packages that are not installed, and the targets that need them.
        errors: the end of what the last process wrote to its standard error.
    """

    status: dict[str, Any] | None = None
    problems: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, list[str]] = field(default_factory=dict)
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
        not_there = {"not_imported": report.problems, "missing_packages": report.lacking}
        _print_json(status | {"simulated": args.simulate} | not_there)
    else:
        if report.lacking:
            status["notes"]["missing packages"] = missing_packages(report)
        where = f"on a simulated Mac ({args.simulate})" if args.simulate else "on this Mac"
        where += ":" if status["active"] else f", not active: {status['reason']}."
        _print(where, status, status["entries"], report.problems, args.verbosity)
    states = {entry["state"] for entry in status["entries"]}
    return 0 if states <= {*GOOD} and not report.problems and not status["problems"] else 1


def probe(simulate: str | None) -> Report:
    """Import all targets in a process of its own; one that dies of a target is followed by
    another one that leaves that target out."""
    report = Report()
    while True:
        report.lacking.clear()
        answers, ended = _run_probe(simulate, report)
        died_of: str | None = answers[-1].get("importing") if answers else None
        for answer in answers:
            if answer.get("problem"):
                report.problems[answer["imported"]] = answer["problem"]
            if answer.get("lacks"):
                report.lacking.setdefault(answer["lacks"], []).append(answer["imported"])
            report.status = answer.get("status", report.status)
        if died_of is None or died_of in report.problems:
            return report
        report.problems[died_of] = f"{report.errors}importing it ended the process: {ended}"


def _run_probe(simulate: str | None, report: Report) -> tuple[list[dict[str, Any]], str]:
    """The answers of one process, and how it ended."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as answers,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        tempfile.TemporaryDirectory(prefix="macfix-", ignore_cleanup_errors=True) as home,
    ):
        words = [json.dumps(sys.path), str(answers.fileno()), simulate or "", *report.problems]
        try:
            status = subprocess.run(
                [sys.executable, "-I", "-c", PROBE, *words],
                env=os.environ | _scratch_folders(home),
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


def _scratch_folders(home: str) -> dict[str, str]:
    """The variables by which nothing that is imported writes into the user's folders.

    piker writes a configuration as soon as it is imported where there is none.
    """
    variables = {"HOME": home, "XDG_CONFIG_HOME": home, "MACFIX_STATE_DIR": home}
    cache = Config.from_environ().cache  # what macfix itself keeps there is as good as ever
    return variables | ({"MACFIX_CACHE_DIR": cache} if cache else {})


def missing_packages(report: Report) -> str:
    """What is not installed, and the targets that need it."""
    return "; ".join(f"{name}, for {grouped(of)}" for name, of in report.lacking.items())


def _rank(entry: dict[str, Any]) -> int:
    """The worse a state, the less."""
    return GOOD.index(entry["state"]) if entry["state"] in GOOD else -1


def by_state(entries: Rows) -> dict[str, list[str]]:
    """The patches in each state, the worst first: a patch of several targets is in one only."""
    worst: dict[str, str] = {}
    for entry in sorted(entries, key=_rank):
        worst.setdefault(entry["patch"], entry["state"])
    patches: dict[str, list[str]] = {}
    for patch, state in worst.items():
        patches.setdefault(state, []).append(patch)
    return patches


def grouped(names: Iterable[str]) -> str:
    """The dotted *names*, with what several begin with said once."""
    packages: dict[str, list[str]] = {}
    for package, dot, name in sorted({each.rpartition(".") for each in names}):
        packages.setdefault(package + dot, []).append(name)
    return "; ".join(package + ", ".join(inside) for package, inside in packages.items())


def _print(
    where: str, data: dict[str, Any], entries: Rows, missing: dict[str, str], verbosity: int
) -> None:
    """Print how many there are of what, then what is wrong, and then the rest.

    *data* has the problems and notes, *missing* says why a target could not be imported.
    """
    entries = sorted(entries, key=_rank)
    patches = by_state(entries)
    patches.pop("pending", None)
    reasons = {target: text.strip().splitlines()[-1] for target, text in missing.items()}
    bad: list[tuple[Any, ...]]
    bad = [("problem", "", f"cannot be imported: {reasons[t]}", t, missing[t]) for t in missing]
    bad += [("problem", "", p["message"], p["where"], p["traceback"]) for p in data["problems"]]
    for e in entries:
        if e["state"] not in GOOD:
            told = e["state"], f"{e['patch']} in ", e["reason"], e["target"], e.get("traceback")
            bad.append(told)
    wrong: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for *key, place, traceback in sorted(bad, key=lambda one: one[0] == "problem"):
        wrong.setdefault(tuple(key), []).append((place, traceback))
    lines = []
    for (label, start, reason), places in wrong.items():
        line = facts([(label, f"{start}{grouped(place for place, _ in places)}: {reason}")])
        lines.append(line.replace(label, mark(label), 1))
        lines += [places[0][1].rstrip()] if verbosity > 0 and places[0][1] else []
    blocks = ["\n".join(lines)]
    if verbosity >= 0:
        counts = [f"{len(names)} {state}" for state, names in patches.items()]
        problems = sum(label == "problem" for label, *_ in wrong)
        counts += [f"{problems} problem{'s' * (problems > 1)}"] if problems else []
        if not any(map(locate, PACKAGES)):
            counts.append(f"neither tractor nor piker is installed in {sys.prefix}")
        sum_up = f"\n{', '.join(counts)}." if counts else ""
        blocks.insert(0, f"macfix {__version__}, {where}{sum_up}")
        shown = [(state, ", ".join(names)) for state, names in patches.items() if state in GOOD]
        if verbosity > 0 and patches:
            rows = [(e["target"], e["patch"], e["state"], e["reason"]) for e in entries]
            rows = [row for row in rows if row[2] != "pending"]
            blocks.append(table(("target", "patch", "state", "why"), rows))
            shown = []
        pending = {each["target"] for each in entries if each["state"] == "pending"}
        absent = grouped(pending.difference(missing))
        shown += [("not installed", absent)] if absent and patches else []
        shown += [("note", f"{name}: {text}") for name, text in data["notes"].items()]
        blocks.append(facts(shown))
        blocks += ["`macfix status -v` has targets and reasons."] * bool(patches and not verbosity)
    if text := "\n\n".join(filter(None, blocks)):
        print(text)


# -- elsewhere: what would happen ------------------------------------------------------------------


def _show_survey(args: argparse.Namespace, plugins: Plugins, malformed: Rows) -> int:
    rows = [asdict(row) for row in survey(plugins, PACKAGES)]
    config = Config.from_environ()
    plugins.check(config)
    problems = [problem._asdict() for problem in plugins.problems] + malformed
    forced = f"active on {sys.platform}, for what MACFIX_FORCE names"
    state = forced if config.wanted else f"inactive: {sys.platform} does not need it"
    if args.json:
        data = {"active": config.wanted, "reason": state, "simulated": None, "problems": problems}
        _print_json(data | {"survey": rows})
    else:
        where = f"{state}.{' On macOS:' if rows else ''}"
        _print(where, {"problems": problems, "notes": {}}, rows, {}, args.verbosity)
        if sys.platform == "linux" and args.verbosity >= 0:
            print("\n`macfix --simulate status` shows it at work.")
    states = {row["state"] for row in rows}
    return 0 if states <= {*GOOD} and not problems else 1


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps({"macfix": __version__} | data, indent=2))
