"""The stand-in for piker's shared memory has the shape of the real module of its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import upstream
from tests.support.builtin import patches_for
from tests.upstream.test_replicas_uds import REPLICAS, Pair, functions, read

MODULE = "piker.data._sharedmem"


@pytest.fixture
def pair(upstream_at: Callable[[str, str], Path]) -> Pair:
    real = upstream_at("piker", upstream.PIKER)
    return Pair(read(REPLICAS["2025-07"], MODULE), read(real, MODULE))


def test_its_functions_are_upstreams_with_the_same_signatures(pair: Pair) -> None:
    ours, theirs = functions(pair.replica.tree), functions(pair.real.tree)
    assert ours
    assert {name: theirs.get(name) for name in ours} == ours


def test_every_patch_says_the_same_of_both(pair: Pair) -> None:
    patches = patches_for(MODULE)
    said = {p.name: (p.diagnose(pair.replica).state, p.diagnose(pair.real).state) for p in patches}
    assert said
    assert {name: real for name, (_, real) in said.items()} == {
        name: replica for name, (replica, _) in said.items()
    }
