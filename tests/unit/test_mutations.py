"""Whatever upstream becomes, macfix does not make it worse: thousands of changed sources.

Every mutant of every target either imports exactly as it would without macfix, or patched; there
is never a new exception, never half a patch, and everything can be undone. `MACFIX_HEAVY=full` runs
2000 of each target of the newest tractor and piker, and 500 more of each in every older tractor,
instead of the everyday share; `MACFIX_SEED` draws others.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes, pythons, upstream
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY, REPOSITORY, STARTED_WITH

COUNT = 2000 if HEAVY == "full" else 8
OLDER = 500
PIKERS = COUNT if HEAVY == "full" else 1
SEED = int(STARTED_WITH.get("MACFIX_SEED", "5"))
REPLICAS = REPOSITORY / "tests" / "replicas"
PATIENCE = 7200 if HEAVY == "full" else 280
VINTAGES = tuple(upstream.TRACTORS) if HEAVY == "full" else ("HEAD",)

PIKERS_TARGETS = {
    "piker.brokers",
    "piker.brokers.ib.api",
    "piker.config",
    "piker.data._sharedmem",
    "piker.service.elastic",
    "piker.storage.cli",
    "piker.tsp",
    "piker.ui._event",
    "piker.ui._exec",
    "piker.ui._notify",
    "piker.ui._style",
}
"""Targets in the newest public piker; `deribit` imports only after changes to others."""

WORLDS = {"plain": {}} | (
    {"simulated": {"MACFIX_SIMULATE": "1"}} if sys.platform == "linux" else {}
)

SOME_WORLDS = [*WORLDS] if HEAVY == "full" else [*WORLDS][-1:]


def run(
    sandbox: Sandbox,
    python: Path | str,
    path: list[Path],
    world: str,
    count: int = COUNT,
    targets: Collection[str] = (),
) -> dict[str, Any]:
    """Import *count* mutants of each target on *path*, or of *targets* only.

    On a Mac, the rest of upstream is patched.
    """
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env |= sandbox.variables() | WORLDS[world]
    site = [REPOSITORY / "macfix" / "activation" / "site"] if world == "simulated" else []
    # ours first: upstream has a package `tests`, too
    env["PYTHONPATH"] = os.pathsep.join(map(str, [*site, REPOSITORY, *path]))
    words = [python, "-m", "tests.support.mutation_run", str(count), str(SEED), *sorted(targets)]
    done = processes.run(words, env=env, cwd=sandbox.home, timeout=PATIENCE)
    assert done.returncode == 0, str(done)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def run_both(
    sandbox: Sandbox, python: Path | str, path: list[Path], world: str, count: int = COUNT
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Import the mutants in *world*, and on Linux those of targets that macfix may have spoilt."""
    answer = run(sandbox, python, path, world, count)
    suspects = {suspect["target"] for suspect in answer["blame"]}
    if not suspects or world == "plain":
        return answer, answer
    return answer, run(sandbox, python, path, "plain", count, suspects)


def check(
    answer: dict[str, Any],
    on_linux: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    what: str,
    count: int = COUNT,
) -> None:
    """Print the count, and fail with the first few mutants that macfix is to blame for.

    A mutant can be broken twice: by the defect, and by what was changed about it. Once the defect
    is patched it must raise what it raises on Linux, and nothing else.
    """
    total = sum(sum(outcomes.values()) for outcomes in answer["seen"].values())
    with capsys.disabled():
        print(f"\n{what}: {total} mutants of {len(answer['seen'])} targets, seed {SEED}")
        for target, outcomes in answer["seen"].items():
            print(f"  {target}: {outcomes}")
    assert total > count
    blame = [
        f"{suspect['mutant']}: {suspect['problem']}"
        for suspect in answer["blame"]
        if suspect["patched"] != on_linux["raised"].get(suspect["mutant"])
    ]
    assert blame == [], "\n".join(blame[:10])


@pytest.mark.parametrize("world", SOME_WORLDS)
@pytest.mark.parametrize("vintage", sorted(p.name for p in REPLICAS.iterdir() if p.name != "stubs"))
def test_mutants_of_the_replicas(
    vintage: str, world: str, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trio")
    path = [REPLICAS / vintage, REPLICAS / "stubs"]
    answer, on_linux = run_both(sandbox, sys.executable, path, world)
    check(answer, on_linux, capsys, f"replica {vintage}, {world}")


@pytest.mark.parametrize("world", SOME_WORLDS)
@pytest.mark.parametrize("vintage", VINTAGES)
def test_mutants_of_tractor(
    vintage: str,
    world: str,
    sandbox: Sandbox,
    upstream_python: Path,
    upstream_at: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = [upstream_at("tractor", upstream.TRACTORS[vintage])]
    count = COUNT if vintage == "HEAD" else OLDER
    answer, on_linux = run_both(sandbox, upstream_python, path, world, count)
    check(answer, on_linux, capsys, f"tractor {vintage}, {world}", count)


@pytest.mark.parametrize("world", SOME_WORLDS)
def test_mutants_of_piker(
    world: str,
    sandbox: Sandbox,
    upstream_at: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Those of its modules that import here, with the tractor that its users had pinned."""
    path = [
        upstream_at("piker", upstream.PIKER),
        upstream_at("tractor", upstream.PIKERS_TRACTOR),
    ]
    try:
        python = pythons.find(pythons.PIKER)
    except pythons.NoPythonError as error:
        pytest.skip(str(error))
    if python is None:
        pytest.skip("no environment for piker: build one as docs/piker.md says")
    answer, on_linux = run_both(sandbox, python, path, world, PIKERS)
    assert {target for target in answer["seen"] if target.startswith("piker.")} >= PIKERS_TARGETS
    check(answer, on_linux, capsys, f"piker {upstream.PIKER}, {world}", PIKERS)
