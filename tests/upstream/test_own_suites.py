"""tractor's own tests fail nowhere on a Mac with macfix where they do not fail on Linux."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import upstream
from tests.support.launcher import Launcher
from tests.support.reports import Tables
from tests.support.suites import Suite, compare
from tests.support.surroundings import HEAVY
from tests.support.worlds import MENDED_MAC, ON_A_MAC, PLAIN_LINUX

SUITES = ("tests/ipc", "tests/test_spawning.py", "tests/test_local.py", "tests/test_2way.py")

COMMITS = upstream.TRACTORS if HEAVY == "full" else {"HEAD": upstream.TRACTORS["HEAD"]}


@pytest.mark.skipif(ON_A_MAC, reason="there is no Linux here to compare with")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("commit", COMMITS.values(), ids=list(COMMITS))
def test_tractors_own_tests_fail_nowhere_that_linux_does_not(
    commit: str, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    launcher = launcher_for(commit)
    folder = launcher.path[0]
    suite = Suite(launcher, folder, SUITES, ("--tpt-proto=uds",))
    found = compare(suite, PLAIN_LINUX, MENDED_MAC)
    title = "tractor's own tests over Unix sockets"
    for world, outcomes in ((PLAIN_LINUX, found.home), (MENDED_MAC, found.other)):
        tables.add(title, commit, world.name, outcomes.count(), f"{outcomes.seconds:.0f} s")
    for test in found.flakes():
        tables.add(title, commit, "flake", test, "")
    for test in sorted(found.other.of):
        pair = (found.home[test], found.other[test])
        if pair[0] != pair[1] and test not in found.suspects:
            tables.add(title, commit, "differs", f"{test}: {pair[0]} on Linux, {pair[1]}", "")
    assert found.other.of, "no test ran"
    assert not found.real(), found.explain()
