"""Fixtures for proofs on real upstream code: who launches programs that import it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import pythons
from tests.support.launcher import Launcher
from tests.support.sandbox import Sandbox
from tests.support.vintages import Vintage
from tests.support.worlds import World, lay_out_macfix

PROGRAMS = Path(__file__).parent / "programs"


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
def launcher_of(
    upstream_at: Callable[[str, str], Path], macfix_folder: Path, sandbox: Sandbox
) -> Callable[..., Launcher]:
    """Make a launcher whose programs import the given vintage."""

    def make(vintage: Vintage, recipe: pythons.Recipe | None = None) -> Launcher:
        tractor = upstream_at("tractor", vintage.tractor or vintage.commit)
        piker = (upstream_at("piker", vintage.commit),) if vintage.tractor else ()
        try:
            python = pythons.find_or_build(recipe or vintage.recipe)
        except pythons.NoPythonError as error:
            pytest.skip(str(error))
        return Launcher(python, sandbox, macfix_folder, (*piker, tractor))

    return make


@pytest.fixture
def require_world() -> Callable[[World], None]:
    """Skip the test where this machine cannot be that world."""

    def require(world: World) -> None:
        if not world.possible:
            pytest.skip(f"a Mac cannot be: {world.name}")

    return require
