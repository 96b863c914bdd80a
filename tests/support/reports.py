"""A pytest plugin: tables of what long proofs measured, printed at the end of a test run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest

TABLE = "row of a table"
"""The name under which a row travels with its test's report, from the worker that ran the test."""


class Tables:
    """Where a test puts its rows."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties

    def add(self, title: str, *cells: object) -> None:
        """Append a row of `cells` to the table `title`."""
        self._properties.append((TABLE, [title, *map(str, cells)]))


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> Tables:
    """Where a proof puts its numbers, for the summary at the end of the run."""
    return Tables(request.node.user_properties)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the proofs measured, commit by commit."""
    for line in lines(terminalreporter.stats):
        terminalreporter.write_line(line)


def lines(stats: Mapping[str, Iterable[object]]) -> Iterator[str]:
    """Yield the rows in all reports as text, by title, columns aligned."""
    reports = [report for category in stats.values() for report in category]
    tests = [r for r in reports if isinstance(r, pytest.TestReport) and r.when == "call"]
    tables: dict[str, list[Sequence[str]]] = {}
    for test in sorted(tests, key=lambda report: report.nodeid):
        for name, row in test.user_properties:
            if name == TABLE and isinstance(row, list):
                tables.setdefault(row[0], []).append(row[1:])
    for title, rows in tables.items():
        columns = range(max(map(len, rows)))
        widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in columns]
        yield ""
        yield title
        for row in rows:
            yield "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)).rstrip()
