"""A pytest plugin that writes what became of each test to a file, line by line, as it happens.

`pytest -p outcome_log --outcome-log FILE`. A report at the end of the run would be lost with a run
that hangs or dies; from this, one can see how far it came. Tests are named without the addresses
that a parameter's repr may bring into an id, so that the names are the same in every run;
`--pick NAME` and `--leave-out NAME` choose tests by these names.

`--deadlines FACTOR` makes the deadlines of the tests themselves longer. Some give an actor one
second to come up, of which a busy machine, or the simulation, takes a part.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


def stable(test: str) -> str:
    """Return a test's id without addresses."""
    return ADDRESS.sub("0x", test)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--outcome-log", required=True, help="file to write outcomes to")
    parser.addoption("--pick", action="append", default=[], help="run this test only (repeatable)")
    parser.addoption("--leave-out", action="append", default=[], help="do not run this test")
    parser.addoption("--deadlines", type=float, default=1.0, help="longer by this factor")


def pytest_configure(config: pytest.Config) -> None:
    """Open the log for this run, and stretch deadlines."""
    config.pluginmanager.register(Log(config.getoption("--outcome-log")))
    stretch_deadlines(config.getoption("--deadlines"))


def stretch_deadlines(factor: float) -> None:
    """Make `trio.fail_after` of test modules wait `factor` times as long; nobody else's."""
    import trio

    as_it_is = trio.fail_after

    def fail_after(seconds: float, **more: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        return as_it_is(seconds * factor if caller.startswith("tests.") else seconds, **more)

    trio.fail_after = fail_after


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that were asked for."""
    pick, leave_out = config.getoption("--pick"), config.getoption("--leave-out")
    items[:] = [
        item
        for item in items
        if stable(item.nodeid) not in leave_out and (not pick or stable(item.nodeid) in pick)
    ]


class Log:
    """Writes one JSON object a line to the file at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, **line: Any) -> None:
        """Append `line`, and make sure that it is in the file."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be imported."""
        if report.failed:
            self.note(report.nodeid or "collection", "error", report.longreprtext)

    def pytest_collection_finish(self) -> None:
        """Note that the run came as far as this."""
        self.write(collected=True)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note the worst; what is reported later replaces it."""
        self.note(nodeid, "hung", "it was started and never ended")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of the test proper, or what went wrong before or after it."""
        if report.when == "call" or report.outcome != "passed":
            self.note(report.nodeid, outcome(report), report.longreprtext)

    def pytest_sessionfinish(self) -> None:
        """Note that nothing is missing."""
        self.write(finished=True)

    def note(self, test: str, outcome: str, why: str) -> None:
        """Write one test's outcome."""
        self.write(test=stable(test), outcome=outcome, why=why)


def outcome(report: pytest.TestReport) -> str:
    """Name the outcome as pytest's summary does."""
    if report.failed and report.when != "call":
        return "error"
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    return report.outcome
