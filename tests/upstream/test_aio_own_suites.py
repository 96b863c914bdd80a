"""tractor's own tests of its asyncio side fail with macfix nowhere where they pass without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from tests.support.aio_grid import TRACTORS
from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.reports import Tables
from tests.support.suites import Suite, compare
from tests.support.surroundings import HEAVY
from tests.support.worlds import (
    LINUX_WITH_MACFIX,
    MENDED_MAC,
    ON_A_MAC,
    PLAIN_LINUX,
    World,
)

FORCED = "aio-abandoned-task,aio-piker-targets,aio-root-interrupt,aio-unsuppressed-exit"

ROOT = "tests/test_root_infect_asyncio.py"
SUITES = ("tests/test_infected_asyncio.py", ROOT)

CASES = [
    (vintage, world)
    for vintage in (TRACTORS if HEAVY == "full" else ["HEAD"])
    for world in (LINUX_WITH_MACFIX, MENDED_MAC)
    if HEAVY == "full" or world is LINUX_WITH_MACFIX
]


@dataclass(frozen=True)
class ForcingLauncher(Launcher):
    """A launcher that has the cures active on Linux too, in the world that has macfix there."""

    def run(self, world: World, arguments: Sequence[str | Path], **options: Any) -> Finished:
        """Run the interpreter, as every launcher does."""
        more: Mapping[str, str] = options.pop("more", None) or {}
        if world is LINUX_WITH_MACFIX:
            more = {"MACFIX_FORCE": FORCED, **more}
        return super().run(world, arguments, more=more, **options)


@pytest.mark.skipif(ON_A_MAC, reason="there is no Linux here to compare with")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("vintage", "world"), CASES, ids=lambda value: getattr(value, "name", value)
)
def test_tractors_own_tests_fail_nowhere_that_they_do_not_without_macfix(
    vintage: str, world: World, launcher_for: Callable[[str], Launcher], tables: Tables
) -> None:
    plain = launcher_for(TRACTORS[vintage])
    launcher = ForcingLauncher(*(getattr(plain, field.name) for field in fields(plain)))
    folder = launcher.path[0]
    there = tuple(suite for suite in SUITES if (folder / suite).exists())
    suite = Suite(launcher, folder, there if HEAVY == "full" else (ROOT,))
    found = compare(suite, PLAIN_LINUX, world)
    title = "tractor's own tests of its asyncio side"
    for where, outcomes in ((PLAIN_LINUX, found.home), (world, found.other)):
        tables.add(title, vintage, where.name, outcomes.count(), f"{outcomes.seconds:.0f} s")
    for test in found.flakes():
        tables.add(title, vintage, "flake", test, "")
    assert found.other.of, "no test ran"
    assert not found.real(), found.explain()
