"""What users of shared arrays meet on a Mac with macfix: actors, charts, the store, bad input."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import pythons
from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.reports import Tables
from tests.support.surroundings import HEAVY
from tests.support.vintages import NEW, OLD, PIKER, RECIPE_2022, Vintage
from tests.support.worlds import BARE_MAC, MENDED_MAC, ON_A_MAC

PROGRAMS = Path(__file__).parent / "programs"

HEAD = Vintage(NEW, "3690e43a")
LAST_PIKER = Vintage(PIKER, "3d037818", "36307c59")
FIRST_PIKER = Vintage(PIKER, "efb743fd", "c1d700f2", RECIPE_2022)

WITH_ACTORS = [HEAD, Vintage(NEW, "83ce2275"), Vintage(NEW, "ba384ca8"), Vintage(NEW, "814b2e7e")]
BAD_INPUT = [HEAD, LAST_PIKER, FIRST_PIKER, Vintage(NEW, "83ce2275"), Vintage(OLD, "eeb9a7d6")]

LIMIT = 256  # open files, as a Mac gives them

MakeLauncher = Callable[..., Launcher]


def some(vintages: list[Vintage]) -> list[Vintage]:
    """Return all of them in a full run, else the first and the last."""
    return vintages if HEAVY == "full" else vintages[:1] + vintages[-1:]


def report_of(finished: Finished) -> dict[str, Any]:
    assert finished.returncode == 0, str(finished)
    report: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("vintage", WITH_ACTORS if HEAVY == "full" else [HEAD], ids=str)
def test_actors_share_arrays_by_token_and_by_key(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    finished = launcher_of(vintage).run(
        MENDED_MAC, [PROGRAMS / "shm_actors.py", str(port)], more={"SHM_MODULE": vintage.module}
    )
    report = report_of(finished)
    assert len(report) == 3
    for key, seen in report.items():
        assert seen == {
            "attached": [True, True],  # the token's key, and the key in its repr
            "known": True,
            "by key": [False, [9.0]],
            "gone": "<class 'FileNotFoundError'>",  # a child destroyed it, and that is all
            "last": [9.0, 1.0],
            "journey": [True, True, 1, True],
        }, f"{key}: {finished}"


@pytest.mark.parametrize("vintage", [HEAD, LAST_PIKER] if HEAVY == "full" else [HEAD], ids=str)
def test_a_chart_with_two_hundred_markets_opens(
    vintage: Vintage, launcher_of: MakeLauncher, tables: Tables
) -> None:
    launcher = launcher_of(vintage)
    words = [PROGRAMS / "shm_markets.py", vintage.module]
    report = report_of(finished := launcher.run(MENDED_MAC, [*words, "200"]))
    assert report["opened"], str(finished)
    assert f"{report['limit']} files may be open" in report["notes"]["open files"]
    if not ON_A_MAC:
        assert report["found"] == LIMIT and report["limit"] == 10240
    bare = launcher.run(BARE_MAC, [*words, "200"], sweep=True)
    assert bare.returncode != 0
    tables.add(
        "200 markets, each opened and attached",
        *(str(vintage), f"{report['files']} files", f"limit {report['found']} → {report['limit']}"),
    )


@pytest.mark.skipif(ON_A_MAC, reason="how many files a Mac allows is the Mac's own business")
@pytest.mark.parametrize(
    ("vintage", "recipe"),
    [(LAST_PIKER, pythons.PIKER), (FIRST_PIKER, RECIPE_2022)][: 2 if HEAVY == "full" else 1],
    ids=lambda given: str(given) if given in (LAST_PIKER, FIRST_PIKER) else "",
)
def test_a_chart_with_two_hundred_markets_opens_where_a_segment_is_a_file(
    vintage: Vintage, recipe: pythons.Recipe, launcher_of: MakeLauncher, tables: Tables
) -> None:
    """Before Python 3.13, that is."""
    launcher = launcher_of(vintage, recipe)
    words = [PROGRAMS / "shm_markets.py", vintage.module, "200"]
    report = report_of(finished := launcher.run(MENDED_MAC, words))
    assert report["opened"] and report["files"] >= 200 * 3 * 2 > LIMIT, str(finished)
    low = launcher.run(MENDED_MAC, words, more={"MACFIX_SKIP": "shm-open-files"}, sweep=True)
    assert low.returncode != 0 and "Too many open files" in low.stderr, str(low)
    tables.add(
        "200 markets, each opened and attached",
        *(str(vintage), f"{report['files']} files", f"limit {report['found']} → {report['limit']}"),
    )


@pytest.mark.parametrize("vintage", [HEAD, LAST_PIKER] if HEAVY == "full" else [HEAD], ids=str)
def test_every_actor_may_open_more_files_than_macos_gives_it(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    launcher, words = launcher_of(vintage), [PROGRAMS / "open_files.py"]
    report = report_of(launcher.run(MENDED_MAC, words))
    assert report["child"] == report["root"] > LIMIT
    without = launcher.run(MENDED_MAC, words, more={"MACFIX_SKIP": "shm-open-files"})
    if not ON_A_MAC:
        assert report_of(without) == {"root": LIMIT, "child": LIMIT}


@pytest.mark.parametrize("vintage", [LAST_PIKER], ids=str)
def test_the_store_finds_arrays_without_a_dev_shm(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    launcher = launcher_of(vintage, pythons.PIKER)
    words = [PROGRAMS / "shm_store.py", "xsimusdt.simx"]
    report = report_of(launcher.run(MENDED_MAC, words))
    assert report["nothing"] == []
    assert report["found"] == [
        [f"/dev/shm/piker.brokerd[TAG-42].xsimusdt.simx.{kind}", 4, "a frame of 4 rows", True]
        for kind in ("hist", "rt")
    ]
    without = launcher.run(MENDED_MAC, words, more={"MACFIX_SKIP": "shm-dev-shm"})
    assert report_of(without)["found"] == []


BAD = {
    "empty key": "InvalidKeyError: the key of a shared memory segment is empty",
    "slash": "InvalidKeyError: the key 'a/b' of a shared memory segment has a slash",
    "NUL": r"InvalidKeyError: the key 'a\x00b' of a shared memory segment has a NUL",
    "size 0": "ValueError: an array needs at least one row, and 'KEY' has 0",
    "size -1": "ValueError: an array needs at least one row, and 'KEY' has -1",
    "no memory for segment 1": "Cannot allocate memory: 'KEY'",
    "no memory for segment 2": "Cannot allocate memory: 'KEY_first'",
    "no memory for segment 3": "Cannot allocate memory: 'KEY_last'",
    "no file for segment 2": "Too many open files; raise the limit of open files",
    "no permission on segment 3": "PermissionError",
    "no actor": "RuntimeError: there is no actor",
    "open twice": "FileExistsError",
    "another dtype": "TokenMismatchError: shared memory 'KEY' holds rows of dtype",
    "another dtype by key": "TokenMismatchError: shared memory 'KEY' holds rows of dtype",
    "a larger dtype": "TokenMismatchError",
    "a larger dtype by key": "TokenMismatchError",
    "somebody else's": "PermissionError: [Errno 13] shared memory",
}


@pytest.mark.parametrize("vintage", some(BAD_INPUT), ids=str)
def test_bad_input_is_a_clear_error_and_loses_nothing(
    vintage: Vintage, launcher_of: MakeLauncher
) -> None:
    launcher = launcher_of(vintage)
    finished = launcher.run(MENDED_MAC, [PROGRAMS / "shm_bad_input.py", vintage.module])
    report = report_of(finished)
    assert report["unharmed"] and report["left"] == [], str(finished)
    seen = report["seen"]
    key = next(s["said"].rpartition(": ")[2] for n, s in seen.items() if n == "open twice")
    assert seen.keys() >= BAD.keys() - {"no actor"}  # not every vintage asks for one
    for name, expected in BAD.items():
        if name not in seen:
            continue
        assert expected.replace("KEY", key.strip("'")) in seen[name]["said"], f"{name}: {finished}"
    for name, what in seen.items():
        assert what["said"] != "no error", f"{name}: {finished}"
        assert what["left"] == [] and what["tokens kept"] and what["files"] == 0, (name, what)
    if "more rows" in seen:
        for name in ("more rows", "fewer rows"):
            assert "the token says" in seen[name]["said"]
