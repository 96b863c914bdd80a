"""tractor's own tests fail nowhere on a Mac with macfix where they do not fail on Linux."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import upstream
from tests.support.launcher import Launcher
from tests.support.reports import Tables
from tests.support.suites import Suite, compare
from tests.support.surroundings import HEAVY, every
from tests.support.worlds import MENDED_MAC, ON_A_MAC, PLAIN_LINUX

SUITES = {
    "sockets": (("tests/ipc", "tests/test_local.py", "tests/test_2way.py"), ("--tpt-proto=uds",)),
    "actors": (("tests/test_spawning.py",), ("--tpt-proto=uds",)),
    "shared memory": (("tests/test_shm.py",), ()),
    "imports": (("tests/test_lazy_imports.py",), ()),
}
"""Parts of it, of which the first runs each day: files and folders, and words for pytest."""

EXPECTED = {"tests/test_lazy_imports.py::test_cold_import_budget": "assert not {'wrapt'}"}
"""What has to differ: a bare import loads nothing of what tractor loads late but wrapt, for macfix.

The text is part of what pytest says of the test.
"""

ON_LINUX_ONLY = "tests/test_ringbuf.py"
"""It says so itself, and is skipped elsewhere before any test of it is known."""

COMMITS = upstream.TRACTORS if HEAVY == "full" else {"HEAD": upstream.TRACTORS["HEAD"]}


TITLE = "tractor's own tests"

pytestmark = pytest.mark.skipif(ON_A_MAC, reason="there is no Linux here to compare with")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", every(len(SUITES), SUITES))
@pytest.mark.parametrize("commit", COMMITS.values(), ids=list(COMMITS))
def test_this_part_of_it_fails_nowhere_that_linux_does_not(
    commit: str, part: str, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    launcher = launcher_for(commit)
    tests, words = SUITES[part]
    there = tuple(test for test in tests if (launcher.path[0] / test).exists())
    if not there:
        pytest.skip(f"this tractor has no tests of {part}")
    suite = Suite(launcher, launcher.path[0], there, words)
    no_difference(suite, f"{commit}, {part}", tables)


def test_a_bare_import_loads_wrapt_and_nothing_else_that_tractor_loads_late(
    launcher_for: Callable[[str], Launcher],
) -> None:
    late = {"asyncio", "bidict", "colorlog", "multiaddr", "wrapt"}
    program = f"import sys, tractor; print(sorted({late} & sys.modules.keys()))"
    finished = launcher_for(upstream.TRACTORS["HEAD"]).run(MENDED_MAC, ["-c", program])
    assert finished.stdout.splitlines() == ["['wrapt']"], str(finished)


@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full runs its whole suite")
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("transport", ["tcp", "uds"])
def test_its_whole_suite_fails_nowhere_that_linux_does_not(
    transport: str, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    launcher = launcher_for(upstream.TRACTORS["HEAD"])
    words = (f"--tpt-proto={transport}", f"--ignore={ON_LINUX_ONLY}")
    suite = Suite(launcher, launcher.path[0], ("tests",), words, patience=3600.0)
    no_difference(suite, f"HEAD, all of them over {transport}", tables)


def no_difference(suite: Suite, what: str, tables: Tables) -> None:
    """Check that no test of `suite` fails on a Mac with macfix only, but for the expected ones."""
    found = compare(suite, PLAIN_LINUX, MENDED_MAC, EXPECTED)
    for world, outcomes in ((PLAIN_LINUX, found.home), (MENDED_MAC, found.other)):
        tables.add(TITLE, what, world.name, outcomes.count(), f"{outcomes.seconds:.0f} s")
    for test in found.flakes():
        tables.add(TITLE, what, "flake", test, "")
    for test in sorted(found.other.of):
        pair = (found.home[test], found.other[test])
        if pair[0] != pair[1] and test not in found.suspects:
            tables.add(TITLE, what, "differs", f"{test}: {pair[0]} on Linux, {pair[1]}", "")
    assert found.other.of, "no test ran"
    assert not found.real(), found.explain()
