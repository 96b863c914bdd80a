"""How this interpreter was started, and whether macfix may replace it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from macfix.activation import environment, runner
from macfix.activation.programs import CannotRunError
from macfix.activation.runner import CommandLine


@pytest.mark.parametrize(
    ("words", "flags", "kind", "program"),
    [
        (["prog.py", "-m", "x"], [], "", "prog.py"),
        (["-m", "macfix", "-O"], [], "-m", "macfix"),
        (["-mmacfix", "prog.py"], [], "-m", "macfix"),
        (["-OBm", "macfix", "prog.py"], ["-OB"], "-m", "macfix"),
        (["-OBmmacfix"], ["-OB"], "-m", "macfix"),
        (["-O", "-B", "-m", "macfix"], ["-O", "-B"], "-m", "macfix"),
        (["-X", "dev", "-Xutf8", "-m", "m"], ["-X", "dev", "-X", "utf8"], "-m", "m"),
        (["-W", "error", "-Wignore", "-m", "m"], ["-W", "error", "-W", "ignore"], "-m", "m"),
        (["-BWerror", "-m", "m"], ["-BW", "error"], "-m", "m"),
        (["-bX", "dev", "-m", "m"], ["-bX", "dev"], "-m", "m"),
        (["-c", "text", "-m", "m"], [], "-c", "text"),
        (["-Ictext"], ["-I"], "-c", "text"),
        (["--check-hash-based-pycs", "x", "-m", "m"], ["--check-hash-based-pycs", "x"], "-m", "m"),
        (["-i", "-u", "--", "-odd.py"], ["-i", "-u"], "", "-odd.py"),
        (["-"], [], "", "-"),
        (["-q"], ["-q"], "", ""),
        ([], [], "", ""),
    ],
    ids=str,
)
def test_it_is_read_as_the_interpreter_reads_it(
    words: list[str], flags: list[str], kind: str, program: str
) -> None:
    parsed = CommandLine.parse(["python", *words])
    assert (list(parsed.flags), parsed.kind, parsed.program) == (flags, kind, program)


@pytest.mark.parametrize(
    "flags", [["-OB"], ["-X", "dev", "-Xutf8"], ["-BWerror"], ["--check-hash-based-pycs", "never"]]
)
def test_the_interpreter_takes_the_flags_back(flags: list[str]) -> None:
    """What was read of them means the same as what was given."""
    show = "import sys; print(sys.flags, sys._xoptions, sys.warnoptions)"
    read = CommandLine.parse(["python", *flags, "-c", show]).flags
    answers = [
        subprocess.check_output([sys.executable, *each, "-c", show]) for each in (flags, read)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("orig_argv", "argv0", "its_own"),
    [
        (["python", "-m", "macfix", "x"], "/lib/macfix/__main__.py", True),
        (["python", "-m", "macfix.__main__"], "/lib/macfix/__main__.py", True),
        (["python", "/env/bin/macfix", "x"], "/env/bin/macfix", True),
        (["python", "app.pyz", "x"], "app.pyz", True),
        (["python", "-m", "coverage", "run", "-m", "macfix"], "/lib/macfix/__main__.py", False),
        (["python", "-m", "pdb", "/env/bin/macfix"], "/env/bin/macfix", False),
        (["python", "driver.py"], "/lib/macfix/__main__.py", False),
        (["python", "-c", "import macfix.cli"], "-c", False),
        (["python"], "", False),
    ],
    ids=str,
)
def test_whether_it_is_macfixs_own_command(
    monkeypatch: pytest.MonkeyPatch, orig_argv: list[str], argv0: str, its_own: bool
) -> None:
    monkeypatch.setattr(sys, "argv", [argv0])
    assert CommandLine.parse(orig_argv).is_macfix() is its_own


class ExecutedError(Exception):
    """Instead of an exec."""


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be exec'ed, by `python -OB -m macfix …`."""
    seen: list[Any] = []

    def execve(*arguments: Any) -> None:
        seen.extend(arguments)
        raise ExecutedError

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-OB", "-m", "macfix", "prog.py"])
    monkeypatch.setattr(sys, "argv", ["macfix/__main__.py"])
    return seen


def test_the_interpreter_is_executed_with_its_flags_and_the_changes(executed: list[Any]) -> None:
    with pytest.raises(ExecutedError):
        runner.run(["prog.py", "a"], {"ADDED": "1"})
    assert executed == [
        sys.executable,
        [sys.executable, "-OB", "prog.py", "a"],
        {**os.environ, "ADDED": "1"},
    ]


def test_the_name_by_which_the_interpreter_was_called_is_kept(
    executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, name = os.path.split(sys.executable)
    monkeypatch.setenv("PATH", folder)
    monkeypatch.setattr(sys, "orig_argv", [name, "-m", "macfix", "prog.py"])
    with pytest.raises(ExecutedError):
        runner.run(["prog.py"], {})
    assert executed[:2] == [sys.executable, [name, "prog.py"]]
    monkeypatch.setenv("PATH", "/nowhere")  # that name leads to another one, or to none
    with pytest.raises(ExecutedError):
        runner.run(["prog.py"], {})
    assert executed[3:5] == [sys.executable, [sys.executable, "prog.py"]]


def test_a_path_with_a_colon_cannot_go_on_pythonpath(
    executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "OBSTACLE", "a path with ':' in it cannot go on PYTHONPATH")
    with pytest.raises(CannotRunError, match=r"a path with ':' in it cannot go on PYTHONPATH, so"):
        runner.run(["prog.py"], environment.variables({}))
    assert executed == []
    with pytest.raises(ExecutedError):  # macfix need not get into the program
        runner.run(["prog.py"], None)


def test_an_interpreter_that_cannot_be_started_is_an_error(
    executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def execve(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(CannotRunError, match="cannot be started: No such file or directory"):
        runner.run(["prog.py"], {})
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(CannotRunError, match="does not know its own executable"):
        runner.run(["prog.py"], {})
