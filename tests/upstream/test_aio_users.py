"""What users do: interrupt a program, stop it in a debugger, run it on uvloop."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.aio_grid import TRACTORS, Grid
from tests.support.launcher import Launcher
from tests.support.surroundings import HEAVY
from tests.support.worlds import LINUX_WITH_MACFIX, MENDED_MAC, ON_A_MAC, PLAIN_LINUX

PROGRAMS = Path(__file__).parent / "programs"

FORCED = {"MACFIX_FORCE": "aio-abandoned-task,aio-piker-targets,aio-root-interrupt"}

MENDED, VARIABLES = (MENDED_MAC, {}) if ON_A_MAC else (LINUX_WITH_MACFIX, FORCED)

FULL = HEAVY == "full"

LauncherFor = Callable[[str], Launcher]

GRACE = 0.3
"""Seconds; less than what the user spends in the debugger."""

IN_DEBUGGER = 3 * GRACE
"""Seconds that the user takes before going on."""


@pytest.mark.parametrize("vintage", TRACTORS)
def test_the_guides_own_test_passes(vintage: str, launcher_for: LauncherFor) -> None:
    finished = launcher_for(TRACTORS[vintage]).run(
        MENDED, ["-W", "ignore", PROGRAMS / "aio_guide.py"], more=VARIABLES
    )
    assert json.loads(finished.stdout.splitlines()[-1]) == {
        "block": ["KeyboardInterrupt"],
        "program": "KeyboardInterrupt",
        "cleaned": True,
        "cleaned in time": True,
    }, str(finished)


@pytest.mark.skipif(ON_A_MAC, reason="macfix is active on a Mac")
def test_the_guides_own_test_fails_without_macfix(launcher_for: LauncherFor) -> None:
    finished = launcher_for(TRACTORS["HEAD"]).run(
        PLAIN_LINUX, ["-W", "ignore", PROGRAMS / "aio_guide.py"]
    )
    assert not json.loads(finished.stdout.splitlines()[-1])["cleaned in time"], str(finished)


@pytest.mark.parametrize("vintage", TRACTORS if FULL else ["HEAD"])
@pytest.mark.parametrize("debugger", ["plain", "tractor"])
def test_a_debugger_in_the_clean_up_is_no_refusal(
    debugger: str, vintage: str, launcher_for: LauncherFor
) -> None:
    launcher = launcher_for(TRACTORS[vintage])
    command = [launcher.python, "-W", "ignore::DeprecationWarning"]
    command += [PROGRAMS / "aio_debugged.py", debugger]
    variables = {"MACFIX_AIO_GRACE": str(GRACE), "TERM": "dumb", **VARIABLES}
    stops, said = go_on_at_every_prompt(command, launcher.environment(MENDED, variables))
    assert "MacfixWarning" not in said, said
    assert said.index("cleaned up") < said.index("left") < said.index("ended"), said
    # Python's own stops in the clean-up; tractor's also where the error arrives, at least once
    assert stops == 1 if debugger == "plain" else stops >= 2, said


@pytest.mark.skipif(ON_A_MAC, reason="macfix is active on a Mac")
@pytest.mark.parametrize("vintage", TRACTORS if FULL else ["HEAD"])
@pytest.mark.parametrize("kind", ["error", "crash", "pause", "breakpoint"] if FULL else ["pause"])
def test_debug_mode_stops_as_often_as_without_macfix(
    kind: str, vintage: str, launcher_for: LauncherFor
) -> None:
    launcher = launcher_for(TRACTORS[vintage])
    command = [launcher.python, "-W", "ignore", PROGRAMS / "aio_debug_stops.py", kind]
    variables = {"MACFIX_AIO_GRACE": str(GRACE), "TERM": "dumb"}
    plain, _ = go_on_at_every_prompt(command, launcher.environment(PLAIN_LINUX, variables))
    stops, said = go_on_at_every_prompt(
        command, launcher.environment(MENDED, {**variables, **VARIABLES})
    )
    assert stops == plain > 0, said
    assert said.count("cleaned up") >= 1, said
    assert "MacfixWarning" not in said, said
    assert "ended" in said, said


def go_on_at_every_prompt(command: list[str | Path], env: dict[str, str]) -> tuple[int, str]:
    """Run a program in a terminal; let it go on, after a while, whenever a debugger asks.

    Returns how often one asked, and all that was said.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said, stops, read_to = "", 0, 0
    try:
        while piece := read_some(ours, said):
            said += piece
            if "(Pdb" in said[read_to:]:
                stops, read_to = stops + 1, len(said)
                time.sleep(IN_DEBUGGER)  # the user thinks
                os.write(ours, b"c\n")
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return stops, said


def read_some(terminal: int, said: str) -> str:
    """Return what the program says next, after what it `said` already; nothing at its end."""
    assert select.select([terminal], [], [], 60)[0], f"nothing more comes after\n{said}"
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # what Linux makes of the end
        return ""


@pytest.mark.parametrize("where", ["root", "child"])
def test_uvloop_makes_no_difference(
    where: str, launcher_for: LauncherFor, uvloop: Path | None
) -> None:
    if uvloop is None:
        pytest.skip("set MACFIX_UVLOOP to a folder with uvloop for the upstream's Python")
    cells = tuple(
        f"{way}:{state}"
        for way in ("end", "error", "sigint", "cancel", "crash", "both")
        for state in ("parked", "busy", "nested", "cleaning", "refusing")
    )
    grid = Grid(where, "channel", cells)
    launcher = launcher_for(TRACTORS["HEAD"]).with_path(PROGRAMS / "on_uvloop", uvloop)
    lines = grid.run(launcher, MENDED, {"MACFIX_AIO_GRACE": "0.3", **VARIABLES})
    wrong = {cell: found for cell, line in lines.items() if (found := grid.wrong(line))}
    assert wrong == {}
    assert {line.get("loop") for line in lines.values()} == {"uvloop"}


@pytest.fixture
def uvloop() -> Path | None:
    """A folder with uvloop, if the tester has one."""
    from tests.support.surroundings import STARTED_WITH

    named = STARTED_WITH.get("MACFIX_UVLOOP")
    return Path(named) if named else None
