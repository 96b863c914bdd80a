"""Run an upstream's own tests in two worlds, and tell real differences from flakes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support import runtime_sockets
from tests.support.launcher import Launcher
from tests.support.processes import TookTooLongError
from tests.support.surroundings import STARTED_WITH
from tests.support.worlds import World

PLUGINS = Path(__file__).parents[1] / "upstream" / "programs"

BAD = frozenset({"failed", "error", "hung", "absent"})
"""Outcomes that count as a failure. `absent`: the other world has the test and this one has not."""

ONE_TEST = 90
"""Seconds that a single test may take; upstream's own take a second or two."""

DEADLINES = 5
"""How many times longer than upstream wrote it a test's own deadline is, in every world alike."""

ONE_RUN = 900.0
"""Seconds that a run may take, unless its suite says otherwise."""

AGAIN = 5
"""How often tests are run again that failed in one world only."""

THE_RUN = "(the run itself)"
"""What stands for the end of a run, next to its tests."""


@dataclass(frozen=True)
class Outcomes:
    """What became of each test of a suite in one world.

    Attributes:
        of: outcome by test: passed, failed, error, hung, skipped, xfailed or xpassed.
        why: what pytest reported of each test that did not simply pass.
        seconds: how long it all took.
    """

    of: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def __getitem__(self, test: str) -> str:
        return self.of.get(test, "absent")

    def bad(self) -> set[str]:
        """Return the tests that failed."""
        return {test for test, outcome in self.of.items() if outcome in BAD}

    def count(self) -> str:
        """Return for instance `18 passed, 1 failed`."""
        found = list(self.of.values())
        names = sorted(set(found), key=found.count, reverse=True)
        return ", ".join(f"{found.count(name)} {name}" for name in names)


@dataclass(frozen=True)
class Suite:
    """Some tests of one upstream commit.

    Attributes:
        launcher: has the interpreter and the commit on its path.
        folder: the commit's files.
        tests: paths below `folder`.
        options: more words for pytest.
        patience: seconds that a run may take.
    """

    launcher: Launcher
    folder: Path
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()
    patience: float = ONE_RUN

    def run(self, world: World, pick: Sequence[str] = ()) -> Outcomes:
        """Run the tests, or those in `pick` only, in `world`.

        A test that hangs ends its run, since it can only be killed with all of it; the run is then
        repeated without that test. Upstream's tests leave processes and sockets behind, on Linux
        too; they are removed.
        """
        chosen = [word for test in pick for word in ("--pick", test)]
        before = runtime_sockets.present(self.launcher.sandbox)
        runs = [self._run(world, chosen)]
        hung: list[str] = []
        while new := [test for test, outcome in runs[-1].of.items() if outcome == "hung"]:
            hung += new
            if THE_RUN in hung:
                break
            without = [word for test in hung for word in ("--leave-out", test)]
            runs.append(self._run(world, [*chosen, *without]))
        runtime_sockets.remove(runtime_sockets.present(self.launcher.sandbox) - before)
        return Outcomes(
            {test: outcome for run in runs for test, outcome in run.of.items()},
            {test: why for run in runs for test, why in run.why.items()},
            sum(run.seconds for run in runs),
        )

    def _run(self, world: World, words: Sequence[str]) -> Outcomes:
        with tempfile.TemporaryDirectory(dir=self.launcher.sandbox.temporary) as scratch:
            log = Path(scratch, "outcomes")
            log.touch()
            command: list[str | Path] = [
                *("-m", "pytest", "-p", "no:cacheprovider", "-p", "outcome_log"),
                *("--outcome-log", log, "--timeout", str(ONE_TEST), "--timeout-method", "thread"),
                *("--deadlines", str(DEADLINES)),
                *self.options,
                *words,
                *self.tests,
            ]
            launcher = self.launcher.with_path(PLUGINS)
            try:
                done = launcher.run(
                    world,
                    command,
                    more={"PATH": self._path()},
                    cwd=self.folder,
                    timeout=self.patience,
                    sweep=True,
                )
                said, seconds = str(done), done.seconds
            except TookTooLongError as error:
                said, seconds = str(error), self.patience
            lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        if not any("collected" in line for line in lines):
            raise AssertionError(f"upstream's tests did not start in {world.name}: {said}")
        return _outcomes(lines, seconds)

    def _path(self) -> str:
        """Some tests start a `python`, and mean the one that runs them."""
        return f"{self.launcher.python.parent}{os.pathsep}{STARTED_WITH['PATH']}"


def _outcomes(lines: Sequence[dict[str, Any]], seconds: float) -> Outcomes:
    """Read a log: the last word on a test counts."""
    said = {line["test"]: line for line in lines if "test" in line}
    of = {test: line["outcome"] for test, line in said.items()}
    why = {test: line["why"] for test, line in said.items()}
    if "hung" not in of.values() and not any("finished" in line for line in lines):
        of[THE_RUN], why[THE_RUN] = "hung", "the run did not end after its last test"
    return Outcomes(of, {test: text for test, text in why.items() if of[test] != "passed"}, seconds)


@dataclass(frozen=True)
class Comparison:
    """A suite in the world where it is at home and in one where it must be as good.

    A test that fails now and then at home does so in the other world as well. So whatever failed
    in the other world only is run `AGAIN` times more in both: macfix is to blame for it if it fails
    there once more, and in all these runs never at home.

    Attributes:
        home, other: the outcomes of the whole suite.
        suspects: tests that failed in the other world and not at home.
        home_again, other_again: the outcomes of the suspects, each time run without the rest.
    """

    home: Outcomes
    other: Outcomes
    suspects: tuple[str, ...] = ()
    home_again: tuple[Outcomes, ...] = ()
    other_again: tuple[Outcomes, ...] = ()

    def failures(self, test: str) -> tuple[int, int]:
        """Return how often `test` failed when it was run again: at home, and in the other world."""
        return _failures(test, self.home_again), _failures(test, self.other_again)

    def real(self) -> list[str]:
        """Return the suspects that macfix is to blame for."""
        return [
            test for test in self.suspects if not self.failures(test)[0] and self.failures(test)[1]
        ]

    def flakes(self) -> list[str]:
        """Return the suspects that are not real, with what came of them."""
        real, runs = self.real(), len(self.other_again)
        return [
            f"{test}: failed {at_home} times at home, {elsewhere} here, of {runs} more"
            for test in self.suspects
            if test not in real
            for at_home, elsewhere in [self.failures(test)]
        ]

    def explain(self) -> str:
        """Return each real failure with what pytest said of it."""
        return "\n".join(
            f"{test}: failed again {self.failures(test)[1]} times of {len(self.other_again)}, and "
            f"never at home\n{_why(test, (self.other, *self.other_again))}"
            for test in self.real()
        )


def _failures(test: str, runs: Sequence[Outcomes]) -> int:
    return sum(run[test] in BAD for run in runs)


def _why(test: str, runs: Sequence[Outcomes]) -> str:
    return next((run.why[test] for run in reversed(runs) if test in run.why), "")


def compare(
    suite: Suite, home: World, other: World, expected: Mapping[str, str] | None = None
) -> Comparison:
    """Run `suite` in both worlds, and again what failed in `other` only.

    A test of `expected` may fail in `other` if what pytest says of it has the text given there.
    """
    at_home, elsewhere = suite.run(home), suite.run(other)
    texts = expected or {}
    suspects = tuple(
        sorted(
            test
            for test in {*at_home.of, *elsewhere.of}
            if elsewhere[test] in BAD and at_home[test] not in BAD
            if not (test in texts and texts[test] in elsewhere.why.get(test, ""))
        )
    )
    found = Comparison(at_home, elsewhere, suspects)
    for _ in range(AGAIN):
        if all(found.failures(test)[0] for test in suspects):
            break  # each has failed at home, too
        found = replace(
            found,
            home_again=(*found.home_again, suite.run(home, suspects)),
            other_again=(*found.other_again, suite.run(other, suspects)),
        )
    return found
