"""Environments with macfix's wheel in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import Environment


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return environments.build_wheel(tmp_path_factory.mktemp("wheel"))
    except environments.CannotBuildError as error:
        pytest.skip(f"the wheel cannot be built here: {str(error).splitlines()[-1]}")


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment that pip has put macfix's wheel into; to be copied from."""
    made = Environment.make(tmp_path_factory.mktemp("installed") / "env")
    made.install(wheel)
    return made


@pytest.fixture(scope="module")
def enabled(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with macfix's wheel in which `macfix enable` was run."""
    environment = _like(installed, tmp_path_factory.mktemp("enabled") / "env")
    assert "is now enabled" in environment.run("-m", "macfix", "enable")
    return environment


@pytest.fixture
def environment(installed: Environment, tmp_path: Path) -> Environment:
    """An environment with macfix's wheel, not enabled."""
    return _like(installed, tmp_path / "env")


def _like(installed: Environment, folder: Path) -> Environment:
    made = Environment.make(folder)
    for path in installed.packages.glob("macfix*"):
        shutil.copytree(path, made.packages / path.name)
    return made
