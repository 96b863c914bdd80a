"""Every actor of a program that the runner runs is mended, and finds the program, by any method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import upstream
from tests.support.launcher import Launcher
from tests.support.worlds import ON_A_MAC, UNTOUCHED

PROGRAM = Path(__file__).parent / "programs" / "start_method.py"

METHODS = ("trio", "mp_spawn", "mp_forkserver")

MakeLauncher = Callable[[str], Launcher]


@pytest.mark.parametrize(
    ("commit", "how"), [("2025-07", "script"), ("HEAD", "script"), ("HEAD", "module")]
)
@pytest.mark.parametrize("method", METHODS)
def test_an_actor_is_mended_and_finds_the_program(
    launcher_for: MakeLauncher, commit: str, method: str, how: str
) -> None:
    launcher = launcher_for(upstream.TRACTORS[commit])
    launcher = launcher.with_path(launcher.macfix_folder)
    simulate = () if ON_A_MAC else ("--simulate",)
    program = [PROGRAM] if how == "script" else ["-m", PROGRAM.stem]
    registry = f"reg-{launcher.sandbox.root.name}"
    finished = launcher.run(
        UNTOUCHED,
        ["-m", "macfix", *simulate, *program, method, registry],
        cwd=PROGRAM.parent,
        more={"PYTHONWARNINGS": "ignore"},
    )
    assert finished.returncode == 0, str(finished)
    assert finished.stdout.splitlines() == [
        "platform: darwin",
        "main: __mp_main__",
        "file: start_method.py",
        "has the program: True",
        "finders: 1",
    ], str(finished)
    ran = [line for line in finished.stderr.splitlines() if line.startswith("run as")]
    assert ran == ["run as __main__", "run as __mp_main__"], str(finished)
