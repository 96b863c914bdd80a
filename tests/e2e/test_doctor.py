"""`macfix doctor` where macfix does not come up, or not as it was enabled, and what it advises."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import environments
from tests.support.environments import Environment

SIMULATED = ["--simulate"] if sys.platform == "linux" else []


def checkup(
    environment: Environment, *flags: str, simulated: Sequence[str] = (), **env: str
) -> list[dict[str, Any]]:
    """The problems that doctor finds with what activates macfix."""
    words = [*flags, "-m", "macfix", *simulated, "doctor", "--json"]
    done = environments.run(environment.python, *words, cwd=environment.folder, **env)
    assert done.stderr == "", done.stdout
    problems: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    # whether this machine has root certificates is another matter
    return [problem for problem in problems if "certificates" not in problem["what"]]


def heal(environment: Environment, problem: dict[str, Any]) -> None:
    done = environments.run("/bin/sh", "-c", problem["fix"], cwd=environment.folder)
    assert done.returncode == 0, done.stderr


def test_where_variables_are_ignored_programs_come_up_without_macfix(
    environment: Environment,
) -> None:
    assert checkup(environment, simulated=SIMULATED) == []
    (problem,) = checkup(environment, "-E", simulated=SIMULATED)
    assert problem["level"] == "broken"
    assert problem["what"].startswith("a program that macfix runs comes up without it")
    heal(environment, problem)
    assert checkup(environment, "-E", simulated=SIMULATED) == []


def test_an_enabled_environment_that_was_moved(enabled: Environment, tmp_path: Path) -> None:
    moved = Environment(tmp_path / "moved")
    shutil.copytree(enabled.folder, moved.folder, symlinks=True)
    problems = checkup(moved)
    assert {problem["level"] for problem in problems} == {"warning"}
    assert any("was moved or copied" in problem["what"] for problem in problems)
    said = [problem["what"] for problem in problems]
    assert [problem["what"] for problem in checkup(moved, simulated=SIMULATED)] == said
    for problem in problems:
        heal(moved, problem)
    assert checkup(moved) == []


def test_what_is_switched_off_is_told_once(enabled: Environment) -> None:
    (problem,) = checkup(enabled, MACFIX="off")
    assert (problem["level"], problem["fix"]) == ("warning", "unset MACFIX")
