"""What every test shares: folders of its own, nothing left behind, upstream's checkouts."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import leaks, pythons, upstream
from tests.support.sandbox import FORGOTTEN, Sandbox
from tests.support.surroundings import HEAVY

pytest_plugins = ["tests.support.reports"]

HOURS = 4 * 3600
"""How long a full count may take, in seconds, where its test says nothing else."""

LONGEST_FIRST = ("tests/upstream/", "tests/e2e/")
"""Folders whose tests begin before all others, so that no worker ends long after the rest."""


def pytest_configure() -> None:
    """Let Ctrl-C end programs: in the background of a shell they would be born without it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, and take the everyday time limit off full counts."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST_FIRST))
    for item in items if HEAVY == "full" else []:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HOURS))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a source, or another long text, by its argument: a test's name is one line."""
    return argname if isinstance(val, str) and (len(val) > 100 or "\n" in val) else None


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share; see `tests.support.once`."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


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


@pytest.fixture(scope="session")
def upstream_python() -> Path:
    """An interpreter that can run every tractor since 2025-07; the test is skipped without one.

    None is built where there is no tractor to run.
    """
    try:
        upstream.checkout("tractor")
        return pythons.find_or_build()
    except (upstream.UpstreamMissingError, pythons.NoPythonError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def upstream_at(run_folder: Path) -> Callable[[str, str], Path]:
    """Take a commit out of a checkout: `upstream_at("tractor", "3690e43a")` is its folder.

    The test is skipped where the checkout or the commit is not on this machine.
    """
    into = run_folder / "upstream"

    def take(name: str, commit: str) -> Path:
        try:
            return upstream.take(name, commit, into)
        except upstream.UpstreamMissingError as error:
            pytest.skip(str(error))

    return take
