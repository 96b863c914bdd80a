"""However arrays end, at many hands or by `kill -9`, nobody dies of it and nothing is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.reports import Tables
from tests.support.surroundings import HEAVY
from tests.support.vintages import NEW, PIKER, RECIPE_2022, Vintage
from tests.support.worlds import BARE_MAC, MENDED_MAC

RACE = Path(__file__).parent / "programs" / "shm_destroy_race.py"
KILL = Path(__file__).parent / "programs" / "shm_kill.py"

PROCESSES, ARRAYS, ROUNDS = (32, 34, 50) if HEAVY == "full" else (8, 10, 2)
KILLED = 520 if HEAVY == "full" else 26  # rounds; thirteen phases

VINTAGES = [
    Vintage(NEW, "3690e43a"),
    Vintage(NEW, "83ce2275"),
    Vintage(PIKER, "3d037818", "36307c59"),
    Vintage(PIKER, "efb743fd", "c1d700f2", RECIPE_2022),
]
CHOSEN = VINTAGES if HEAVY == "full" else VINTAGES[:1] + VINTAGES[3:]

MakeLauncher = Callable[[Vintage], Launcher]


def report_of(finished: Finished) -> dict[str, Any]:
    assert finished.returncode == 0, str(finished)
    report: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return report


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("vintage", CHOSEN, ids=str)
def test_many_processes_destroy_the_same_arrays_at_once(
    vintage: Vintage, launcher_of: MakeLauncher, tables: Tables
) -> None:
    words = [RACE, vintage.module, str(PROCESSES), str(ARRAYS), str(ROUNDS)]
    finished = launcher_of(vintage).run(MENDED_MAC, words, timeout=2000)
    report = report_of(finished)
    assert report["errors"] == [] and report["left"] == [], str(finished)
    destroyed = report["segments"] * ROUNDS
    asked = destroyed * (PROCESSES + 1)  # whoever opened them destroys them twice
    assert report["warnings"] == asked - destroyed  # each segment is unlinked once
    assert report["unnamed"] == []  # every warning names its key
    counted = report["counted"]
    assert counted["here"] > 0 and str(counted["here"]) in counted["ledger"]
    tables.add(
        f"{PROCESSES} processes destroy the same {report['segments']} segments, {ROUNDS} rounds",
        *(str(vintage), f"{report['warnings']} races", "no error", f"{finished.seconds:.0f} s"),
    )


@pytest.mark.parametrize("vintage", VINTAGES[1:2], ids=str)
def test_without_macfix_destroying_at_once_fails(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    finished = launcher_of(vintage).run(BARE_MAC, [RACE, vintage.module, "2", "1", "1"], sweep=True)
    assert finished.returncode != 0


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("vintage", CHOSEN, ids=str)
def test_whoever_is_killed_leaves_nothing_that_is_not_reaped(
    vintage: Vintage, launcher_of: MakeLauncher, tables: Tables
) -> None:
    finished = launcher_of(vintage).run(
        MENDED_MAC, [KILL, vintage.module, str(KILLED)], timeout=2000, sweep=True
    )
    report = report_of(finished)
    assert report["wrong"] == [] and report["at the end"] == [], str(finished)
    seen = report["seen"]
    assert seen["left"] > 0 and seen["attached"] > 0  # something was left, and something in use
    tables.add(
        f"kill -9, {report['rounds']} rounds in {len(seen) - 2} phases",
        *(str(vintage), f"{seen['left']} segments left by the dead and reaped"),
        *(f"{seen['attached']} in use meanwhile", f"{finished.seconds:.0f} s"),
    )
