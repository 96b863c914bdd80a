"""`macfix conformance`: every fact holds on a Mac, simulated or real, and can be found wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from macfix.cli import conformance
from macfix.darwin.facts import NOT_SIMULATED, Fact
from tests.support import processes
from tests.support.sandbox import Sandbox
from tests.support.simulated import Simulated
from tests.support.surroundings import REPOSITORY

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the simulation needs Linux")

ALIKE = {
    "write, peer closed",
    "path of 103 bytes",
    "backlog, room again",
    "unbound name",
    "no size yet",
    "ftruncate",
    "page",
    "RLIMIT_NOFILE",
}
"""What Linux does as XNU does."""


@pytest.fixture
def on(sandbox: Sandbox) -> Simulated:
    return Simulated(sandbox)


def ask(on: Simulated, spec: str | None) -> tuple[int, dict[str, Any]]:
    """The exit code, and what `macfix conformance --json` prints, on a Mac of kind *spec*."""
    simulate = [f"--simulate={spec}"] if spec is not None else []
    done = processes.run(
        [sys.executable, "-m", "macfix", *simulate, "conformance", "--json"],
        env=on.environment(),
        cwd=on.sandbox.root,
        timeout=60,
    )
    assert done.stderr == "", str(done)
    return done.returncode, json.loads(done.stdout)


def that(answer: dict[str, Any], verdict: str) -> set[str]:
    return {fact["what"] for fact in answer["facts"] if fact["verdict"] == verdict}


@pytest.mark.parametrize("spec", ["1", "names=31,page=4096"])
def test_every_fact_holds_on_a_mac(on: Simulated, spec: str) -> None:
    """On a Mac it is the real kernel that is asked."""
    is_mac = sys.platform == "darwin"
    code, answer = ask(on, None if is_mac else spec)
    assert [fact for fact in answer["facts"] if fact["verdict"] == "differs"] == []
    assert (code, answer["differ"]) == (0, 0)
    assert that(answer, "not simulated") == (set() if is_mac else NOT_SIMULATED)
    assert len(answer["facts"]) == len({fact["what"] for fact in answer["facts"]}) > 45


@on_linux
def test_plain_linux_is_found_to_be_no_xnu(on: Simulated) -> None:
    code, answer = ask(on, None)
    assert code == 1 and answer["kernel"].startswith("This is not XNU but Linux")
    assert that(answer, "ok") <= ALIKE
    assert that(answer, "not simulated") == set()


@on_linux
def test_a_kernel_that_does_otherwise_in_one_thing_is_found(on: Simulated) -> None:
    code, answer = ask(on, "write=ECONNRESET")
    assert (code, that(answer, "differs")) == (1, {"write, peer closed"})


@on_linux
def test_a_program_on_the_simulated_mac_may_ask_as_well(on: Simulated) -> None:
    words = ["simulate", "macfix", "conformance"]
    done = processes.run(
        [sys.executable, "-m", "macfix", *words],
        env=on.environment(),
        cwd=on.sandbox.root,
        timeout=60,
    )
    assert done.returncode == 0, str(done)
    assert done.stdout.startswith("XNU, simulated (")


LEFT = """
import os, resource
from macfix.darwin.facts import facts
def there():
    return len(os.listdir("/dev/fd")), resource.getrlimit(resource.RLIMIT_NOFILE)
before = there()
seen = len(list(facts()))
tell(same=before == there(), seen=seen, pid=os.getpid())
"""


@on_linux
@pytest.mark.parametrize("simulated", [True, False])
def test_asking_leaves_nothing_behind(on: Simulated, simulated: bool) -> None:
    told = on.mac(LEFT) if simulated else on.linux(LEFT)
    assert told["same"] and told["seen"] > 45
    segments = on.segments if simulated else Path("/dev/shm")
    assert list(segments.glob(f"*{told['pid']}*")) == []


def test_every_fact_names_a_place_in_xnu(on: Simulated) -> None:
    _, answer = ask(on, "1" if sys.platform == "linux" else None)
    elsewhere = {"vm_map_round_page", "a link on every Mac", "it has no such folder"}
    elsewhere |= {"confstr(3): _CS_DARWIN_USER_TEMP_DIR"}
    for fact in answer["facts"]:
        known = re.match(r"[\w/]+\.[ch](: \w+)?", fact["source"]) or fact["source"] in elsewhere
        assert known, fact


def test_what_is_not_simulated_is_documented() -> None:
    page = (REPOSITORY / "docs" / "simulation.md").read_text().partition("## Not simulated")[2]
    assert {name for name in NOT_SIMULATED if f"`{name}`" not in page} == set()


def test_a_fact_says_what_was_expected_only_where_it_differs() -> None:
    right = Fact("longest name", "30 or 31", "posix_shm.c", "31")
    wrong = Fact("longest name", "30 or 31", "posix_shm.c", "3")
    assert conformance.sentence(right) == "longest name: 31 [posix_shm.c]"
    assert conformance.sentence(wrong) == "longest name: 3; expected 30 or 31 [posix_shm.c]"
    assert [conformance.verdict(each) for each in (right, wrong)] == ["ok", "differs"]


@pytest.mark.skipif(sys.platform == "darwin", reason="what is not XNU")
def test_a_reader_sees_first_what_differs(on: Simulated) -> None:
    line = f"{sys.executable} -m macfix conformance | head -n 4"
    done = subprocess.run(
        line, shell=True, env=on.environment(), cwd=REPOSITORY, capture_output=True, text=True
    )
    assert "This is not XNU" in done.stdout and done.stdout.count("  differs  ") == 1
    assert done.stderr == ""
