"""Fixtures for proofs on real upstream code: its commits, its interpreter, a launcher for both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import pythons, upstream
from tests.support.launcher import Launcher
from tests.support.reports import Tables
from tests.support.sandbox import Sandbox
from tests.support.worlds import World, lay_out_macfix

PROGRAMS = Path(__file__).parent / "programs"

TABLES = pytest.StashKey[Tables]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the place where proofs put what they measured."""
    config.stash[TABLES] = Tables()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the proofs measured, commit by commit."""
    for line in terminalreporter.config.stash[TABLES].lines():
        terminalreporter.write_line(line)


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> Tables:
    """Where a proof puts its numbers, for the summary at the end of the run."""
    return request.config.stash[TABLES]


@pytest.fixture(scope="session")
def upstream_python() -> Path:
    """An interpreter that can run every tractor since 2025-07; the test is skipped without one."""
    try:
        return pythons.find_or_build()
    except pythons.NoPythonError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def upstream_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Take a commit out of a checkout: `upstream_at("tractor", "3690e43a")` is its folder.

    The test is skipped where the checkout or the commit is not on this machine.
    """
    into = tmp_path_factory.mktemp("upstream")

    def take(name: str, commit: str) -> Path:
        try:
            return upstream.take(name, commit, into)
        except upstream.UpstreamMissingError as error:
            pytest.skip(str(error))

    return take


@pytest.fixture(scope="session")
def macfix_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package macfix and nothing else."""
    return lay_out_macfix(tmp_path_factory.mktemp("macfix-alone"))


@pytest.fixture
def launcher_for(
    upstream_python: Path,
    upstream_at: Callable[[str, str], Path],
    macfix_folder: Path,
    sandbox: Sandbox,
) -> Callable[[str], Launcher]:
    """Make a launcher whose programs import the tractor of the given commit."""

    def make(commit: str) -> Launcher:
        folder = upstream_at("tractor", commit)
        return Launcher(upstream_python, sandbox, macfix_folder, (folder,))

    return make


@pytest.fixture
def require_world() -> Callable[[World], None]:
    """Skip the test where this machine cannot be that world."""

    def require(world: World) -> None:
        if not world.possible:
            pytest.skip(f"a Mac cannot be: {world.name}")

    return require
