"""The pytest plugin: off unless asked for, active before any conftest, and gone afterwards."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.support import environments
from tests.support.environments import ON
from tests.support.surroundings import REPOSITORY

SITE = str(REPOSITORY / "macfix" / "activation" / "site")

CONFTEST = "import tractor.thing\n"

TESTS = """\
import subprocess, sys
import tractor.thing

def test_answer():
    assert tractor.thing.answer == 42

def test_answer_in_a_child():
    code = "import tractor.thing; print(tractor.thing.answer)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "42\\n"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    environments.lay_out_upstream(tmp_path)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *words: str, **env: str) -> str:
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    done = environments.run(
        sys.executable, "-m", "pytest", *options(), *words, cwd=folder, PYTHONPATH=path, **env
    )
    return done.stdout + done.stderr


def options() -> list[str]:
    """Those with which pytest has macfix's plugin, once: a second time it would be an error."""
    given = ["-p", "no:cacheprovider", "-p", "no:tractor", "-p", "no:hypothesispytest"]
    if not entry_points(group="pytest11", name="macfix"):
        given += [
            "-p",
            "macfix.activation.pytest_plugin",
        ]  # a source checkout: pytest cannot find it
    return given


def test_a_simulation_that_is_asked_for_too_late_is_said(folder: Path) -> None:
    said = run(folder, "--macfix", "-W", "error", MACFIX_SIMULATE="1")
    line = next(line for line in said.splitlines() if "not active: MACFIX_SIMULATE" in line)
    assert "`python -m macfix --simulate PROGRAM` (`-m pytest --macfix` for a test suite)" in line


def test_it_is_off_unless_asked_for(folder: Path) -> None:
    assert "2 failed" in run(folder, **ON)


def test_an_option_asks_for_it(folder: Path) -> None:
    shown = run(folder, "--macfix", **ON)
    assert "2 passed" in shown
    assert f"active on {sys.platform}" in shown


def test_a_variable_asks_for_it(folder: Path) -> None:
    assert "2 passed" in run(folder, MACFIX_PYTEST="1", **ON)
    assert "2 failed" in run(folder, MACFIX_PYTEST="0", **ON)


def test_the_configuration_asks_for_it(folder: Path) -> None:
    (folder / "pytest.ini").write_text("[pytest]\nmacfix = true\n")
    assert "2 passed" in run(folder, **ON)


@pytest.mark.parametrize("words", [["--macfix"], []], ids=["asked for", "by the runner"])
def test_warnings_that_are_errors_are_no_errors_of_macfix(folder: Path, words: list[str]) -> None:
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    runner = () if words else ("-m", "macfix")
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    given = [*runner, "-m", "pytest", *options(), *words]
    done = environments.run(sys.executable, *given, cwd=folder, PYTHONPATH=path, **ON)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_modules_that_are_purged_and_imported_again_are_patched_again(folder: Path) -> None:
    """As `pytest --cov` and `coverage run --source` do it, with macfix among them."""
    (folder / "test_purged.py").write_text(
        "import sys\n"
        "def test_purged():\n"
        "    for name in list(sys.modules):\n"
        "        if name.partition('.')[0] in ('tractor', 'macfix'): del sys.modules[name]\n"
        "    import tractor.thing\n"
        "    assert tractor.thing.answer == 42\n"
    )
    assert "3 passed" in run(folder, "--macfix", "-W", "error", **ON)


@pytest.mark.skipif(sys.platform == "darwin", reason="there, it is active")
def test_it_says_why_it_is_not_active(folder: Path) -> None:
    assert f"not active: {sys.platform} does not need it" in run(folder, "--macfix")


def run_program(folder: Path, text: str) -> str:
    """Run a program that runs pytest itself, and whose tests pass."""
    program = folder / "twice.py"
    program.write_text(text)
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    done = environments.run(sys.executable, program, cwd=folder, PYTHONPATH=path, **ON)
    shown = done.stdout + done.stderr
    assert "passed True" in done.stdout, shown
    return shown


def test_afterwards_what_was_waiting_for_an_upstream_waits_again(folder: Path) -> None:
    shown = run_program(
        folder,
        f"import sys, pytest\nsys.path.append({SITE!r})\n"
        f"import _macfix_autoload\n_macfix_autoload.start({str(REPOSITORY)!r}, {SITE!r})\n"
        f"print('passed', pytest.main({[*options(), '--macfix']}) == 0)\n"
        "for name in [name for name in sys.modules if name.startswith('tractor')]:\n"
        "    del sys.modules[name]\n"
        "import tractor.thing\n"
        "print('afterwards', tractor.thing.answer)\n",
    )
    assert "afterwards 42" in shown


def test_afterwards_the_process_is_as_it_was(folder: Path) -> None:
    shown = run_program(
        folder,
        "import os, sys, pytest\n"
        "before = list(sys.meta_path), dict(os.environ)\n"
        f"print('passed', pytest.main({[*options(), '--macfix']}) == 0)\n"
        "import tractor.thing\n"
        "environ = {k: v for k, v in os.environ.items() if not k.startswith('PYTEST')}\n"
        "print('undone', sys.meta_path == before[0], environ == before[1], tractor.thing.answer)\n",
    )
    assert "undone True True 1" in shown
