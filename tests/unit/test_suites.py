"""An upstream's own flakes are told from failures that macfix is to blame for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.suites import AGAIN, Outcomes, compare
from tests.support.worlds import MENDED_MAC, PLAIN_LINUX, World


class ScriptedSuite:
    """A suite of one test, or none, whose outcomes in each world are given: `.` passed, `F` failed.

    The first is of the whole suite, the others of the test alone; the last one repeats. `-`: the
    world does not have the test.
    """

    def __init__(self, home: str, other: str) -> None:
        self.left = {PLAIN_LINUX: list(home), MENDED_MAC: list(other)}
        self.runs = 0

    def run(self, world: World, pick: Sequence[str] = ()) -> Outcomes:
        self.runs += 1
        left = self.left[world]
        code = left.pop(0) if len(left) > 1 else left[0]
        outcome = {".": "passed", "F": "failed", "H": "hung"}.get(code)
        why = {} if code == "." else {"test": f"said {outcome}"}
        return Outcomes({"test": outcome}, why) if outcome else Outcomes({"another": "passed"})


def compared(home: str, other: str) -> tuple[Any, int]:
    suite: Any = ScriptedSuite(home, other)
    return compare(suite, PLAIN_LINUX, MENDED_MAC), suite.runs


@pytest.mark.parametrize(
    ("home", "other"),
    [(".", "F"), (".", "H"), (".", "F....F"), (".", "F.F."), (".", "-")],
)
def test_what_fails_again_and_never_at_home_is_real(home: str, other: str) -> None:
    found, _ = compared(home, other)
    assert found.real() == ["test"]
    assert found.flakes() == []
    assert "test: failed again" in found.explain()


@pytest.mark.parametrize(
    ("home", "other"),
    [("..F.", "F"), (".....F", "F"), (".F", "F"), (".", "F.")],
)
def test_what_fails_at_home_too_or_never_again_is_a_flake(home: str, other: str) -> None:
    found, _ = compared(home, other)
    assert found.real() == []
    assert found.explain() == ""
    assert len(found.flakes()) == 1


@pytest.mark.parametrize(("home", "other"), [(".", "."), ("F", "F"), ("F", "."), ("F", "-")])
def test_what_does_not_fail_in_the_other_world_only_is_not_run_again(home: str, other: str) -> None:
    found, runs = compared(home, other)
    assert (found.suspects, found.real(), found.flakes(), runs) == ((), [], [], 2)


def test_what_is_expected_to_fail_is_not_run_again_unless_it_says_something_else() -> None:
    for text, suspects in (("said failed", ()), ("said another thing", ("test",))):
        suite: Any = ScriptedSuite(".", "F")
        assert compare(suite, PLAIN_LINUX, MENDED_MAC, {"test": text}).suspects == suspects


def test_the_reason_is_the_last_that_was_given() -> None:
    found, runs = compared(".", "FFH...")
    assert "failed again 2 times of 5" in found.explain()
    assert "said hung" in found.explain()
    assert runs == 2 + 2 * AGAIN


def test_a_flake_that_has_shown_itself_is_not_run_again() -> None:
    found, runs = compared(".F", "F")
    assert runs == 4
    assert found.flakes() == ["test: failed 1 times at home, 1 here, of 1 more"]
