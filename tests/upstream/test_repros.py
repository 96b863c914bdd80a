"""Every built-in patch is needed somewhere, is applied where it is, and fixes what it says.

The repros of two patches run every day, and of all with `MACFIX_HEAVY=full`; those of
sockets and shared memory run every day on the replicas.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import builtin, pythons, upstream
from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY, every
from tests.support.worlds import LINUX_WITH_MACFIX, MENDED_MAC

from .programs.patch_book import LACKING, RAISED

BOOK = Path(__file__).parent / "programs" / "patch_book.py"

PATCHES = tuple(builtin.patches())


@dataclass(frozen=True)
class Vintage:
    """Upstreams of one time: commits by upstream, and who can run them."""

    name: str
    commits: tuple[tuple[str, str], ...]
    recipe: pythons.Recipe = pythons.TRACTOR

    def concerns(self, target: str) -> bool:
        """Whether `target` is of the first of the upstreams, the one to look at, or of trio."""
        return target.partition(".")[0] in (self.commits[0][0], "trio")


BEFORE_UNIX_SOCKETS = ("470d349e", "eeb05160")
"""Tractors of 2025-03, before asyncio was kept from abandoning trio, and of 2025-06."""

TRACTORS = [
    Vintage(f"tractor {commit}", (("tractor", commit),))
    for commit in (*BEFORE_UNIX_SOCKETS, *upstream.TRACTORS.values(), upstream.PIKERS_TRACTOR)
]
PIKER = Vintage(
    f"piker {upstream.PIKER}",
    (("piker", upstream.PIKER), ("tractor", upstream.PIKERS_TRACTOR)),
    pythons.PIKER,
)
FORKING = Vintage("tractor c4cad921", (("tractor", "c4cad921"),))
"""A branch of 2026-06 that can fork its actors."""

VINTAGES = [*TRACTORS, PIKER]

OPTIONAL = {"piker.brokers.deribit.api"}
"""Targets that need a package which is not here: `cryptofeed`, which piker does not require."""

LauncherOf = Callable[[Vintage], Launcher]
SurveyOf = Callable[[Vintage], list[dict[str, str]]]


@pytest.fixture
def launcher_of(
    upstream_at: Callable[[str, str], Path],
    request: pytest.FixtureRequest,
    macfix_folder: Path,
    sandbox: Sandbox,
) -> LauncherOf:
    """A launcher whose programs import the upstreams of a vintage.

    An environment for piker is used where there is one, but not built: it has a gigabyte.
    """

    def make(vintage: Vintage) -> Launcher:
        python: Path | None
        if vintage.recipe is pythons.PIKER:
            python = pythons.find(pythons.PIKER)
        else:
            python = request.getfixturevalue("upstream_python")
        if python is None:
            pytest.skip("no environment for piker: build one as docs/piker.md says")
        path = tuple(upstream_at(name, commit) for name, commit in vintage.commits)
        return Launcher(python, sandbox, macfix_folder, path)

    return make


_surveys: dict[Vintage, list[dict[str, str]]] = {}


@pytest.fixture
def survey_of(
    upstream_at: Callable[[str, str], Path],
    upstream_python: Path,
    macfix_folder: Path,
    sandbox: Sandbox,
) -> SurveyOf:
    """What the patches say of a vintage's sources; each vintage is asked about once."""

    def survey(vintage: Vintage) -> list[dict[str, str]]:
        if vintage not in _surveys:
            path = tuple(upstream_at(name, commit) for name, commit in vintage.commits)
            launcher = Launcher(upstream_python, sandbox, macfix_folder, path)
            found = ask(launcher.run(LINUX_WITH_MACFIX, [BOOK, "survey"]))
            _surveys[vintage] = [one for one in found if vintage.concerns(one["target"])]
        return _surveys[vintage]

    return survey


def ask(finished: Finished) -> Any:
    """Return what the patch book answered."""
    assert finished.returncode == 0, str(finished)
    return json.loads(finished.stdout.splitlines()[-1])  # upstream may have printed before


def needing(patch: str, vintages: list[Vintage], survey_of: SurveyOf) -> list[Vintage]:
    """Return those of `vintages` that have the defect."""
    return [
        vintage
        for vintage in vintages
        if any(one["patch"] == patch and one["state"] == "needed" for one in survey_of(vintage))
    ]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("patch", every(25, PATCHES))
def test_repro_raises_without_its_patch_and_returns_with_it(
    patch: str, survey_of: SurveyOf, launcher_of: LauncherOf
) -> None:
    vintages = needing(patch, TRACTORS, survey_of) or needing(patch, [PIKER, FORKING], survey_of)
    if HEAVY != "full":
        vintages = vintages[-1:]
    wrong = []
    for vintage in vintages:
        launcher = launcher_of(vintage)
        bare = launcher.run(MENDED_MAC, [BOOK, "repro", patch], more={"MACFIX_SKIP": patch})
        patched = launcher.run(MENDED_MAC, [BOOK, "repro", patch])
        if patched.returncode == bare.returncode == LACKING:
            pytest.skip(f"{vintage.name}: {patched.stderr.strip().splitlines()[-1]}")
        if bare.returncode != RAISED:
            wrong.append(f"{vintage.name}: the repro does not show the defect: {bare}")
        if patched.returncode != 0:
            wrong.append(f"{vintage.name}: the repro shows the defect though patched: {patched}")
    assert vintages, f"no upstream known here needs {patch}"
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("vintage", VINTAGES, ids=lambda vintage: vintage.name)
def test_no_patch_is_puzzled_by_an_upstream_that_is_known(
    vintage: Vintage, survey_of: SurveyOf
) -> None:
    assert [one for one in survey_of(vintage) if one["state"] == "unknown"] == []


@pytest.mark.parametrize(
    "vintage",
    VINTAGES if HEAVY == "full" else [TRACTORS[0], PIKER],
    ids=lambda vintage: vintage.name,
)
def test_exactly_the_needed_patches_are_applied(
    vintage: Vintage, survey_of: SurveyOf, launcher_of: LauncherOf
) -> None:
    finished = launcher_of(vintage).run(MENDED_MAC, [BOOK, "ledger"])
    states = {
        (entry["patch"], entry["target"]): entry["state"]
        for entry in ask(finished)
        # pending: this vintage has no such target, or a package that the target needs is not here
        if vintage.concerns(entry["target"]) and entry["state"] != "pending"
    }
    expected = {
        (one["patch"], one["target"]): {"needed": "applied"}.get(one["state"], one["state"])
        for one in survey_of(vintage)
        if (one["patch"], one["target"]) in states or one["target"] not in OPTIONAL
    }
    assert states == expected, str(finished)
