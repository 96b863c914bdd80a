"""Real tractor actors on a Mac survive clients that hang up, and names that are too long.

Each promise is also tried without the one patch that keeps it, all others applied: it must break.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import runtime_sockets, upstream
from tests.support.launcher import Launcher
from tests.support.processes import Finished
from tests.support.sandbox import Sandbox
from tests.support.surroundings import HEAVY
from tests.support.worlds import MENDED_MAC, ON_A_MAC

PROBED = Path(__file__).parent / "programs" / "probed_actor.py"

ALL = upstream.TRACTORS
COMMITS = ALL if HEAVY == "full" else {"2025-07": ALL["2025-07"]}
"""Each day the one that has all of the defects."""

LONG = "feeder" * 25

WORDS = {
    "EPIPE": "uds-vanished-peer",
    "ECONNRESET": "transport-reset",
    "EPROTOTYPE": "transport-eprototype",
    "EAFNOSUPPORT": "transport-eafnosupport",
    "ENOTCONN": "transport-enotconn",
}
"""What a write to a closed peer says, and the patch without which that is fatal."""

CURED_AT_HEAD = {"transport-reset", "uds-socket-names"}

MakeLauncher = Callable[[str], Launcher]


@pytest.fixture(params=COMMITS)
def vintage(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def launcher(vintage: str, launcher_for: MakeLauncher) -> Launcher:
    return launcher_for(ALL[vintage])


@pytest.fixture(autouse=True)
def sweep(sandbox: Sandbox) -> Iterator[None]:
    """Take away the sockets of actors that died, as those without a patch are expected to."""
    before = runtime_sockets.present(sandbox)
    yield
    runtime_sockets.remove(runtime_sockets.present(sandbox) - before)


def run(launcher: Launcher, name: str = "echo", word: str = "EPIPE", skip: str = "") -> Finished:
    more = {"MACFIX_SKIP": skip} if skip else {}
    if not ON_A_MAC:
        more["MACFIX_SIMULATE"] = f"write={word}"
    return launcher.run(MENDED_MAC, [PROBED, name], more=more)


def served(finished: Finished) -> bool:
    return finished.stdout.split() == ["served"] and finished.returncode == 0


@pytest.mark.parametrize("word", WORDS)
def test_clients_that_hang_up_do_no_harm(launcher: Launcher, word: str) -> None:
    if ON_A_MAC and word != "EPIPE":
        pytest.skip("a real kernel says what it says")
    finished = run(launcher, word=word)
    assert served(finished), str(finished)


@pytest.mark.skipif(ON_A_MAC, reason="a real kernel says what it says")
@pytest.mark.parametrize("word", WORDS)
def test_without_the_patch_they_do(launcher: Launcher, vintage: str, word: str) -> None:
    patch = WORDS[word]
    if vintage == "HEAD" and patch in CURED_AT_HEAD:
        pytest.skip("upstream has cured this one")
    assert not served(run(launcher, word=word, skip=patch))


def test_a_name_that_is_too_long_does_no_harm(launcher: Launcher) -> None:
    finished = run(launcher, name=LONG)
    assert served(finished), str(finished)


@pytest.mark.skipif(HEAVY != "full", reason="MACFIX_HEAVY=full waits for upstream's slow death")
def test_without_the_patch_it_does(launcher: Launcher, vintage: str) -> None:
    if vintage == "HEAD" and "uds-socket-names" in CURED_AT_HEAD:
        pytest.skip("upstream has cured this one")
    finished = run(launcher, name=LONG, skip="uds-socket-names")
    assert not served(finished)
    assert "AF_UNIX path too long" in finished.stderr
