"""Surroundings for every test: folders of its own, and nothing left behind."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

from tests.support import leaks
from tests.support.sandbox import FORGOTTEN, Sandbox
from tests.support.surroundings import HEAVY

HOURS = 4 * 3600
"""How long a full count may take, in seconds, where its test says nothing else."""


def pytest_configure() -> None:
    """Let Ctrl-C end programs: in the background of a shell they would be born without it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take the everyday time limit off full counts."""
    for item in items if HEAVY == "full" else []:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HOURS))


@pytest.fixture(autouse=True)
def sandbox(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """Give the test its own HOME, cache, TMPDIR and runtime folder, and no MACFIX variable
    but the one that says where simulated segments lie.

    Afterwards the test fails if it left a process, a socket, or a simulated segment behind. What it
    left is killed or removed, so that the next test does not suffer for it.
    """
    tmp_path_factory.getbasetemp()  # settled before TMPDIR changes: it lives as long as the run
    own = Sandbox.make()
    try:
        with monkeypatch.context() as environment:
            for name in [name for name in os.environ if name.startswith("MACFIX")]:
                environment.delenv(name)
            for name in FORGOTTEN:
                environment.delenv(name, raising=False)
            for name, value in own.variables().items():
                environment.setenv(name, value)
            environment.setattr(tempfile, "tempdir", None)
            before = leaks.look(own)
            yield own
            left = leaks.since(before, own)
    finally:
        own.remove()
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)
