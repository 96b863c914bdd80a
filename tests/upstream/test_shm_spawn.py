"""`multiprocessing` of the standard library works in a process that shares arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import pythons
from tests.support.launcher import Launcher
from tests.support.surroundings import every
from tests.support.vintages import NEW, OLD, PIKER, Vintage
from tests.support.worlds import ON_A_MAC, UNTOUCHED

PROGRAM = Path(__file__).parent / "programs" / "shm_spawn.py"

HEAD = Vintage(NEW, "3690e43a")
VINTAGES = [
    HEAD,
    Vintage(NEW, "ba384ca8"),  # a helper that returns nothing
    Vintage(OLD, "eeb9a7d6"),
    Vintage(PIKER, "3d037818", "36307c59", pythons.PIKER),
]
CHOSEN = every(len(VINTAGES), VINTAGES)

NO_DESCRIPTOR = (
    "TypeError: int() argument must be a string, a bytes-like object or a real number, "
    "not 'NoneType'"
)

MakeLauncher = Callable[..., Launcher]


def seen(launcher: Launcher, vintage: Vintage, **more: str) -> dict[str, object]:
    simulate = () if ON_A_MAC else ("--simulate",)
    launcher = launcher.with_path(launcher.macfix_folder)
    finished = launcher.run(
        UNTOUCHED, ["-m", "macfix", *simulate, PROGRAM, vintage.module], more=more
    )
    assert finished.returncode == 0, str(finished)
    assert "resource_tracker" not in finished.stderr, str(finished)
    report: dict[str, object] = json.loads(finished.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("vintage", CHOSEN, ids=str)
def test_multiprocessing_works_and_upstreams_segments_are_not_tracked(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    assert seen(launcher_of(vintage), vintage) == {
        "process": [0, 0],
        "pool": [1, 4, 9],
        "manager": [1, 2],
        "own_segment": ["REGISTER", "UNREGISTER"],
        "upstreams_segments": [],
    }


@pytest.mark.parametrize("vintage", CHOSEN, ids=str)
def test_without_the_patch_nothing_can_be_spawned(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    assert seen(launcher_of(vintage), vintage, MACFIX_SKIP="shm-resource-tracker") == {
        "process": NO_DESCRIPTOR,
        "pool": NO_DESCRIPTOR,
        "manager": NO_DESCRIPTOR,
        "own_segment": [],
        "upstreams_segments": [],
    }
