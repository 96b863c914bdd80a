"""tractor's own tests of shared memory fail nowhere on a Mac with macfix where Linux passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import upstream
from tests.support.launcher import Launcher
from tests.support.reports import Tables
from tests.support.suites import Suite, compare
from tests.support.surroundings import HEAVY
from tests.support.worlds import MENDED_MAC, ON_A_MAC, PLAIN_LINUX

SUITE = ("tests/test_shm.py",)

COMMITS = upstream.TRACTORS if HEAVY == "full" else {"HEAD": upstream.TRACTORS["HEAD"]}


@pytest.mark.skipif(ON_A_MAC, reason="there is no Linux here to compare with")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
def test_tractors_own_tests_of_shared_memory(
    commit: str, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    launcher = launcher_for(commit)
    found = compare(Suite(launcher, launcher.path[0], SUITE), PLAIN_LINUX, MENDED_MAC)
    title = "tractor's own tests of shared memory"
    for world, outcomes in ((PLAIN_LINUX, found.home), (MENDED_MAC, found.other)):
        tables.add(title, commit, world.name, outcomes.count(), f"{outcomes.seconds:.0f} s")
    for test in found.flakes():
        tables.add(title, commit, "flake", test, "")
    assert found.other.of, "no test ran"
    assert not found.real(), found.explain()
