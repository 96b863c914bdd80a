"""Real modules of all times, tractor's and piker's, share arrays under any key on any Mac."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import upstream
from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.reports import Tables
from tests.support.surroundings import HEAVY
from tests.support.vintages import NEW, OLD, PIKER, RECIPE_2022, Vintage
from tests.support.worlds import BARE_MAC, MENDED_MAC, ON_A_MAC, PLAIN_LINUX

PROGRAM = Path(__file__).parent / "programs" / "shm_keys.py"

MACS = ("names=30,page=16384", "names=31,page=16384", "names=30,page=4096", "names=31,page=4096")

STEP = 1 if HEAVY == "full" else 25
"""Of the lengths from 1 to 255 bytes, in letters of one, two and three bytes: each n-th."""

TRACTORS = {
    OLD: ("5cee2223", "eeb9a7d6", "d6eeddef", "eeb05160"),
    NEW: (
        *("6b4d08d0", "6b155849", "ba384ca8", "6bf571a1", "59822ff0", "a6f59990", "83ce2275"),
        *("448d25ae", "70bb7728", "36307c59", "814b2e7e", "683476cc", "c1c4d859", "a7ff1387"),
        *("cc3bfac7", "8f6bc561", "f47010d7", "5c98ab1f", "eb3e2b35", "fd41f88b", "65bf9df5"),
        *("83b34884", "3690e43a"),
    ),
}
"""From 2025-03 to 2026-08, by the module that shares arrays: each time at which it changed."""

OLD_PIKERS = {
    "c1d700f2": (
        *("efb743fd", "c60d5234", "00a7f202", "66c20b80", "1b38628b", "55772efb", "869aa825"),
        "7b653fe4",
    ),
    "6a0337b6": ("d1cc52df", "9e2eff50"),
}
NEW_PIKERS = {"36307c59": ("1fe1d059", "afd26ff8", "5ed8544f", "3d037818")}
"""From 2022-02 to 2024-01, by the tractor that they can run with."""

VINTAGES = [
    *(Vintage(module, commit) for module, commits in TRACTORS.items() for commit in commits),
    *(
        Vintage(PIKER, commit, tractor, RECIPE_2022)
        for tractor, commits in OLD_PIKERS.items()
        for commit in commits
    ),
    *(Vintage(PIKER, c, tractor) for tractor, commits in NEW_PIKERS.items() for c in commits),
]
EVERYDAY_MACS = {
    "3690e43a": MACS[:1],
    "3d037818": MACS[3:],
}
CHOSEN = [v for v in VINTAGES if HEAVY == "full" or v.commit in EVERYDAY_MACS]

MakeLauncher = Callable[[Vintage], Launcher]


def report_of(finished: Finished) -> dict[str, object]:
    assert finished.returncode == 0, str(finished)
    report: dict[str, object] = json.loads(finished.stdout.splitlines()[-1])
    return report


def test_there_are_enough_vintages() -> None:
    commits = [vintage.commit for vintage in VINTAGES]
    assert len(set(commits)) == len(commits)
    assert sum(vintage.module == PIKER for vintage in VINTAGES) >= 12
    assert sum(vintage.module != PIKER for vintage in VINTAGES) >= 20


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("vintage", "mac"),
    [
        pytest.param(vintage, mac, id=f"{vintage}-{mac}")
        for vintage in CHOSEN
        for mac in (MACS if HEAVY == "full" else EVERYDAY_MACS[vintage.commit])
    ],
)
def test_two_processes_share_arrays_under_keys_of_every_length(
    vintage: Vintage, mac: str, launcher_of: MakeLauncher, tables: Tables
) -> None:
    if ON_A_MAC and mac != MACS[0]:
        pytest.skip("a Mac is of one kind")
    launcher = launcher_of(vintage)
    more = {} if ON_A_MAC else {"MACFIX_SIMULATE": mac}
    finished = launcher.run(
        MENDED_MAC, [PROGRAM, vintage.module, str(STEP)], more=more, timeout=1000
    )
    report = report_of(finished)
    assert report["wrong"] == [] and report["left"] == [] and report["peer"] == 0, str(finished)
    assert "MacfixWarning" not in finished.stderr, str(finished)
    tables.add(
        "arrays under keys of every length",
        *(str(vintage), mac, f"{report['keys']} keys", f"arrays: {report['arrays']}"),
        *(f"lists: {report['lists']}", f"{finished.seconds:.0f} s"),
    )


@pytest.mark.skipif(ON_A_MAC, reason="a Mac cannot be Linux")
@pytest.mark.parametrize("commit", ["83ce2275"])
def test_plain_linux_shares_no_worse(commit: str, launcher_of: MakeLauncher) -> None:
    """The program itself asks for nothing that upstream does not do on Linux, but for two things:
    tractor finds no array by its key, and tokens of that time have no key."""
    launcher = launcher_of(Vintage(NEW, commit))
    finished = launcher.with_path(launcher.macfix_folder).run(PLAIN_LINUX, [PROGRAM, NEW, "100"])
    wrong = report_of(finished)["wrong"]
    assert isinstance(wrong, list) and wrong
    assert all("has no attribute 'key'" in line for line in wrong), str(finished)


@pytest.mark.parametrize("vintage", CHOSEN, ids=str)
def test_without_macfix_no_array_is_shared_on_a_mac(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    finished = launcher_of(vintage).run(BARE_MAC, [PROGRAM, vintage.module, "50"])
    assert finished.returncode != 0 or report_of(finished)["wrong"], str(finished)


def test_commits_are_on_this_machine_or_skipped() -> None:
    try:
        upstream.checkout("tractor")
    except upstream.UpstreamMissingError as error:
        assert "git clone" in str(error)
