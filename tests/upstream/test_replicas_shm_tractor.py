"""The stand-in for tractor's shared memory has the shape of the real module of its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import upstream
from tests.support.builtin import patches_for
from tests.upstream.test_replicas_uds import REPLICAS, Pair, functions, read

MODULE = "tractor.ipc._shm"


@pytest.fixture
def pair(upstream_at: Callable[[str, str], Path]) -> Pair:
    real = upstream_at("tractor", upstream.TRACTORS["HEAD"])
    return Pair(read(REPLICAS["HEAD"], MODULE), read(real, MODULE))


def test_its_functions_are_upstreams_with_the_same_parameters(pair: Pair) -> None:
    own = {"NDToken._parts"}
    ours, theirs = functions(pair.replica.tree), functions(pair.real.tree)
    assert ours.keys() - own <= theirs.keys()
    assert {name: ours[name] for name in ours if name not in own} == {
        name: theirs[name] for name in ours if name not in own
    }


def test_every_patch_says_the_same_of_both(pair: Pair) -> None:
    patches = patches_for(MODULE)
    said = {p.name: (p.diagnose(pair.replica).state, p.diagnose(pair.real).state) for p in patches}
    assert said
    assert {name for name, (replica, real) in said.items() if replica != real} == set()
