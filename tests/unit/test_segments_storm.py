"""Many processes at once: nobody fails, nothing living is freed, and nothing dead is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.reports import Tables
from tests.support.surroundings import HEAVY, REPOSITORY

PROGRAM = Path(__file__).parents[1] / "support" / "segment_storm.py"
MAC = "names=30,page=16384"


def count(full: int, everyday: int) -> int:
    return full if HEAVY == "full" else everyday


def storm(scene: str, number: int, **environment: str) -> dict[str, Any]:
    """Play a scene; return what came of it, with what its processes said."""
    ran = subprocess.run(
        # Python 3.12 and later warn of forks amid threads, which is what is tried here
        [sys.executable, "-W", "ignore::DeprecationWarning", PROGRAM, scene, str(number)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    assert report["problems"] == [], f"{report}\n{ran.stderr}"
    assert ran.stderr == ""  # no warning of the registry, and no error that was ignored
    return report


def test_32_processes_destroy_the_same_arrays_at_once(tables: Tables) -> None:
    rounds = count(100, 3)
    assert storm("destroys", rounds)["on record"] == 0
    tables.add("arrays destroyed by 32 processes at once", f"{rounds} rounds", "no error")


@pytest.mark.parametrize("world", ["", MAC])
def test_16_processes_create_and_destroy_while_two_reap(tables: Tables, world: str) -> None:
    rounds = count(100, 4)
    storm("turns", rounds, OWNER_ON_A_MAC=world)
    tables.add("16 processes create and destroy, 2 reap", world or "linux", f"{rounds} rounds each")


def test_forks_amid_the_writes_of_two_threads(tables: Tables) -> None:
    forks = count(1000, 40)
    assert storm("forks", forks)["unregistered"] == 0
    tables.add("forks amid the writes of two threads", f"{forks}", "none hung, all on record")


@pytest.mark.parametrize("world", ["", MAC])
def test_kills_at_random_moments(tables: Tables, world: str) -> None:
    kills = count(500, 40)
    seen = storm("kills", kills, OWNER_ON_A_MAC=world)["seen"]
    assert seen["left"] > kills / 4 and seen["attached"] > 0
    tables.add(
        "kills at random moments of create, attach, destroy, reap",
        *(world or "linux", f"{kills} kills", f"{seen['left']} segments left by the dead, freed"),
        f"{seen['attached']} rounds with an attached one, which stayed",
    )


def test_thousands_are_sorted_out(tables: Tables) -> None:
    dead = count(5000, 300)
    report = storm("many", dead)
    assert (report["freed"], report["stayed"]) == (dead, dead * 2 // 5)
    assert report["on record"] == 0
    tables.add(f"{dead} dead and {dead * 2 // 5} living segments", f"{report['seconds']:.2f} s")
