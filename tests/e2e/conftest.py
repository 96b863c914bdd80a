"""Environments with macfix's wheel in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment
from tests.support.once import made_once


@pytest.fixture(scope="session")
def wheel(run_folder: Path) -> Path:
    try:
        folder = made_once(run_folder / "wheel", environments.build_wheel)
    except environments.CannotBuildError as error:
        pytest.skip(f"the wheel cannot be built here: {str(error).splitlines()[-1]}")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, run_folder: Path) -> Environment:
    """An environment that pip has put macfix's wheel into; to be copied from."""

    def make(folder: Path) -> None:
        Environment.make(folder).install(wheel)

    return Environment(made_once(run_folder / "installed", make))


@pytest.fixture(scope="session")
def enabled(installed: Environment, run_folder: Path) -> Environment:
    """An environment with macfix's wheel in which `macfix enable` was run; nobody changes it."""

    def make(folder: Path) -> None:
        environment = environments.like(installed, folder)
        assert "is now enabled" in environment.run("-m", "macfix", "enable")

    return Environment(made_once(run_folder / "enabled", make))


@pytest.fixture
def environment(installed: Environment, tmp_path: Path) -> Environment:
    """An environment with macfix's wheel, not enabled."""
    return environments.like(installed, tmp_path / "env")
