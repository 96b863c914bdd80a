"""Environments with macfix's wheel in them."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def enabled(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment with macfix's wheel in which `macfix enable` was run."""
    environment = Environment.make(tmp_path_factory.mktemp("enabled") / "env")
    environment.install(wheel)
    assert "is now enabled" in environment.run("-m", "macfix", "enable")
    yield environment


@pytest.fixture
def environment(wheel: Path, tmp_path: Path) -> Environment:
    """An environment with macfix's wheel, not enabled."""
    made = Environment.make(tmp_path / "env")
    made.install(wheel)
    return made
